"""Where crops lie on an image and where their features lie in the token sequence.

Pure integers: no pixels, no tensors. All rules are the reference's, float32 where it uses
float32 (shared reference, molmo.md §5).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from molmo_node.errors import ConfigError

DROPPED = -100


@dataclass(frozen=True)
class CropRule:
    """How an image is cut: all sizes in patches, except `patch_px`.

    `grid` is the side of a crop, `margin_left` and `margin_right` are shared with the
    neighbours, `pooled` is the side of a crop after pooling.
    """

    grid: int = 24
    patch_px: int = 14
    margin_left: int = 4
    margin_right: int = 4
    pooled: int = 12

    @property
    def crop_px(self) -> int:
        return self.grid * self.patch_px

    @property
    def margin_px(self) -> int:
        return (self.margin_left + self.margin_right) * self.patch_px

    @property
    def window_px(self) -> int:
        return self.crop_px - self.margin_px


@dataclass(frozen=True)
class Fit:
    """An image of `height` × `width` pixels laid on a canvas, centred, its sides kept in ratio."""

    canvas_height: int
    canvas_width: int
    height: int
    width: int
    top: int
    left: int


@lru_cache(maxsize=16)
def _tilings(max_crops: int) -> NDArray[np.int32]:
    """All (rows, columns) with at most `max_crops` cells, by cells and then by rows."""
    sides = range(1, max_crops + 1)
    pairs = [(rows, columns) for rows in sides for columns in sides if rows * columns <= max_crops]
    return np.array(sorted(pairs, key=lambda pair: (pair[0] * pair[1], pair[0])), dtype=np.int32)


def select_tiling(height: int, width: int, max_crops: int, rule: CropRule) -> tuple[int, int]:
    """Rows and columns of crops for an image of `height` × `width` pixels.

    The least enlargement that covers the image, or the least shrinking where every choice
    shrinks. A side below the margins gives a negative scale, as in the reference.
    """
    if max_crops < 1:
        raise ConfigError(f"max_crops is {max_crops}, at least 1 is needed")
    candidates = _tilings(max_crops)
    inner = np.array([height - rule.margin_px, width - rule.margin_px], dtype=np.float32)
    with np.errstate(divide="ignore"):
        scales = (candidates * rule.window_px).astype(np.float32) / inner
    scale = np.min(scales, axis=-1)
    if np.all(scale < 1):
        chosen = int(np.argmax(scale))
    else:
        chosen = int(np.argmin(np.where(scale < 1.0, np.float32(10e9), scale)))
    rows, columns = candidates[chosen]
    return int(rows), int(columns)


def fit_into(height: int, width: int, canvas_height: int, canvas_width: int) -> Fit:
    """Scale an image into a canvas; the content's sides are truncated in float32.

    Raises:
        ConfigError: a side would vanish (an aspect ratio beyond the canvas's longer side).
    """
    scale = min(
        np.float32(canvas_height) / np.float32(height), np.float32(canvas_width) / np.float32(width)
    )
    inner_height = int(np.float32(height) * scale)
    inner_width = int(np.float32(width) * scale)
    if inner_height < 1 or inner_width < 1:
        raise ConfigError(
            f"an image of {width}×{height} pixels is too long and thin to be looked at",
            hint="cut it into parts, or ask about a roi",
        )
    top = (canvas_height - inner_height) // 2
    left = (canvas_width - inner_width) // 2
    return Fit(canvas_height, canvas_width, inner_height, inner_width, top, left)


def canvas_of(rows: int, columns: int, rule: CropRule) -> tuple[int, int]:
    """Height and width in pixels of the canvas that `rows` × `columns` crops cover."""
    return (
        rows * rule.window_px + rule.margin_px,
        columns * rule.window_px + rule.margin_px,
    )


def _kept(index: int, count: int, rule: CropRule) -> slice:
    """Which pooled rows (or columns) of crop number `index` of `count` are used."""
    per_patch = rule.grid // rule.pooled
    first = 0 if index == 0 else rule.margin_left // per_patch
    last = rule.pooled if index == count - 1 else rule.pooled - rule.margin_right // per_patch
    return slice(first, last)


@dataclass(frozen=True)
class TokenLayout:
    """The image's part of the token sequence, without BOS.

    `kinds` holds 0 = start, 1 = end, 2 = patch, 3 = column end; `index` is
    ``(1 + rows * columns, pooled²)``: the position of each pooled feature in `kinds`, or
    DROPPED. The global crop is first.
    """

    kinds: NDArray[np.int64]
    index: NDArray[np.int64]


START, END, PATCH, COLUMN = 0, 1, 2, 3


def _block(rows: int, columns: int) -> list[int]:
    """Start, `rows` lines of `columns` patches and a column end each, end."""
    return [START, *([*([PATCH] * columns), COLUMN] * rows), END]


@lru_cache(maxsize=64)
def token_layout(rows: int, columns: int, rule: CropRule) -> TokenLayout:
    """Tokens of an image cut into `rows` × `columns` crops, and where each feature goes.

    High-resolution patch tokens run over the whole image in raster order, not crop by crop.
    """
    pooled = rule.pooled
    row_slices = [_kept(r, rows, rule) for r in range(rows)]
    column_slices = [_kept(c, columns, rule) for c in range(columns)]
    height = sum(s.stop - s.start for s in row_slices)
    width = sum(s.stop - s.start for s in column_slices)
    head = _block(pooled, pooled)
    kinds = np.array(head + _block(height, width), dtype=np.int64)

    index = np.full((1 + rows * columns, pooled, pooled), DROPPED, dtype=np.int64)
    lines = np.arange(pooled)[:, None] * (pooled + 1)
    index[0] = 1 + lines + np.arange(pooled)
    raster = len(head) + 1 + np.arange(height)[:, None] * (width + 1) + np.arange(width)
    top = 0
    for r, row_slice in enumerate(row_slices):
        left = 0
        for c, column_slice in enumerate(column_slices):
            part = raster[
                top : top + row_slice.stop - row_slice.start,
                left : left + column_slice.stop - column_slice.start,
            ]
            index[1 + r * columns + c, row_slice, column_slice] = part
            left += column_slice.stop - column_slice.start
        top += row_slice.stop - row_slice.start
    return TokenLayout(kinds, index.reshape(len(index), pooled * pooled))

"""A test picture that proves its own number: a counter as black and white blocks, and a clock.

The blocks hold 32 bits of number and 16 bits of checksum in two rows of 24 at the top. Each is
at least 4 px wide and read by the mean of its middle, so that JPEG does not change them.
"""

from __future__ import annotations

import zlib
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from molmo_node.camera.base import Grabbed, SourceInfo
from molmo_node.camera.spec import SourceSpec
from molmo_node.clock import Clock
from molmo_node.imaging import ImageRgb, load_cv2

DEFAULT_SIZE = (1280, 720)
DEFAULT_FPS = 30.0
_COLUMNS, _ROWS = 24, 2
_DARK, _LIGHT = 64, 191


class PatternSource:
    """Frames 0, 1, 2 … of `draw`; never ends. The capture loop paces."""

    def __init__(self, spec: SourceSpec, clock: Clock) -> None:
        self._spec = spec
        self._clock = clock
        self._size = (spec.width or DEFAULT_SIZE[0], spec.height or DEFAULT_SIZE[1])
        self._number = 0
        self._background = np.empty((0, 0, 3), np.uint8)

    def open(self) -> SourceInfo:
        """Prepare the background."""
        self._background = background(*self._size)
        return SourceInfo(
            backend="pattern", stable_id=self._spec.label, is_live=False, pixel_format="rgb24",
            width=self._size[0], height=self._size[1], fps=self._spec.fps or DEFAULT_FPS,
            asked_width=self._spec.width, asked_height=self._spec.height,
            asked_fps=self._spec.fps,
        )  # fmt: skip

    def read(self) -> Grabbed:
        """Draw the next frame."""
        stamp_ns, mono_ns = self._clock.wall_ns(), self._clock.mono_ns()
        rgb = draw(self._background, self._number, stamp_ns)
        self._number += 1
        return Grabbed(
            body=rgb, encoding="rgb8", width=self._size[0], height=self._size[1],
            stamp_ns=stamp_ns, mono_ns=mono_ns,
        )  # fmt: skip

    def close(self) -> None:
        """Nothing is held."""


def background(width: int, height: int) -> ImageRgb:
    """A colour gradient ``(H, W, 3) uint8, rgb8`` in which a turned or mirrored picture shows."""
    rgb = np.empty((height, width, 3), np.uint8)
    rgb[..., 0] = np.linspace(40, 215, width).astype(np.uint8)
    rgb[..., 1] = np.linspace(40, 215, height).astype(np.uint8)[:, None]
    rgb[..., 2] = 128
    return rgb


def draw(base: ImageRgb, number: int, stamp_ns: int) -> ImageRgb:
    """A copy of `base` with number, moving bar, and wall clock in UTC.

    Args:
        base: ``(H, W, 3) uint8, rgb8``, at least 96 px a side.
        number: 0 and up; the blocks hold its lowest 32 bits.
    """
    rgb = base.copy()
    height, width = rgb.shape[:2]
    _draw_blocks(rgb, number)
    bar_px = number * max(1, width // 120) % width
    rgb[height - height // 8 :, bar_px : bar_px + max(2, width // 60)] = 255
    _draw_text(rgb, number, stamp_ns)
    return rgb


def read_counter(rgb: ImageRgb) -> int | None:
    """The number in a picture's blocks, None where there is no intact counter.

    Args:
        rgb: ``(H, W, 3) uint8, rgb8``; may have been through JPEG.
    """
    block_px = rgb.shape[1] // _COLUMNS
    if block_px < 4 or rgb.shape[0] < _ROWS * block_px:
        return None
    edge_px = block_px // 4
    grid = rgb[: _ROWS * block_px, : _COLUMNS * block_px].mean(axis=2)
    blocks = grid.reshape(_ROWS, block_px, _COLUMNS, block_px)
    means = blocks[:, edge_px : block_px - edge_px, :, edge_px : block_px - edge_px].mean(
        axis=(1, 3)
    )
    if np.any((means > _DARK) & (means < _LIGHT)):
        return None
    packed = np.packbits(means.reshape(-1) > 127).tobytes()
    number = int.from_bytes(packed[:4], "big")
    return number if packed[4:] == _checksum(packed[:4]) else None


def _checksum(number_bytes: bytes) -> bytes:
    return (zlib.crc32(number_bytes) & 0xFFFF).to_bytes(2, "big")


def _bits(number: int) -> NDArray[np.uint8]:
    number_bytes = (number & 0xFFFFFFFF).to_bytes(4, "big")
    packed = np.frombuffer(number_bytes + _checksum(number_bytes), np.uint8)
    return np.unpackbits(packed).reshape(_ROWS, _COLUMNS)


def _draw_blocks(rgb: ImageRgb, number: int) -> None:
    block_px = rgb.shape[1] // _COLUMNS
    blocks = np.kron(_bits(number), np.full((block_px, block_px), 255, np.uint8))
    rgb[: _ROWS * block_px, : _COLUMNS * block_px] = blocks[..., None]


def _draw_text(rgb: ImageRgb, number: int, stamp_ns: int) -> None:
    cv2 = load_cv2()
    height, width = rgb.shape[:2]
    clock = datetime.fromtimestamp(stamp_ns / 1e9, UTC).strftime("%H:%M:%S.%f")[:-3]
    size = width / 640
    for row, text in enumerate((f"frame {number:06d}", f"{clock} UTC")):
        place = (width // 12, height // 2 + round(row * 40 * size))
        cv2.putText(
            rgb, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, (255, 255, 255),
            max(1, round(2 * size)), cv2.LINE_AA,
        )  # fmt: skip

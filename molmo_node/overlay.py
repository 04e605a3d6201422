"""Draws an answer onto the picture it was made from: points, a needle, the value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from molmo_node.imaging import load_cv2
from molmo_node.instruments import draw_reading
from molmo_node.messages import Answer

ImageHWC = NDArray[np.uint8]

_MARK = (255, 64, 64)
_INK = (255, 255, 255)
_SHADE = (0, 0, 0)


def draw_answer(image_hwc: ImageHWC, answer: Answer, caption: str = "") -> ImageHWC:
    """A copy of the picture with the answer drawn in.

    Args:
        image_hwc: ``(H, W, 3) uint8, rgb8``; not changed.
        caption: written into the top-left corner; a reading brings its own.
    """
    out = np.ascontiguousarray(image_hwc).copy()
    size_px = max(2, round(max(out.shape[:2]) / 320))
    for number, point in enumerate(answer.points, start=1):
        label = point.label if len(answer.points) == 1 else str(number)
        _draw_point(out, point.x_px, point.y_px, label, size_px)
    if answer.reading is not None:
        out = draw_reading(out, answer.reading)
    if caption:
        _write(out, caption, (4 * size_px, 12 * size_px), size_px)
    return out


def contact_sheet(pictures: Sequence[ImageHWC], tile_px: int = 320, columns: int = 4) -> ImageHWC:
    """Pictures side by side, each scaled to fit a square tile, on grey.

    Args:
        pictures: one or more ``(H, W, 3) uint8, rgb8``.
    """
    cv2 = load_cv2()
    rows = -(-len(pictures) // columns)
    sheet = np.full((rows * tile_px, min(columns, len(pictures)) * tile_px, 3), 48, np.uint8)
    for number, picture in enumerate(pictures):
        scale = tile_px / max(picture.shape[:2])
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        small = small[:tile_px, :tile_px]
        top, left = number // columns * tile_px, number % columns * tile_px
        sheet[top : top + small.shape[0], left : left + small.shape[1]] = small
    return sheet


def _draw_point(out: ImageHWC, x_px: float, y_px: float, label: str, size_px: int) -> None:
    cv2 = load_cv2()
    at = (round(x_px), round(y_px))
    cv2.circle(out, at, 4 * size_px, _SHADE, size_px + 2, cv2.LINE_AA)
    cv2.circle(out, at, 4 * size_px, _MARK, size_px, cv2.LINE_AA)
    if label:
        _write(out, label, (at[0] + 6 * size_px, at[1] - 4 * size_px), size_px)


def _write(out: ImageHWC, text: str, at: tuple[int, int], size_px: int) -> None:
    """Light text on a dark plate, its baseline at `at`: legible on any picture."""
    cv2 = load_cv2()
    scale, weight = 0.2 * size_px + 0.15, max(1, size_px // 2)
    (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, weight)
    x, y = at
    cv2.rectangle(out, (x - size_px, y - height - size_px), (x + width, y + below), _SHADE, -1)
    cv2.putText(out, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, _INK, weight, cv2.LINE_AA)

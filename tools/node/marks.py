"""A number in a picture that survives JPEG, so that an answer can be traced to its pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ImageHWC = NDArray[np.uint8]

BITS = 16
CELL_PX = 16
_DARK, _LIGHT, _THRESHOLD = 16, 240, 128


def draw_mark(image_hwc: ImageHWC, number: int) -> None:
    """Draw a number's bits as dark and light squares along the top, and the inverse below.

    Args:
        image_hwc: ``(H, W, 3) uint8``, changed in place; at least 256 px wide, 32 px high.
        number: 0 to 65535.
    """
    for bit in range(BITS):
        is_set = bool(number >> bit & 1)
        columns = slice(bit * CELL_PX, (bit + 1) * CELL_PX)
        image_hwc[:CELL_PX, columns] = _LIGHT if is_set else _DARK
        image_hwc[CELL_PX : 2 * CELL_PX, columns] = _DARK if is_set else _LIGHT


def read_mark(image_hwc: ImageHWC) -> int | None:
    """The number that `draw_mark` drew; None if the squares are not each other's inverse."""
    cells = image_hwc[: 2 * CELL_PX, : BITS * CELL_PX, 1].reshape(2, CELL_PX, BITS, CELL_PX)
    is_light = cells.mean(axis=(1, 3)) > _THRESHOLD
    if np.any(is_light[0] == is_light[1]):
        return None
    return sum(1 << bit for bit in range(BITS) if is_light[0, bit])

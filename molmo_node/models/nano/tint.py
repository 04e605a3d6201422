"""What a colour's name says about pixels: a check on the network's choice of patches.

Of two things alike the network at times takes the one of a neighbouring colour. A patch in and
around which hardly a pixel can be called by the asked colour is therefore held back; where that
leaves no patch, the stop key wins and nothing is named. The spans overlap between neighbours,
for lamps tint and shadows darken: only what contradicts the name is held back.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from molmo_node.models.nano.network import PATCH_PX

# name: hue in degrees, saturation and value in percent; from, to
_SPANS: dict[str, tuple[tuple[int, int], tuple[int, int], tuple[int, int]]] = {
    "red": ((-25, 18), (35, 100), (15, 100)),
    "orange": ((8, 45), (40, 100), (35, 100)),
    "yellow": ((36, 75), (28, 100), (35, 100)),
    "green": ((66, 185), (15, 100), (10, 100)),
    "blue": ((180, 262), (20, 100), (12, 100)),
    "purple": ((238, 312), (15, 100), (12, 100)),
    "pink": ((285, 370), (10, 80), (45, 100)),
    "brown": ((0, 48), (20, 100), (8, 70)),
    "black": ((0, 360), (0, 100), (0, 33)),
    "white": ((0, 360), (0, 35), (55, 100)),
    "gray": ((0, 360), (0, 32), (15, 85)),
}
_ENOUGH = 0.3  # share of a patch's pixels: things are thin
_BESIDE = 0.7  # what a neighbour's pixels count for: a patch may be chosen at a thing's rim
_LEAST = 0.02  # the share that a patch without any such pixel is taken to have


def color_shares(square_hwc: NDArray[np.uint8], color: str) -> NDArray[np.float32]:
    """How much of each patch can be called by a colour.

    Args:
        square_hwc: ``(side, side, 3) uint8, rgb8``, side a multiple of the patch.
        color: one of `words.COLORS`.

    Returns:
        ``(rows, columns) float32``, 0 to 1.
    """
    hsv = cv2.cvtColor(square_hwc, cv2.COLOR_RGB2HSV)  # hue in steps of two degrees
    (first, last), saturation, value = _SPANS[color]
    (low_s, high_s), (low_v, high_v) = (
        (round(2.55 * low), round(2.55 * high)) for low, high in (saturation, value)
    )
    mask = np.zeros(square_hwc.shape[:2], np.uint8)
    for turn in (-180, 0, 180):
        low, high = (first // 2 + turn, low_s, low_v), (last // 2 + turn, high_s, high_v)
        if low[0] <= 179 and high[0] >= 0:
            mask |= np.asarray(cv2.inRange(hsv, low, high), np.uint8)
    columns = square_hwc.shape[0] // PATCH_PX
    shares = cv2.resize(mask, (columns, columns), interpolation=cv2.INTER_AREA)
    return np.asarray(shares, np.float32) / np.float32(255)


def favor(square_hwc: NDArray[np.uint8], colors: Sequence[str]) -> Tensor:
    """What each question's colour adds to the patches' scores.

    Args:
        square_hwc: the network's picture.
        colors: one a question; "" names none.

    Returns:
        ``(questions, patches) float32``: 0 where the colour is there, about -4 where not at all.
    """
    patches = (square_hwc.shape[0] // PATCH_PX) ** 2
    known = {"": np.zeros(patches, np.float32)}
    for color in colors:
        if color not in known:
            there = np.minimum(color_shares(square_hwc, color) / _ENOUGH, 1)
            beside = np.asarray(cv2.dilate(there, np.ones((3, 3), np.uint8)), np.float32) * _BESIDE
            known[color] = np.log(np.maximum(np.maximum(there, beside), _LEAST)).ravel()
    return torch.from_numpy(np.stack([known[color] for color in colors]))

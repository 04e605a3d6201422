"""What a flattened dial shows that is not its face: where hands and print may be.

Soft, 0 to 1, on a small grid about the rim's middle; coordinates are radii of the rim, x right,
y down. A ring that is full of print (numerals, minute marks) says little about hands and weighs
little.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from molmo_node.instruments.dial import Dial
from molmo_node.instruments.pixels import Float32s, ImageRGB, lab_of, resized

SIDE = 97
"""Cells of the grid's side; it holds the disc of radius 1."""
_FLAT_SIDE_PX = 2 * SIDE
_FACE_PART = 0.19
"""A median over that part of the side wipes hands and print off the face."""
LEAST_DIFFERENCE = 12.0
STRONG_PCT, STRONG_SHARE = 97.0, 0.35
REACH = 0.93
HUB_RADIUS = 0.4
RINGS = 20
PLAIN_RING, FULL_RING = 0.18, 0.48
LEAST_WEIGHT = 0.1


def _grid(side: int) -> tuple[Float32s, Float32s]:
    place = ((np.arange(side) + 0.5) * 2 / side - 1).astype(np.float32)
    x, y = np.meshgrid(place, place)
    return x, y


_X, _Y = _grid(SIDE)
IS_INSIDE = np.hypot(_X, _Y) < REACH
"""``(SIDE, SIDE) bool``: the cells that are looked at, n of them."""
X, Y = _X[IS_INSIDE], _Y[IS_INSIDE]
"""``(n,) float32``: where those cells lie."""
_RING = np.minimum(np.hypot(X, Y) * RINGS, RINGS - 1).astype(np.intp)


@dataclass(frozen=True)
class Sight:
    """One flattened dial.

    Attributes:
        dial: the rim it was flattened from.
        ink: ``(SIDE, SIDE) float32`` in 0..1, how unlike the face a cell is.
        weight: ``(n,) float32``, how much the cells inside count.
    """

    dial: Dial
    ink: Float32s
    weight: Float32s

    @property
    def inside(self) -> Float32s:
        """``(n,)``: the ink of the cells inside."""
        return self.ink[IS_INSIDE]


def look_at(image: ImageRGB, dial: Dial) -> Sight:
    """Flatten a dial and tell hands and print from its face.

    Args:
        image: ``(H, W, 3) uint8, rgb8``.
    """
    ink = _ink(_flattened(image, dial))
    return Sight(dial, ink, _weights(ink[IS_INSIDE]))


def _flattened(image: ImageRGB, dial: Dial) -> ImageRGB:
    """The rectified disc, ``(_FLAT_SIDE_PX, _FLAT_SIDE_PX, 3)``; averaged where it is larger."""
    reach_px = dial.axes_px[0] + 3
    x0, y0 = (max(0, int(c - reach_px)) for c in dial.center)
    x1, y1 = (int(c + reach_px) + 2 for c in dial.center)
    scale = min(1.0, _FLAT_SIDE_PX / 2 / dial.radius_px)
    crop = resized(image[y0:y1, x0:x1], scale)
    x_px, y_px = ((c - o + 0.5) * scale - 0.5 for c, o in zip(dial.center, (x0, y0), strict=True))
    x, y = _grid(_FLAT_SIDE_PX)
    m = (dial.matrix * scale).astype(np.float32)
    map_x = m[0, 0] * x + m[0, 1] * y + np.float32(x_px)
    map_y = m[1, 0] * x + m[1, 1] * y + np.float32(y_px)
    flat = cv2.remap(crop, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(flat, np.uint8)


def _ink(flat: ImageRGB) -> Float32s:
    face = np.asarray(cv2.medianBlur(flat, int(_FACE_PART * _FLAT_SIDE_PX) | 1), np.uint8)
    away = lab_of(flat) - lab_of(face)
    difference = np.sqrt(np.einsum("ijk,ijk->ij", away, away))
    middle = difference[np.hypot(*_grid(_FLAT_SIDE_PX)) < 0.75]
    noise, strong = float(np.median(middle)), float(np.percentile(middle, STRONG_PCT))
    level = max(LEAST_DIFFERENCE, noise + STRONG_SHARE * (strong - noise))
    soft = np.clip(difference / level - 0.5, 0.0, 1.0)
    # hands that are drawn as outlines, or shine along their middle, are one bar
    closed = cv2.morphologyEx(soft, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    return np.asarray(cv2.resize(closed, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.float32)


def _weights(inside: Float32s) -> Float32s:
    cells = np.maximum(1, np.bincount(_RING, minlength=RINGS))
    full = np.bincount(_RING, inside, RINGS) / cells
    weight = np.clip((FULL_RING - full) / (FULL_RING - PLAIN_RING), LEAST_WEIGHT, 1.0)
    weight[: int(HUB_RADIUS * RINGS)] = 1.0
    return np.asarray(weight[_RING], np.float32)

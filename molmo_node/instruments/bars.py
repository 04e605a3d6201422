"""A clock's hand as a straight bar, drawn softly so that its fit can be improved by gradients."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from molmo_node.instruments.pixels import Float32s, Floats, Mask
from molmo_node.instruments.sight import X, Y

PARTS = 5
"""Numbers that make a bar: angle_rad, length, half width at the pivot and at the tip, tail."""


@dataclass(frozen=True)
class Hand:
    """A straight hand; all but the angle in radii of the rim.

    Attributes:
        angle_deg: clockwise from up, on the rectified dial.
        root, tip: half widths at the pivot and at the end.
        tail: how far it reaches behind the pivot.
    """

    angle_deg: float
    length: float
    root: float
    tip: float
    tail: float

    @classmethod
    def of(cls, numbers: Floats) -> Hand:
        """From the five numbers of a fit."""
        angle_rad, length, root, tip, tail = (float(number) for number in numbers)
        return cls(math.degrees(angle_rad) % 360.0, length, root, tip, tail)

    def numbers(self) -> Floats:
        """The five numbers for a fit."""
        return np.array([math.radians(self.angle_deg), self.length, self.root, self.tip, self.tail])


@dataclass(frozen=True)
class Drawn:
    """A bar drawn into a sight, only the cells that it touches.

    Attributes:
        cells: ``(k,)``, which of the n cells of a sight.
        cover: ``(k,)`` in 0..1, how much of each it covers.
        slopes: ``(2 + PARTS, k)``, how that changes with pivot x, y and the bar's numbers.
    """

    cells: NDArray[np.intp]
    cover: Float32s
    slopes: Float32s


def draw_bar(numbers: Floats, pivot: Floats, blur: float) -> Drawn:
    """Draw a bar.

    Args:
        numbers: ``(PARTS,)``.
        pivot: ``(2,)``.
        blur: half the width of its soft edges.
    """
    angle_rad, length, root, tip, tail = (float(number) for number in numbers)
    sin, cos = np.float32(math.sin(angle_rad)), np.float32(math.cos(angle_rad))
    x, y = np.float32(pivot[0]), np.float32(pivot[1])
    along, across = X * sin - Y * cos - (x * sin - y * cos), X * cos + Y * sin - (x * cos + y * sin)
    near = np.abs(across) < np.float32(max(root, tip) + blur)
    near &= np.abs(along - np.float32((length - tail) / 2)) < np.float32((length + tail) / 2 + blur)
    cells = np.flatnonzero(near)
    along, across = along[cells], across[cells]
    side = np.sign(across)
    share = np.clip(along * np.float32(1 / length), 0.0, 1.0)
    taper = np.float32((tip - root) / length) * ((share > 0) & (share < 1))
    half_width = np.float32(root) + np.float32(tip - root) * share
    by_side, edge_side = _ramp(half_width - np.abs(across), blur)
    by_tip, edge_tip = _ramp(np.float32(length) - along, blur)
    by_tail, edge_tail = _ramp(along + np.float32(tail), blur)
    at_side, at_tip = edge_side * by_tip * by_tail, edge_tip * by_side * by_tail
    at_tail = edge_tail * by_side * by_tip
    ends = at_tip - at_tail - at_side * taper
    slopes = np.stack([
        at_side * side * cos + ends * sin,
        at_side * side * sin - ends * cos,
        at_side * side * along - ends * across,
        at_tip - at_side * taper * share,
        at_side * (1 - share),
        at_side * share,
        at_tail,
    ])  # fmt: skip
    return Drawn(cells, by_side * by_tip * by_tail, slopes)


def _ramp(depth: Float32s, blur: float) -> tuple[Float32s, Float32s]:
    """0 outside to 1 inside over twice `blur`, and its slope."""
    steep = np.float32(0.5 / blur)
    rising = depth * steep + np.float32(0.5)
    is_edge: Mask = (rising > 0) & (rising < 1)
    return np.clip(rising, 0.0, 1.0), is_edge * steep

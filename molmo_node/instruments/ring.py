"""A scale from printed numbers: which of them lie on one ring and rise evenly with the angle."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from molmo_node.instruments.angles import clockwise_deg, signed_deg
from molmo_node.instruments.pixels import Floats

INNERMOST, OUTERMOST = 0.28, 1.08
SAME_RING = 0.16
NEAREST_DEG, FARTHEST_DEG = 12.0, 320.0
OFF_LINE_DEG = 6.0
APART_DEG = 5.0
"""Printed numbers are further apart; nearer ones are one number read twice."""
MOST_SPAN_DEG = 335.0
FEWEST = 3
CLOCK_HOURS = range(1, 13)
HOUR_DEG = 30.0
PIVOT_SIGMA = 0.03
"""How far the pivot is thought to be from where it was looked for, in radii."""


@dataclass(frozen=True)
class Number:
    """A printed number in the plane of the rectified dial; x right, y down, in radii."""

    value: float
    x: float
    y: float
    score: float


@dataclass(frozen=True)
class Ring:
    """Numbers that make an even scale about a pivot.

    Attributes:
        pivot: where the needle turns, in the plane of the numbers.
        base_deg: direction at which the line through the numbers has the value `base_value`.
        units_per_deg: along the clock; negative where values rise the other way round.
        numbers: those that fit.
        rms_deg: how far they are from the line.
        radius: mean distance from the pivot.
    """

    pivot: tuple[float, float]
    base_deg: float
    base_value: float
    units_per_deg: float
    numbers: tuple[Number, ...]
    rms_deg: float
    radius: float

    @property
    def low(self) -> float:
        """The lowest number."""
        return min(number.value for number in self.numbers)

    @property
    def high(self) -> float:
        """The highest number."""
        return max(number.value for number in self.numbers)

    @property
    def span_deg(self) -> float:
        """Degrees between the lowest and the highest number."""
        return (self.high - self.low) / abs(self.units_per_deg)

    @property
    def is_clock(self) -> bool:
        """The hours of a clock: whole numbers of 1 to 12, one every 30° along the clock.

        Seen from the side the steps differ; with an 11 or 12 they may, a gauge to 10 has none.
        """
        are_hours = all(n.value in CLOCK_HOURS for n in self.numbers)
        loose_deg = 6.0 if self.high >= 11 else 2.5
        return are_hours and abs(1.0 / self.units_per_deg - HOUR_DEG) < loose_deg

    def value(self, angle_deg: float) -> float:
        """What a needle in this direction shows; the cut is opposite the scale's middle."""
        middle = (self.low + self.high) / 2
        middle_deg = self.base_deg + (middle - self.base_value) / self.units_per_deg
        return middle + self.units_per_deg * signed_deg(angle_deg - middle_deg)

    def beyond_deg(self, angle_deg: float) -> float:
        """Degrees by which a direction lies outside the numbers; 0 between them."""
        value = self.value(angle_deg)
        return max(0.0, self.low - value, value - self.high) / abs(self.units_per_deg)


def find_rings(numbers: Sequence[Number], most: int = 2) -> list[Ring]:
    """Rings of three or more numbers about the dial's centre, the best first, no number twice."""
    left = list(numbers)
    rings: list[Ring] = []
    while len(rings) < most and (ring := _best_ring(left)) is not None:
        rings.append(ring)
        left = [number for number in left if number not in ring.numbers]
    return rings


def _best_ring(numbers: Sequence[Number]) -> Ring | None:
    polar = [
        (number, clockwise_deg(number.x, number.y), math.hypot(number.x, number.y))
        for number in numbers
        if INNERMOST < math.hypot(number.x, number.y) < OUTERMOST
    ]
    best: tuple[float, list[Number]] | None = None
    for first, first_deg, first_radius in polar:
        for second, second_deg, second_radius in polar:
            turn_deg = (second_deg - first_deg) % 360.0
            is_near = abs(first_radius - second_radius) <= SAME_RING
            if first.value == second.value or not is_near:
                continue
            if not NEAREST_DEG < turn_deg < FARTHEST_DEG:
                continue
            slope = (second.value - first.value) / turn_deg
            fitting = _fitting(polar, first.value, first_deg, first_radius, slope)
            rating = _rating(fitting)
            if len(fitting) >= FEWEST and (best is None or rating > best[0]):
                best = (rating, [number for number, _, _ in fitting])
    return None if best is None else fit_ring(best[1])


_Placed = tuple[Number, float, float]


def _fitting(
    polar: Sequence[_Placed], value: float, base_deg: float, radius: float, slope: float
) -> list[tuple[Number, float, float]]:
    """(number, turn from the base, radius) of those on the line; each value and place once."""
    near: list[tuple[float, Number, float, float]] = []
    for number, angle_deg, number_radius in polar:
        if abs(number_radius - radius) > SAME_RING:
            continue
        wanted_deg = (number.value - value) / slope
        off_deg = abs(signed_deg(angle_deg - base_deg - wanted_deg))
        if off_deg <= OFF_LINE_DEG and abs(wanted_deg) <= MOST_SPAN_DEG:
            near.append((off_deg, number, wanted_deg, number_radius))
    kept: list[tuple[Number, float, float]] = []
    for _, number, wanted_deg, number_radius in sorted(near, key=lambda entry: entry[0]):
        if all(
            number.value != other.value and abs(wanted_deg - turn_deg) > APART_DEG
            for other, turn_deg, _ in kept
        ):
            kept.append((number, wanted_deg, number_radius))
    turns = [turn_deg for _, turn_deg, _ in kept]
    if turns and max(turns) - min(turns) > MOST_SPAN_DEG:
        return []
    return kept


def _rating(fitting: Sequence[tuple[Number, float, float]]) -> float:
    """More and surer numbers, further out, over more of the turn."""
    if not fitting:
        return 0.0
    turns = [turn for _, turn, _ in fitting]
    scores = sum(number.score for number, _, _ in fitting)
    radius = sum(radius for _, _, radius in fitting) / len(fitting)
    return scores + 0.15 * radius + (max(turns) - min(turns)) / 2000.0


def fit_ring(numbers: Sequence[Number], pivot: tuple[float, float] = (0.0, 0.0)) -> Ring:
    """The even scale through numbers seen from a pivot, robust against a misplaced one."""
    ordered = sorted(numbers, key=lambda number: number.value)
    angles_deg = [clockwise_deg(n.x - pivot[0], n.y - pivot[1]) for n in ordered]
    turns = _unwrapped(ordered, angles_deg)
    values = np.array([number.value for number in ordered])
    slope, offset, rms_deg = _robust_line(turns, values)
    radius = float(np.mean([math.hypot(n.x - pivot[0], n.y - pivot[1]) for n in ordered]))
    return Ring(pivot, angles_deg[0], offset, slope, tuple(ordered), rms_deg, radius)


def _unwrapped(ordered: Sequence[Number], angles_deg: Sequence[float]) -> Floats:
    """Turns from the first number, growing or falling steadily with the value."""
    steps = np.array([(b - a) % 360.0 for a, b in pairwise(angles_deg)])
    backwards = 360.0 - steps
    chosen = steps if steps.sum() <= backwards.sum() else -backwards
    return np.concatenate([[0.0], np.cumsum(chosen)])


def _robust_line(turns: Floats, values: Floats) -> tuple[float, float, float]:
    """(slope, value at turn 0, rms in degrees), Huber weights at two degrees."""
    design = np.column_stack([turns, np.ones_like(turns)])
    weights = np.ones_like(turns)
    slope, offset = 0.0, 0.0
    off_deg = np.zeros_like(turns)
    for _ in range(6):
        slope, offset = np.linalg.lstsq(design * weights[:, None], values * weights, rcond=None)[0]
        off_deg = (values - design @ (slope, offset)) / slope
        weights = 1.0 / np.sqrt(np.maximum(1.0, np.abs(off_deg) / 2.0))
    return float(slope), float(offset), float(np.sqrt(np.mean(off_deg**2)))


def centred_ring(
    ring: Ring, along: tuple[float, float] | None, foot: tuple[float, float] = (0.0, 0.0)
) -> Ring:
    """The ring about the pivot that makes its scale most even.

    A rim's centre is not the pivot on a dial seen from the side: the numbers then seem uneven.

    Args:
        along: direction of the needle's line, on which the pivot lies; None: anywhere near.
        foot: a point of that line.
    """
    if len(ring.numbers) < FEWEST + 1:
        return ring
    steps = np.arange(-8, 9) * 0.02
    if along is not None:
        places = [(foot[0] + s * along[0], foot[1] + s * along[1]) for s in steps]
    else:
        places = [(float(x), float(y)) for x in steps[::2] for y in steps[::2]]
    rated = [(_unevenness(fit_ring(ring.numbers, place), place), place) for place in places]
    return fit_ring(ring.numbers, min(rated)[1])


def _unevenness(ring: Ring, place: tuple[float, float]) -> float:
    """Chi square of the numbers about the line and of the pivot about its place."""
    spread = ring.rms_deg**2 * len(ring.numbers) / 1.5**2
    distances = [math.hypot(n.x - place[0], n.y - place[1]) for n in ring.numbers]
    round_off = float(np.std(distances)) / 0.03
    return spread + round_off**2 * len(distances) * 0.3 + (math.hypot(*place) / PIVOT_SIGMA) ** 2

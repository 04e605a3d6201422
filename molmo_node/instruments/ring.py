"""A scale from printed numbers: which of them lie on one ring and rise evenly with the angle."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from molmo_node.instruments.angles import apart_deg, clockwise_deg, signed_deg
from molmo_node.instruments.even import NUMBER_SIGMA, Sighting, even_scale
from molmo_node.instruments.perspective import Lean, PointXY, turned_back

INNERMOST, OUTERMOST = 0.28, 1.08
SAME_RING = 0.16
NEAREST_DEG, FARTHEST_DEG = 12.0, 320.0
OFF_LINE_DEG = 6.0
APART_DEG = 5.0
"""Printed numbers are further apart; nearer ones are one number read twice."""
MOST_SPAN_DEG = 335.0
FEWEST = 3
UNEVEN_COST = 0.1
CLOCK_HOURS = range(1, 13)
HOUR_DEG = 30.0
UPRIGHT_DEG = 25.0
MOST_NUMBERS = 24
NARROWEST_FIRST = 0.6
NEXT_TO = 0.1
SAME_VALUE, MISREAD = 0.01, 0.2
"""In steps: off by less is the same number, by up to a fifth is it misread in one digit."""


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
        off_deg: how far each of them is from the line, along the clock.
        sigma_deg: how exactly their places are known.
        radius: mean distance from the pivot.
        zero: a printed 0 that stands nearer to the lowest number than an even scale has it, as
            on gauges whose needle rests on a pin.
        zero_deg: its direction.
    """

    pivot: PointXY
    base_deg: float
    base_value: float
    units_per_deg: float
    numbers: tuple[Number, ...]
    off_deg: tuple[float, ...]
    sigma_deg: float
    radius: float
    zero: Number | None = None
    zero_deg: float = 0.0

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

    def is_clock(self, up_deg: float | None = None) -> bool:
        """The hours of a clock: whole numbers of 1 to 12, one every 30° along the clock.

        Args:
            up_deg: which way is up for the numbers, where that is known: there the 12 stands.
        """
        are_hours = all(n.value in CLOCK_HOURS for n in self.numbers)
        loose_deg = 6.0 if self.high >= 11 else 2.5
        if not are_hours or abs(1.0 / self.units_per_deg - HOUR_DEG) >= loose_deg:
            return False
        twelve_deg = self.base_deg - self.base_value * HOUR_DEG
        return up_deg is None or self.high >= 11 or apart_deg(twelve_deg, up_deg) < UPRIGHT_DEG

    @property
    def rms_deg(self) -> float:
        """How far the numbers are from the even scale."""
        return float(np.sqrt(np.mean(np.square(self.off_deg))))

    @property
    def step(self) -> float:
        """What most neighbouring numbers of the printed scale differ by."""
        return printed_step([number.value for number in self.numbers])

    def printed_values(self) -> list[float]:
        """The values from `low` to `high` that have a number, read or not."""
        step = self.step
        count = round((self.high - self.low) / step) + 1 if step > 0 else 0
        if not len(self.numbers) <= count <= MOST_NUMBERS:
            return [number.value for number in self.numbers]
        return [round(self.low + step * index, 9) for index in range(count)]

    @property
    def zero_or_low(self) -> float:
        """Where the printed scale begins: at 0 where that fits on the dial, else `low`."""
        reaches = self.low > 0 and self.high / abs(self.units_per_deg) < MOST_SPAN_DEG
        return 0.0 if reaches else self.low

    def value(self, angle_deg: float) -> float:
        """What a needle in this direction shows; the cut is opposite the scale's middle.

        A scale whose numbers are less even than their places are exact is no even scale: the
        value is taken between its neighbours (as far as the numbers can be believed).
        """
        middle = (self.low + self.high) / 2
        turn_deg = signed_deg(angle_deg - self.angle_deg(middle))
        even = middle + self.units_per_deg * turn_deg
        believed = self.rms_deg**2 / (self.rms_deg**2 + self.sigma_deg**2)
        off_deg = np.interp(even, [number.value for number in self.numbers], self.off_deg)
        if self.zero is not None and even < self.low:
            low_deg = self.angle_deg(self.low) + believed * self.off_deg[0]
            width_deg = signed_deg(low_deg - self.zero_deg)
            return self.low * signed_deg(angle_deg - self.zero_deg) / width_deg
        return even - self.units_per_deg * believed * float(off_deg)

    def angle_deg(self, value: float) -> float:
        """The direction of a value."""
        return self.base_deg + (value - self.base_value) / self.units_per_deg

    def is_between(self, angle_deg: float) -> bool:
        """The direction lies between numbers that were read, or a little beyond the last."""
        value, slack = self.value(angle_deg), NEXT_TO * self.step
        low = 0.0 if self.zero is not None else self.low
        return low - slack <= value <= self.high + slack

    def beyond_deg(self, angle_deg: float) -> float:
        """Degrees by which a direction lies outside the printed scale; 0 on it."""
        value = self.value(angle_deg)
        return max(0.0, self.zero_or_low - value, value - self.high) / abs(self.units_per_deg)


def printed_step(values: Sequence[float]) -> float:
    """The largest step of which nearly all numbers are multiples, counted from the first fitting.

    One in five, at least one of four or more, may be misread. 0 where there is no such step.
    """
    ordered = sorted(values)
    most_wrong = max(1, len(ordered) // 5) if len(ordered) > FEWEST else 0
    steps = sorted({round(b - a, 9) for a, b in pairwise(ordered)}, reverse=True)
    for step in steps:
        for base in ordered[: most_wrong + 1]:
            wrong = sum(_off_step(value, base, step) > SAME_VALUE for value in ordered)
            if wrong <= most_wrong:
                return step
    return 0.0


def _off_step(value: float, base: float, step: float) -> float:
    """How far a value is from a multiple of the step, in steps."""
    steps = (value - base) / step
    return abs(steps - round(steps))


def stepped(numbers: Sequence[Number]) -> list[Number]:
    """The numbers with a misread one, 608 among 400, 800 and 1000, put right or left out."""
    step = printed_step([number.value for number in numbers])
    if step <= 0:
        return list(numbers)
    base = max(
        (number.value for number in numbers),
        key=lambda value: sum(_off_step(n.value, value, step) <= SAME_VALUE for n in numbers),
    )
    kept: dict[float, Number] = {}
    for number in numbers:
        value = round(base + step * round((number.value - base) / step), 9)
        if _off_step(number.value, base, step) < MISREAD:
            kept.setdefault(value, replace(number, value=value))
    return list(kept.values())


def find_rings(numbers: Sequence[Number], lean: Lean = Lean(), most: int = 2) -> list[Ring]:
    """Rings of three or more numbers, the best first, no number twice.

    Args:
        lean: how the dial is seen; numbers that are uneven about the rim's middle are tried
            about other places for the pivot.
    """
    left = list(numbers)
    rings: list[Ring] = []
    while len(rings) < most and (ring := _best_ring(left, lean)) is not None:
        rings.append(ring)
        left = [number for number in left if number not in ring.numbers]
    return rings


def _best_ring(numbers: Sequence[Number], lean: Lean) -> Ring | None:
    if len(numbers) < FEWEST:
        return None
    guesses = np.array(lean.guesses())
    places = turned_back(np.array([(number.x, number.y) for number in numbers]), guesses)
    best: tuple[float, list[Number]] | None = None
    for guess, seen in zip(guesses, places, strict=True):
        found = _best_fitting(numbers, [(float(x), float(y)) for x, y in seen])
        if found is None:
            continue
        rating = found[0] - UNEVEN_COST * float(lean.cost(guess[None])[0])
        if best is None or rating > best[0]:
            best = (rating, found[1])
    if best is None:
        return None
    ring = fit_ring(stepped(best[1]), lean)
    zero = _near_zero(ring, numbers)
    return ring if zero is None else fit_ring(ring.numbers, lean, zero=zero)


def _near_zero(ring: Ring, numbers: Sequence[Number]) -> Number | None:
    """A printed 0 on the ring that stands too near to the lowest number for an even scale."""
    if not 0 < ring.low <= 1.01 * ring.step:
        return None
    expected_deg = ring.low / ring.units_per_deg
    for number in numbers:
        if number.value != 0:
            continue
        zero_deg = _direction_deg(number, ring.pivot)
        turn_deg = signed_deg(ring.angle_deg(ring.low) - zero_deg)
        reach = math.dist((number.x, number.y), ring.pivot)
        is_on_ring = abs(reach - ring.radius) < SAME_RING
        if is_on_ring and NARROWEST_FIRST < turn_deg / expected_deg < 1.0:
            return number
    return None


def _best_fitting(
    numbers: Sequence[Number], places: Sequence[PointXY]
) -> tuple[float, list[Number]] | None:
    """The best even scale among numbers that stand at these places about the pivot."""
    polar = [
        (number, clockwise_deg(x, y), math.hypot(x, y))
        for number, (x, y) in zip(numbers, places, strict=True)
        if INNERMOST < math.hypot(x, y) < OUTERMOST
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
            if len(fitting) < FEWEST:
                continue
            rating = _rating(fitting)
            if best is None or rating > best[0]:
                best = (rating, [number for number, _, _, _ in fitting])
    return best


_Placed = tuple[Number, float, float]
_Fitting = tuple[Number, float, float, float]


def _fitting(
    polar: Sequence[_Placed], value: float, base_deg: float, radius: float, slope: float
) -> list[_Fitting]:
    """(number, turn, radius, degrees off the line) of those on it; each value and place once."""
    near: list[tuple[float, Number, float, float]] = []
    for number, angle_deg, number_radius in polar:
        if abs(number_radius - radius) > SAME_RING:
            continue
        wanted_deg = (number.value - value) / slope
        off_deg = abs(signed_deg(angle_deg - base_deg - wanted_deg))
        if off_deg <= OFF_LINE_DEG and abs(wanted_deg) <= MOST_SPAN_DEG:
            near.append((off_deg, number, wanted_deg, number_radius))
    kept: list[_Fitting] = []
    for off_deg, number, wanted_deg, number_radius in sorted(near, key=lambda entry: entry[0]):
        if all(
            number.value != other.value and abs(wanted_deg - turn_deg) > APART_DEG
            for other, turn_deg, _, _ in kept
        ):
            kept.append((number, wanted_deg, number_radius, off_deg))
    turns = [turn_deg for _, turn_deg, _, _ in kept]
    if turns and max(turns) - min(turns) > MOST_SPAN_DEG:
        return []
    return kept


def _rating(fitting: Sequence[_Fitting]) -> float:
    """More and surer numbers, further out, more evenly, over more of the turn."""
    turns = [turn for _, turn, _, _ in fitting]
    scores = sum(number.score for number, _, _, _ in fitting)
    radius = sum(radius for _, _, radius, _ in fitting) / len(fitting)
    uneven = sum((off_deg / OFF_LINE_DEG) ** 2 for _, _, _, off_deg in fitting)
    return scores + 0.15 * radius + (max(turns) - min(turns)) / 2000.0 - UNEVEN_COST * uneven


def fit_ring(
    numbers: Sequence[Number],
    lean: Lean = Lean(),
    sighting: Sighting | None = None,
    sigma: float = NUMBER_SIGMA,
    zero: Number | None = None,
) -> Ring:
    """The ring about the pivot that makes its scale most even.

    Args:
        sighting: the needle's line, which passes through the pivot, where it is known.
        sigma: how exactly the numbers' places are known, in radii.
        zero: a printed 0 that does not stand on the even scale.
    """
    ordered = tuple(sorted(numbers, key=lambda number: number.value))
    places = np.array([(number.x, number.y) for number in ordered])
    fit = even_scale(places, np.array([number.value for number in ordered]), lean, sighting)
    return Ring(
        pivot=fit.pivot,
        base_deg=fit.base_deg,
        base_value=ordered[0].value,
        units_per_deg=1.0 / fit.deg_per_unit,
        numbers=ordered,
        off_deg=fit.off_deg,
        sigma_deg=math.degrees(sigma / fit.radius),
        radius=fit.radius,
        zero=zero,
        zero_deg=0.0 if zero is None else _direction_deg(zero, fit.pivot),
    )


def _direction_deg(number: Number, pivot: PointXY) -> float:
    """Of a number from the pivot, once the dial is turned back."""
    place = turned_back(np.array([(number.x, number.y)]), np.array([pivot]))[0, 0]
    return clockwise_deg(float(place[0]), float(place[1]))

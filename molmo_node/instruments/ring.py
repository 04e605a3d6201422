"""A scale of printed numbers about a pivot: from a needle's direction to a value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from molmo_node.instruments.angles import apart_deg, clockwise_deg, signed_deg
from molmo_node.instruments.even import NUMBER_SIGMA, Sighting, even_scale
from molmo_node.instruments.perspective import FRONTAL, Lean, PointXY, turned_back
from molmo_node.instruments.printed import Number, printed_step

MOST_SPAN_DEG = 335.0
MOST_NUMBERS = 24
NEXT_TO = 0.1
CLOCK_HOURS = range(1, 13)
HOUR_DEG = 30.0
UPRIGHT_DEG = 25.0


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
    def step_deg(self) -> float:
        """Degrees between neighbouring numbers that were read."""
        return self.span_deg / max(1, len(self.numbers) - 1)

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


def fit_ring(
    numbers: Sequence[Number],
    lean: Lean = FRONTAL,
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
        zero_deg=0.0 if zero is None else direction_deg(zero, fit.pivot),
    )


def direction_deg(number: Number, pivot: PointXY) -> float:
    """Of a number from the pivot, once the dial is turned back."""
    place = turned_back(np.array([(number.x, number.y)]), np.array([pivot]))[0, 0]
    return clockwise_deg(float(place[0]), float(place[1]))

"""From a needle's direction to a value: piecewise linear through the printed marks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from molmo_node.errors import ConfigError

Direction = Literal["clockwise", "counterclockwise"]
FULL_TURN_DEG = 360.0


@dataclass(frozen=True)
class Scale:
    """A dial's scale in the rectified plane.

    Attributes:
        values: of the marks, ascending.
        turns_deg: of the marks, from the first one along `direction`, strictly ascending.
        base_deg: direction of the first mark, clockwise from up.
        low, high: the printed ends.
        wraps: the scale closes: `high` and `low` are the same mark.
    """

    values: tuple[float, ...]
    turns_deg: tuple[float, ...]
    base_deg: float
    direction: Direction
    low: float
    high: float
    wraps: bool = False

    @classmethod
    def from_angles(
        cls,
        marks: Sequence[tuple[float, float]],
        *,
        low: float | None = None,
        high: float | None = None,
        direction: Direction | None = None,
        wraps: bool = False,
    ) -> Scale:
        """Lay a scale through (value, angle_deg) marks.

        Args:
            low, high: the printed ends; default: the marks' own, and for a scale that wraps
                one full turn from the lowest mark must be given by both.
            direction: in which values rise; default: found from three or more marks,
                clockwise for two.

        Raises:
            ConfigError: fewer than two marks, equal values, or marks that go round more than once.
        """
        ordered = sorted(marks)
        values = tuple(value for value, _ in ordered)
        if len(values) < 2 or len(set(values)) < len(values):
            raise ConfigError(
                f"marks: {len(values)} marks with values {list(values)}; at least two different "
                "values are needed",
                hint="give each mark once as value, x, y",
            )
        angles_deg = [angle_deg for _, angle_deg in ordered]
        chosen = direction or _rising_direction(angles_deg)
        turns_deg = _turns_deg(angles_deg, chosen)
        if turns_deg[-1] >= FULL_TURN_DEG or min(np.diff(turns_deg)) < 0.5:
            raise ConfigError(
                f"marks: with values rising {chosen} they go round {turns_deg[-1]:.0f}°",
                hint="check each mark's place, or set direction",
            )
        low = values[0] if low is None else low
        high = values[-1] if high is None else high
        return cls(values, turns_deg, angles_deg[0], chosen, low, high, wraps)

    @property
    def units_per_deg(self) -> float:
        """Mean slope of the scale."""
        if self.wraps:
            return (self.high - self.low) / FULL_TURN_DEG
        return (self.values[-1] - self.values[0]) / self.turns_deg[-1]

    @property
    def low_turn_deg(self) -> float:
        """Turn of the lower printed end, from the first mark."""
        return self._turn_of(self.low)

    @property
    def high_turn_deg(self) -> float:
        """Turn of the upper printed end, from the first mark."""
        return self._turn_of(self.high)

    @property
    def sweep_deg(self) -> float:
        """Degrees between the printed ends."""
        return FULL_TURN_DEG if self.wraps else self.high_turn_deg - self.low_turn_deg

    def turn_deg(self, angle_deg: float) -> float:
        """Turn of a direction from the first mark; the cut lies opposite the scale's middle."""
        turned = (angle_deg - self.base_deg) * (1 if self.direction == "clockwise" else -1)
        if self.wraps:
            return turned % FULL_TURN_DEG
        middle = (self.low_turn_deg + self.high_turn_deg) / 2
        return (turned - middle + 180.0) % FULL_TURN_DEG - 180.0 + middle

    def angle_deg(self, value: float) -> float:
        """Direction of a value on the dial, clockwise from up."""
        sign = 1 if self.direction == "clockwise" else -1
        return (self.base_deg + sign * self._turn_of(value)) % FULL_TURN_DEG

    def value(self, angle_deg: float) -> float:
        """The value a needle in this direction shows; beyond the ends the last slope goes on."""
        turn = self.turn_deg(angle_deg)
        if self.wraps:
            return self._wrapped_value(turn)
        return _interpolate(turn, self.turns_deg, self.values)

    def overshoot_deg(self, angle_deg: float) -> float:
        """Degrees by which a direction lies outside the printed ends; 0 inside."""
        if self.wraps:
            return 0.0
        turn = self.turn_deg(angle_deg)
        return max(0.0, self.low_turn_deg - turn, turn - self.high_turn_deg)

    def _turn_of(self, value: float) -> float:
        return _interpolate(value, self.values, self.turns_deg)

    def _wrapped_value(self, turn_deg: float) -> float:
        turns = (*self.turns_deg, FULL_TURN_DEG)
        values = (*self.values, self.values[0] + self.high - self.low)
        value = _interpolate(turn_deg, turns, values)
        return self.low + (value - self.low) % (self.high - self.low)


def _rising_direction(angles_deg: Sequence[float]) -> Direction:
    clockwise = _turns_deg(angles_deg, "clockwise")[-1]
    counterclockwise = _turns_deg(angles_deg, "counterclockwise")[-1]
    if len(angles_deg) > 2 and counterclockwise < clockwise:
        return "counterclockwise"
    return "clockwise"


def _turns_deg(angles_deg: Sequence[float], direction: Direction) -> tuple[float, ...]:
    sign = 1 if direction == "clockwise" else -1
    steps = [sign * (b - a) % FULL_TURN_DEG for a, b in pairwise(angles_deg)]
    return (0.0, *(float(turn) for turn in np.cumsum(steps)))


def _interpolate(at: float, xs: Sequence[float], ys: Sequence[float]) -> float:
    """Piecewise linear; the outer segments go on beyond the ends."""
    index = int(np.clip(np.searchsorted(xs, at), 1, len(xs) - 1))
    x0, x1, y0, y1 = xs[index - 1], xs[index], ys[index - 1], ys[index]
    return float(y0 + (at - x0) / (x1 - x0) * (y1 - y0))

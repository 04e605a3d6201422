"""Fit a whole clock to what a dial shows: hour, minute and perhaps a second hand on one pivot.

The most likely pose of all hands together (maximum a posteriori, Levenberg-Marquardt): the drawn
hands should explain the ink, the hour hand stands where the minute hand says, and lengths and
widths are those of clocks. Hands that overlap, hide each other or lie on one line are no special
case: only the union of the bars is compared.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from molmo_node.instruments.bars import PARTS, Drawn, Hand, draw_bar
from molmo_node.instruments.hands import geared
from molmo_node.instruments.pixels import Float32s, Floats
from molmo_node.instruments.sight import Sight, X, Y

HOUR, MINUTE, SECOND = 0, 1, 2
USUAL = (
    ((0.52, 0.12), (0.035, 0.015), (0.028, 0.018), (0.12, 0.08)),
    ((0.76, 0.13), (0.026, 0.013), (0.020, 0.015), (0.12, 0.08)),
    ((0.80, 0.15), (0.008, 0.004), (0.008, 0.004), (0.20, 0.12)),
)
"""Mean and sigma of length, half width at the pivot and the tip, and tail: hour, minute, second."""
WIDER_SIGMA = 0.007
"""Of how much wider the hour hand is than the minute hand."""
GEAR_SIGMA_DEG = 3.0
HOUR_DEG = 30.0
SECOND_SIGMA_DEG, SECOND_MOST, SECOND_GAIN = 60.0, 2.5, 0.8
"""A second hand that agrees with the minute hand's place between two marks is worth a little."""
CELLS_A_COST = 2.0
"""That many cells left unexplained weigh as much as one sigma of a prior."""
SOFTEST, SHARPEST, SHARPER = 0.035, 0.016, 0.8
LEAST = (0.15, 0.006, 0.003, 0.0)
MOST = (0.98, 0.09, 0.09, 0.40)
LARGEST_TURN_RAD = 0.1
SETTLED = 0.02
DAMPING, LEAST_DAMPING = 0.03, 1e-3
TRIES = 3
COUNTED = (0.08, 0.60)


@dataclass(frozen=True)
class PivotPrior:
    """Where the pivot may lie: a Gaussian about the rim's middle, longer along the tilt.

    Attributes:
        tilt_x, tilt_y: unit vector of the rim's short axis.
        along, across: sigmas, radii of the rim.
    """

    tilt_x: float
    tilt_y: float
    along: float
    across: float

    def precision(self) -> Floats:
        """``(2, 2)`` inverse covariance."""
        turn = np.array([[self.tilt_x, self.tilt_y], [-self.tilt_y, self.tilt_x]])
        return np.asarray(turn.T @ np.diag([self.along**-2, self.across**-2]) @ turn)


@dataclass(frozen=True)
class HandsFit:
    """One way to read a dial.

    Attributes:
        cost: what is not explained and what is unusual, together; less is better.
        prior: the unusual part of it.
        gear_deg: how far the hour hand stands from where the minute hand says, signed.
        pivot: x, y in radii of the rim.
        left: ``(n,)``, ink that the hands do not explain; negative where they cover face.
    """

    minutes: float
    cost: float
    prior: float
    gear_deg: float
    pivot: tuple[float, float]
    hour: Hand
    minute: Hand
    second: Hand | None
    roll_deg: float
    left: Float32s

    @property
    def hands(self) -> tuple[Hand, ...]:
        """Hour, minute, and the second hand where there is one."""
        return (self.hour, self.minute, *([self.second] if self.second else []))

    def explained(self, sight: Sight) -> float:
        """0..1: the part of the ink between hub and numerals that the hands account for."""
        radius = np.hypot(X - np.float32(self.pivot[0]), Y - np.float32(self.pivot[1]))
        weight = sight.weight * ((radius > COUNTED[0]) & (radius < COUNTED[1]))
        ink = float(weight @ sight.inside**2)
        return max(0.0, 1.0 - float(weight @ self.left**2) / ink) if ink > 0 else 0.0


def fit_hands(
    sight: Sight,
    hands: tuple[Hand, ...],
    pivot: tuple[float, float],
    about: PivotPrior,
    *,
    roll_deg: float = 0.0,
    rounds: int = 12,
    blur: float = SOFTEST,
) -> HandsFit:
    """Improve a guess of two or three hands until nothing moves.

    Args:
        hands: hour, minute, and the second hand if one is thought to be there.
        blur: edges this soft at first, so that a guess half a hand's width off is drawn in.
    """
    fitting = _Fitting(sight, len(hands), about, math.radians(roll_deg))
    numbers = np.concatenate([pivot, *(hand.numbers() for hand in hands)])
    state = fitting.state(numbers, blur)
    damping = DAMPING
    for _ in range(rounds):
        better, damping = fitting.improved(state, damping)
        is_sharp = state.blur <= SHARPEST
        if is_sharp and (better is None or state.cost - better.cost < SETTLED):
            state = better or state
            break
        blur = max(SHARPEST, SHARPER * state.blur)
        state = better or state
        if not is_sharp:
            state = fitting.state(state.numbers, blur)
    return fitting.result(state, roll_deg)


@dataclass(frozen=True)
class _State:
    numbers: Floats
    blur: float
    drawn: tuple[Drawn, ...]
    left: Float32s
    gear_rad: float
    prior: float
    cost: float


class _Fitting:
    """The cost of a pose and the step that lowers it."""

    def __init__(self, sight: Sight, hands: int, about: PivotPrior, roll_rad: float) -> None:
        self.ink, self.root_weight = sight.inside, np.sqrt(sight.weight)
        self.hands, self.roll_rad = hands, roll_rad
        self.mean, self.precision = _usual(hands, about)
        self.gear = np.zeros(len(self.mean))
        self.gear[_first(HOUR)], self.gear[_first(MINUTE)] = 1.0, -1.0 / 12.0

    def state(self, numbers: Floats, blur: float) -> _State:
        drawn = tuple(
            draw_bar(self._hand(numbers, hand), numbers[:2], blur) for hand in range(self.hands)
        )
        left = self.ink - (1 - _bare(drawn))
        weighted = self.root_weight * left
        off = numbers - self.mean
        gear_rad = self._gear_rad(numbers)
        prior = float(off @ self.precision @ off) + (gear_rad / math.radians(GEAR_SIGMA_DEG)) ** 2
        cost = float(weighted @ weighted) / CELLS_A_COST + prior
        return _State(numbers, blur, drawn, left, gear_rad, prior, cost)

    def improved(self, state: _State, damping: float) -> tuple[_State | None, float]:
        """A better pose, or None where no step helps; and the damping that worked."""
        slopes = self._slopes(state)
        sigma = math.radians(GEAR_SIGMA_DEG) ** 2
        curve = (slopes @ slopes.T).astype(float) / CELLS_A_COST + self.precision
        curve += np.outer(self.gear, self.gear) / sigma
        pull = (slopes @ (self.root_weight * state.left)).astype(float) / CELLS_A_COST
        pull -= self.precision @ (state.numbers - self.mean) + self.gear * (state.gear_rad / sigma)
        for _ in range(TRIES):
            step = np.asarray(
                np.linalg.solve(curve + damping * np.diag(np.diag(curve)), pull), float
            )
            better = self.state(self._stepped(state.numbers, step), state.blur)
            if better.cost <= state.cost:
                return better, max(LEAST_DAMPING, damping / 3)
            damping *= 4
        return None, damping

    def result(self, state: _State, roll_deg: float) -> HandsFit:
        hands = [Hand.of(self._hand(state.numbers, hand)) for hand in range(self.hands)]
        hour_deg, minute_deg = (hand.angle_deg - roll_deg for hand in hands[:SECOND])
        minutes, gear_deg = geared(hour_deg, minute_deg)
        second = hands[SECOND] if self.hands > SECOND else None
        extra = 0.0 if second is None else _second_cost(second.angle_deg - roll_deg, minutes)
        return HandsFit(
            minutes, state.cost + extra, state.prior + extra, gear_deg,
            (float(state.numbers[0]), float(state.numbers[1])),
            hands[HOUR], hands[MINUTE], second, roll_deg, state.left,
        )  # fmt: skip

    def _slopes(self, state: _State) -> Float32s:
        """``(numbers, n)``: how the covered cells change with each number."""
        slopes = np.zeros((len(state.numbers), len(self.ink)), np.float32)
        for hand, bar in enumerate(state.drawn):
            others = state.drawn[:hand] + state.drawn[hand + 1 :]
            own = bar.slopes * (self.root_weight * _bare(others))[bar.cells]
            slopes[:2, bar.cells] += own[:2]
            slopes[_first(hand) : _first(hand + 1), bar.cells] = own[2:]
        return slopes

    def _stepped(self, numbers: Floats, step: Floats) -> Floats:
        moved = numbers + step
        for hand in range(self.hands):
            angle = _first(hand)
            turn_rad = np.clip(step[angle], -LARGEST_TURN_RAD, LARGEST_TURN_RAD)
            moved[angle] = numbers[angle] + turn_rad
            sizes = slice(angle + 1, angle + PARTS)
            moved[sizes] = np.clip(moved[sizes], LEAST, MOST)
        return moved

    def _hand(self, numbers: Floats, hand: int) -> Floats:
        return numbers[_first(hand) : _first(hand + 1)]

    def _gear_rad(self, numbers: Floats) -> float:
        minute_rad = (numbers[_first(MINUTE)] - self.roll_rad) % (2 * math.pi)
        half = math.radians(HOUR_DEG / 2)
        off = numbers[_first(HOUR)] - self.roll_rad - minute_rad / 12
        return float((off + half) % (2 * half) - half)


def _bare(bars: tuple[Drawn, ...]) -> Float32s:
    """``(n,)`` in 0..1: how much of each cell no bar covers."""
    bare = np.ones_like(X)
    for bar in bars:
        bare[bar.cells] *= 1 - bar.cover
    return bare


def _first(hand: int) -> int:
    """Where a hand's numbers start: the pivot's two come first."""
    return 2 + PARTS * hand


def _usual(hands: int, about: PivotPrior) -> tuple[Floats, Floats]:
    """Mean and precision of all numbers of a clock's hands."""
    mean = np.zeros(_first(hands))
    precision = np.zeros((len(mean), len(mean)))
    precision[:2, :2] = about.precision()
    for hand in range(hands):
        for part, (usual, sigma) in enumerate(USUAL[hand], start=_first(hand) + 1):
            mean[part], precision[part, part] = usual, sigma**-2
    wider = np.zeros(len(mean))
    wider[_first(HOUR) + 2 : _first(HOUR) + 4] = 0.5
    wider[_first(MINUTE) + 2 : _first(MINUTE) + 4] = -0.5
    return mean, precision + np.outer(wider, wider) / WIDER_SIGMA**2


def _second_cost(second_deg: float, minutes: float) -> float:
    off_deg = (second_deg - minutes % 1.0 * 360.0 + 180.0) % 360.0 - 180.0
    return min(SECOND_MOST, (off_deg / SECOND_SIGMA_DEG) ** 2) - SECOND_GAIN

"""From straight things on a dial to a time: the pair that turns as a clock's gears do.

The hour hand moves 30° while the minute hand goes round: so where the hour hand stands between
two hours says which minute it must be, and a swap of the hands nearly always contradicts itself.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from molmo_node.instruments.angles import apart_deg
from molmo_node.instruments.needle import Needle

MINUTES_ROUND = 720.0
SAME_HAND_DEG = 5.0
OPPOSITE_DEG = 9.0
SHORTEST_HAND = 0.28
THIN = 0.75
THICKER = 1.4
LOOSE_DEG = 4.5
TOGETHER_COST = 0.8


@dataclass(frozen=True)
class Timing:
    """One way to read the hands.

    Attributes:
        minutes: since 12, in [0, 720).
        cost: 0 is a perfect clock; above 1 something does not fit.
        gear_deg: how far the hour hand stands from where the minute hand says.
        hour, minute: the hands used; the same one where they lie on each other.
        second: the second hand, if one was told apart.
    """

    minutes: float
    cost: float
    gear_deg: float
    hour: Needle
    minute: Needle
    second: Needle | None = None

    def minutes_from(self, other: Timing) -> float:
        """How far two readings are apart, at most 360."""
        return minutes_apart(self.minutes, other.minutes)


def minutes_apart(first: float, second: float) -> float:
    """The shorter way round the dial, in minutes."""
    half = MINUTES_ROUND / 2
    return abs((first - second + half) % MINUTES_ROUND - half)


def time_hands(needles: Sequence[Needle], roll_deg: float = 0.0) -> list[Timing]:
    """All ways to read the hands, the most clock-like first.

    Args:
        roll_deg: where the 12 stands, clockwise from up.
    """
    hands = _separate(needles)
    timings = [
        _pair(hour, minute, hands, roll_deg) for hour, minute in itertools.permutations(hands, 2)
    ]
    timings += [_together(hand, hands, roll_deg) for hand in hands]
    return sorted(timings, key=lambda timing: timing.cost)


def _separate(needles: Sequence[Needle]) -> list[Needle]:
    """One entry a hand, the longest first; a bar's edges are the bar."""
    hands: list[Needle] = []
    for needle in sorted(needles, key=lambda n: -n.length):
        if needle.length > SHORTEST_HAND and not any(_is_part(needle, hand) for hand in hands):
            hands.append(needle)
    return hands


def _is_part(needle: Needle, hand: Needle) -> bool:
    """Within the longer hand's own width, or on its line; a thicker one below it is a hand."""
    if needle.width > THICKER * hand.width and needle.length > 0.35:
        return False
    half_deg = math.degrees(hand.width / max(needle.length, 0.2))
    nearest_deg = min(
        apart_deg(needle.angle_deg, hand.angle_deg),
        apart_deg(needle.direction_deg, hand.direction_deg),
    )
    return nearest_deg < SAME_HAND_DEG + min(half_deg, 6.0)


def _pair(hour: Needle, minute: Needle, hands: Sequence[Needle], roll_deg: float) -> Timing:
    minutes, gear_deg = _gear(hour.angle_deg - roll_deg, minute.angle_deg - roll_deg)
    used = (hour, minute)
    cost = _gear_cost(gear_deg)
    cost += 6.0 * max(0.0, hour.length / max(minute.length, 1e-3) - 0.92)
    cost += 6.0 * max(0.0, 0.45 - minute.length)
    cost += 0.8 * max(0.0, minute.width / max(hour.width, 1e-3) - 1.0)
    cost += sum(0.7 for hand in hands if hand not in used and _is_longer_minute(hand, hour, minute))
    thinnest = min(hand.width for hand in hands)
    if len(hands) >= 3 and minute.width <= 1.1 * thinnest and minute.width < 0.6 * hour.width:
        cost += 1.0
    if 180 - apart_deg(hour.angle_deg, minute.angle_deg) < 4 and gear_deg > 8:
        cost += 1.5
    left, second = _unexplained(hands, used)
    return Timing(minutes, cost + left, gear_deg, hour, minute, second)


def _together(hand: Needle, hands: Sequence[Needle], roll_deg: float) -> Timing:
    """Both hands on each other."""
    minutes, gear_deg = _gear(hand.angle_deg - roll_deg, hand.angle_deg - roll_deg)
    left, second = _unexplained(hands, (hand,))
    is_longest = hand is max(hands, key=lambda other: other.length)
    cost = TOGETHER_COST + _gear_cost(gear_deg) + left + (0.0 if is_longest else 1.0)
    cost += 5.0 * max(0.0, 0.6 - hand.length)
    return Timing(minutes, cost, gear_deg, hand, hand, second)


def _gear_cost(gear_deg: float) -> float:
    """Hour hands sit a few degrees wrong on many clocks; more is another time."""
    return (gear_deg / LOOSE_DEG) ** 2


def _gear(hour_deg: float, minute_deg: float) -> tuple[float, float]:
    """Minutes since 12, and the hour hand's distance in degrees from where it should be."""
    minute = (minute_deg % 360.0) / 6.0
    wanted_deg = minute / 2.0
    hours = round(((hour_deg % 360.0) - wanted_deg) / 30.0)
    gear_deg = abs((hour_deg % 360.0) - wanted_deg - 30.0 * hours)
    return (60.0 * (hours % 12) + minute) % MINUTES_ROUND, gear_deg


def _is_longer_minute(hand: Needle, hour: Needle, minute: Needle) -> bool:
    """A thick hand that is longer than the minute hand would be the minute hand itself."""
    is_tail = 180 - apart_deg(hand.angle_deg, hour.angle_deg) < 10
    return hand.length > 1.02 * minute.length and hand.width > 0.8 * minute.width and not is_tail


def _unexplained(hands: Sequence[Needle], used: Sequence[Needle]) -> tuple[float, Needle | None]:
    """Cost of thick bars that are no hand in use, nor a tail; and the one thin second hand."""
    thin = THIN * min(hand.width for hand in used)
    cost, second = 0.0, None
    for hand in hands:
        if any(hand is each or hand.is_opposite(each, OPPOSITE_DEG) for each in used):
            continue
        if second is None and hand.width < thin:
            second = hand
            continue
        if any(hand.is_opposite(other, OPPOSITE_DEG) and other.width < thin for other in hands):
            continue
        cost += 0.9 * min(1.0, max(0.0, hand.length - 0.2) / 0.4)
    return cost, second

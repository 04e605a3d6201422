"""Read clocks and watches: find the dial, the pivot, the hands, and the time that fits them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from molmo_node.instruments.angles import apart_deg, unit_vector
from molmo_node.instruments.dial import Dial
from molmo_node.instruments.find import find_dials
from molmo_node.instruments.hands import Timing, time_hands
from molmo_node.instruments.likeness import clock_likeness
from molmo_node.instruments.needle import Needle, find_needles
from molmo_node.instruments.pivot import crossing, find_pivot
from molmo_node.instruments.pixels import ImageRGB
from molmo_node.instruments.polar import PolarView, filled, unroll
from molmo_node.messages import ClockReading, Geometry, Reason, Vote

MOST_DIALS = 4
HUB_RADIUS = 0.12
HAND_REACH = 0.92
SHORTEST_HAND = 0.28
MOST_HANDS = 8
OUTLINE_WIDTH = 0.05
OUTLINE_RATIO = 2.2
OUTLINE_STROKE = 0.025
SAME_BAR_DEG = 8.0
GOOD_COST = 0.3
ROUNDS = 4
SETTLED = 0.006
FARTHEST = 0.15
MISS_COST = 30.0
UNLIKE_COST = 1.0
OTHER_TIME_MIN = 2.0
ROLLS_DEG = (0.0, 90.0, 270.0, 180.0)
ROLL_COST = 1.8
"""A dial that hangs turned by a quarter is rare: its hands must fit that much better."""
LEAST_CONFIDENCE = 0.45
LEAST_LIKENESS = 0.3
MOST_GEAR_DEG = 6.5
SECOND_GEAR_DEG = 40.0


@dataclass(frozen=True)
class _Look:
    """What one dial shows about one pivot."""

    rim: Dial
    dial: Dial
    needles: tuple[Needle, ...]
    timing: Timing
    cost: float
    likeness: float


def read_clocks(image: ImageRGB, *, roll_deg: float | None = None) -> list[ClockReading]:
    """Read every clock in a picture.

    Args:
        image: ``(H, W, 3) uint8, rgb8``.
        roll_deg: where the 12 of an upright dial stands, clockwise from image-up, where the
            camera's roll is known; None: up, unless the hands only fit a quarter turn.

    Returns:
        One reading for each dial that may be a clock, the best first; a reading without an
        hour says why. Empty: no dial with hands.
    """
    seen = [read_hands(image, rim) for rim in find_dials(image, most=MOST_DIALS)]
    looks: list[_Look] = []
    for look in sorted((each for each in seen if each), key=lambda each: each.cost):
        if not any(_is_same(look, other) for other in looks):
            looks.append(look)
    readings = [_reading(look, roll_deg) for look in looks]
    return sorted(readings, key=lambda reading: -reading.confidence)


def read_hands(image: ImageRGB, rim: Dial) -> _Look | None:
    """The hands about the pivot that fits them best, or None where there are none."""
    first = _settled(image, rim, rim)
    if first is not None and first.cost < GOOD_COST:
        return first
    second = _settled(image, rim, find_pivot(image, rim))
    return min((look for look in (first, second) if look), key=lambda each: each.cost, default=None)


def _settled(image: ImageRGB, rim: Dial, dial: Dial) -> _Look | None:
    """Move the pivot to where the hands cross until it stays."""
    needles: list[Needle] = []
    view = unroll(image, dial)
    for _ in range(ROUNDS):
        needles = _hands(view)
        shift = crossing(needles)
        if shift is None or not SETTLED < math.hypot(*shift) < FARTHEST:
            break
        dial = dial.recentred(*dial.to_image(*shift))
        view = unroll(image, dial)
    else:
        needles = _hands(view)
    timings = time_hands(needles)
    if not timings:
        return None
    best = timings[0]
    miss = max(best.hour.miss, best.minute.miss)
    likeness = clock_likeness(view, rim.score)
    cost = best.cost + MISS_COST * miss + UNLIKE_COST * (1.0 - likeness)
    return _Look(rim, dial, tuple(needles), best, cost, likeness)


def _hands(view: PolarView) -> list[Needle]:
    """The hands; where they are drawn as outlines, what the outlines hold."""
    plain = _find(view)
    longest = sorted(plain, key=lambda needle: -needle.length)[:2]
    if len(longest) < 2 or any(needle.width > OUTLINE_STROKE for needle in longest):
        return plain
    solid = _find(filled(view, OUTLINE_WIDTH))
    return solid if all(_is_edge(needle, solid) for needle in longest) else plain


def _is_edge(needle: Needle, solid: list[Needle]) -> bool:
    """A thin line that becomes part of a much wider bar when gaps are closed."""
    return any(
        bar.width > max(OUTLINE_STROKE, OUTLINE_RATIO * needle.width)
        and apart_deg(bar.angle_deg, needle.angle_deg) < SAME_BAR_DEG
        for bar in solid
    )


def _find(view: PolarView) -> list[Needle]:
    return find_needles(
        view, inner=HUB_RADIUS, outer=HAND_REACH, shortest=SHORTEST_HAND, most=MOST_HANDS
    )


def _is_same(first: _Look, second: _Look) -> bool:
    """Two rims about one pivot."""
    apart_px = math.dist(first.dial.center, second.dial.center)
    return apart_px < 0.3 * max(first.dial.radius_px, second.dial.radius_px)


@dataclass(frozen=True)
class _Way:
    """One way to read the dial: how it hangs, and the time then."""

    roll_deg: float
    timing: Timing
    cost: float


def _ways(look: _Look, roll_deg: float | None) -> list[_Way]:
    """Each way the dial may hang with each way its hands may be read, the likeliest first."""
    rolls = ROLLS_DEG if roll_deg is None else (roll_deg,)
    ways = [
        _Way(roll, timing, timing.cost + (ROLL_COST if roll and roll_deg is None else 0.0))
        for roll in rolls
        for timing in time_hands(look.needles, roll)
    ]
    return sorted(ways, key=lambda way: way.cost)


def _reading(look: _Look, roll_deg: float | None) -> ClockReading:
    ways = _ways(look, roll_deg)
    best, timing = ways[0], ways[0].timing
    others = [way for way in ways if way.timing.minutes_from(timing) > OTHER_TIME_MIN]
    other = others[0] if others else None
    confidence = _confidence(look, best, other)
    reason = _doubt(look, best, confidence)
    second = _second(timing, best.roll_deg)
    hour, minute = _hour_minute(timing.minutes, second)
    return ClockReading(
        hour=None if reason else hour,
        minute=None if reason else minute,
        second=None if reason else second,
        confidence=confidence,
        status="refused" if reason else "ok",
        method="hands",
        reason=reason,
        alternative=_other_time(best if reason else other),
        votes=(Vote(method="hands", value=timing.minutes, confidence=confidence, reason=reason),),
        geometry=_geometry(look, timing),
    )


def _confidence(look: _Look, best: _Way, other: _Way | None) -> float:
    """0..1: fits a clock's gears, nothing else fits as well, lines meet, looks like a dial."""
    fits = math.exp(-max(0.0, best.cost - 0.3))
    margin = 2.0 if other is None else other.cost - best.cost
    clear = 1.0 - math.exp(-max(0.0, margin) / 0.5)
    meets = math.exp(-((max(best.timing.hour.miss, best.timing.minute.miss) / 0.05) ** 2))
    return fits * clear * meets * look.likeness


def _doubt(look: _Look, best: _Way, confidence: float) -> Reason | None:
    if look.likeness < LEAST_LIKENESS:
        return "no_dial"
    if best.timing.gear_deg > MOST_GEAR_DEG:
        return "hands_disagree"
    return "low_confidence" if confidence < LEAST_CONFIDENCE else None


def _second(timing: Timing, roll_deg: float) -> int | None:
    """The second hand's own reading, if it agrees with where the minute hand stands."""
    if timing.second is None:
        return None
    second_deg = (timing.second.angle_deg - roll_deg) % 360.0
    expected_deg = (timing.minutes % 1.0) * 360.0
    off_deg = abs((second_deg - expected_deg + 180.0) % 360.0 - 180.0)
    return round(second_deg / 6.0) % 60 if off_deg < 2 * SECOND_GEAR_DEG else None


def _hour_minute(minutes: float, second: int | None) -> tuple[int, int]:
    """The minute that the second hand belongs to, or the nearest where there is none."""
    whole = round(minutes if second is None else minutes - second / 60.0) % 720
    return whole // 60, whole % 60


def _other_time(way: _Way | None) -> str | None:
    if way is None:
        return None
    minutes = way.timing.minutes
    whole = round(minutes) % 720
    return f"{whole // 60 or 12}:{whole % 60:02d}"


def _geometry(look: _Look, timing: Timing) -> Geometry:
    x, y = unit_vector(timing.minute.angle_deg)
    length = timing.minute.length
    hands = [timing.hour, timing.minute, *([timing.second] if timing.second else [])]
    return Geometry(
        center=look.dial.center,
        needle_tip=look.dial.to_image(length * x, length * y),
        ellipse=(*look.rim.center, *look.rim.axes_px),
        hands_deg=tuple(hand.angle_deg for hand in hands),
    )

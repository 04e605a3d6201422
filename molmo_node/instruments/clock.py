"""Read clocks and watches: find the dial, fit the hands of every likely time, keep the best.

The confidence says how much better the best time fits than any other, how much of the ink its
hands explain, and how much the ellipse looks like a dial.
"""

from __future__ import annotations

import math

from molmo_node.instruments.angles import unit_vector
from molmo_node.instruments.clock_look import ClockLook, look_for_time
from molmo_node.instruments.find import find_dials
from molmo_node.instruments.fit_hands import HandsFit
from molmo_node.instruments.likeness import clock_likeness, marks_roll_deg
from molmo_node.instruments.numerals import roll_from_numerals
from molmo_node.instruments.ocr import text_reader
from molmo_node.instruments.pixels import ImageRGB
from molmo_node.instruments.polar import unroll
from molmo_node.messages import ClockReading, Geometry, Reason, Vote

MOST_DIALS = 4
MOST_ASKED = 2
"""Dials of a picture whose numerals are read: that takes a second or more each."""
FULLY_EXPLAINED, MARGIN_SCALE = 0.5, 5.0
LEAST_CONFIDENCE = 0.55
LEAST_LIKENESS = 0.3
MOST_GEAR_DEG = 6.5
SECOND_OFF_DEG = 80.0
LEAST_ROLL_DEG = 4.0


def read_clocks(image: ImageRGB, *, roll_deg: float | None = None) -> list[ClockReading]:
    """Read every clock in a picture.

    Args:
        image: ``(H, W, 3) uint8, rgb8``.
        roll_deg: where the 12 of an upright dial stands, clockwise from image-up, where the
            camera's roll is known. None: up; where no time fits so, and the extra `[ocr]` is
            installed, where the numerals say.

    Returns:
        One reading for each dial that may be a clock, the best first; a reading without an
        hour says why. Empty: no dial with hands.
    """
    seen: list[ClockLook] = []
    for rim in find_dials(image, most=MOST_DIALS):
        if not any(look.is_clear and look.holds(rim) for look in seen):
            seen += [look] if (look := look_for_time(image, rim, roll_deg or 0.0)) else []
    looks: list[ClockLook] = []
    for look in sorted(seen, key=lambda each: -each.worth):
        if not any(look.is_same(other) for other in looks):
            looks.append(look)
    readings = _upright(image, looks) if roll_deg is None else [_reading(image, x) for x in looks]
    return sorted(readings, key=lambda reading: -reading.confidence)


def _upright(image: ImageRGB, looks: list[ClockLook]) -> list[ClockReading]:
    """Each dial as it should hang; those that are not sure with what their numerals say."""
    looks = [_as_marked(image, look) for look in looks]
    seen = [(look, _reading(image, look)) for look in looks]
    told = [look for look, reading in seen if reading.hour is not None]
    readings: list[ClockReading] = []
    asked = 0
    for look, reading in seen:
        if reading.hour is None and any(other.holds(look.dial) for other in told):
            continue
        is_sure = reading.hour is not None and not look.fits[0].roll_deg
        is_hopeless = reading.reason == "no_dial" and not look.is_clear
        surer = None
        if not (is_sure or is_hopeless) and asked < MOST_ASKED:
            surer, asked = _by_numerals(image, look), asked + 1
        readings.append(surer or reading)
    return readings


def _as_marked(image: ImageRGB, look: ClockLook) -> ClockLook:
    """The dial turned by the few degrees that its hour marks stand off, if they do."""
    roll_deg = marks_roll_deg(unroll(image, look.dial))
    if roll_deg is None or abs(roll_deg) < LEAST_ROLL_DEG:
        return look
    return look_for_time(image, look.sight.dial, roll_deg) or look


def _by_numerals(image: ImageRGB, look: ClockLook) -> ClockReading | None:
    """The dial as its numerals say it hangs; None where they cannot be read."""
    read_text = text_reader()
    roll_deg = roll_from_numerals(image, look.dial, read_text) if read_text else None
    if roll_deg is None:
        return None
    if abs(roll_deg) >= LEAST_ROLL_DEG:
        look = look_for_time(image, look.sight.dial, roll_deg) or look
    return _reading(image, look, has_numerals=True)


def _reading(image: ImageRGB, look: ClockLook, *, has_numerals: bool = False) -> ClockReading:
    """What one look says; numerals that go round the pivot are proof of a clock."""
    best, other = look.fits[0], look.other
    likeness = 1.0
    if not has_numerals:
        likeness = clock_likeness(unroll(image, look.dial), look.sight.dial.score)
    confidence = _confidence(look, likeness)
    reason = _doubt(best, likeness, confidence)
    second = _second(best)
    hour, minute = _hour_minute(best.minutes, second)
    return ClockReading(
        hour=None if reason else hour,
        minute=None if reason else minute,
        second=None if reason else second,
        confidence=confidence,
        status="refused" if reason else "ok",
        method="hands",
        reason=reason,
        alternative=_other_time(best if reason else other),
        gear_deg=best.gear_deg,
        votes=(Vote(method="hands", value=best.minutes, confidence=confidence, reason=reason),),
        geometry=_geometry(look),
    )


def _confidence(look: ClockLook, likeness: float) -> float:
    """0..1: looks like a dial, its hands explain the ink, and no other time fits as well."""
    explains = min(1.0, look.explained / FULLY_EXPLAINED)
    return likeness * explains * (1.0 - math.exp(-look.margin / MARGIN_SCALE))


def _doubt(best: HandsFit, likeness: float, confidence: float) -> Reason | None:
    if likeness < LEAST_LIKENESS:
        return "no_dial"
    if abs(best.gear_deg) > MOST_GEAR_DEG:
        return "hands_disagree"
    return "low_confidence" if confidence < LEAST_CONFIDENCE else None


def _second(fit: HandsFit) -> int | None:
    """The second hand's own reading, if it agrees with where the minute hand stands."""
    if fit.second is None:
        return None
    second_deg = (fit.second.angle_deg - fit.roll_deg) % 360.0
    expected_deg = (fit.minutes % 1.0) * 360.0
    off_deg = abs((second_deg - expected_deg + 180.0) % 360.0 - 180.0)
    return round(second_deg / 6.0) % 60 if off_deg < SECOND_OFF_DEG else None


def _hour_minute(minutes: float, second: int | None) -> tuple[int, int]:
    """The minute that the second hand belongs to, or the nearest where there is none."""
    whole = round(minutes if second is None else minutes - second / 60.0) % 720
    return whole // 60, whole % 60


def _other_time(fit: HandsFit | None) -> str | None:
    if fit is None:
        return None
    whole = round(fit.minutes) % 720
    return f"{whole // 60 or 12}:{whole % 60:02d}"


def _geometry(look: ClockLook) -> Geometry:
    best, dial, rim = look.fits[0], look.dial, look.sight.dial
    x, y = unit_vector(best.minute.angle_deg)
    return Geometry(
        center=dial.center,
        needle_tip=dial.to_image(best.minute.length * x, best.minute.length * y),
        ellipse=(*rim.center, *rim.axes_px),
        hands_deg=tuple(hand.angle_deg for hand in best.hands),
    )

"""Read clocks and watches: find the dial, fit the hands of every likely time, keep the best.

The confidence says how much better the best time fits than any other, how much of the ink its
hands explain, and how much the ellipse looks like a dial.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from molmo_node.instruments.angles import unit_vector
from molmo_node.instruments.bars import Hand
from molmo_node.instruments.dial import Dial
from molmo_node.instruments.find import find_dials
from molmo_node.instruments.fit_hands import HandsFit, PivotPrior, fit_hands
from molmo_node.instruments.guess_time import Guess, guess_times, straightest, tilt_prior
from molmo_node.instruments.hands import minutes_apart
from molmo_node.instruments.likeness import clock_likeness
from molmo_node.instruments.numerals import roll_from_numerals
from molmo_node.instruments.ocr import text_reader
from molmo_node.instruments.pixels import ImageRGB
from molmo_node.instruments.polar import unroll
from molmo_node.instruments.sight import IS_INSIDE, Sight, look_at
from molmo_node.messages import ClockReading, Geometry, Reason, Vote

MOST_DIALS = 4
MOST_ASKED = 2
"""Dials of a picture whose numerals are read: that takes a second or more each."""
CLEAR_EXPLAINED, CLEAR_MARGIN = 0.4, 6.0
GUESSES = 8
FIRST_ROUNDS, LAST_ROUNDS, SECOND_ROUNDS = 5, 8, 6
FIRST_BLUR, LAST_BLUR = 0.035, 0.02
HOPELESS = 25.0
LEAST_SECOND = 0.10
USUAL_HOUR = Hand(0.0, 0.52, 0.035, 0.028, 0.12)
USUAL_MINUTE = Hand(0.0, 0.76, 0.026, 0.020, 0.12)
THIN_SECOND = Hand(0.0, 0.80, 0.008, 0.008, 0.20)
PRIOR_COST = 0.02
OTHER_TIME_MIN = 2.0
FULLY_EXPLAINED, MARGIN_SCALE = 0.5, 5.0
LEAST_CONFIDENCE = 0.45
LEAST_LIKENESS = 0.3
MOST_GEAR_DEG = 6.5
SECOND_OFF_DEG = 80.0
LEAST_ROLL_DEG = 4.0


@dataclass(frozen=True)
class _Look:
    """What one rim shows: every time that was tried, the likeliest first."""

    sight: Sight
    fits: tuple[HandsFit, ...]
    explained: float

    @property
    def dial(self) -> Dial:
        """About the pivot."""
        rim = self.sight.dial
        return rim.recentred(*rim.to_image(*self.fits[0].pivot))

    @property
    def other(self) -> HandsFit | None:
        """The likeliest other time."""
        best = self.fits[0].minutes
        others = (fit for fit in self.fits if minutes_apart(fit.minutes, best) > OTHER_TIME_MIN)
        return next(others, None)

    @property
    def margin(self) -> float:
        """How much worse any other time fits."""
        return self.other.cost - self.fits[0].cost if self.other else HOPELESS

    @property
    def is_clear(self) -> bool:
        """No second rim about the same pivot is needed."""
        return self.explained > CLEAR_EXPLAINED and self.margin > CLEAR_MARGIN

    @property
    def worth(self) -> float:
        """Among rims of one clock the one whose hands explain the most is best."""
        return self.explained - PRIOR_COST * self.fits[0].prior


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
    seen: list[_Look] = []
    for rim in find_dials(image, most=MOST_DIALS):
        if not any(look.is_clear and _is_about(rim, look) for look in seen):
            seen += [look] if (look := _look(image, rim, roll_deg or 0.0)) else []
    looks: list[_Look] = []
    for look in sorted(seen, key=lambda each: -each.worth):
        if not any(_is_same(look, other) for other in looks):
            looks.append(look)
    readings = _upright(image, looks) if roll_deg is None else [_reading(image, x) for x in looks]
    return sorted(readings, key=lambda reading: -reading.confidence)


def _upright(image: ImageRGB, looks: list[_Look]) -> list[ClockReading]:
    """Each dial as it should hang; those that are not sure with what their numerals say."""
    seen = [(look, _reading(image, look)) for look in looks]
    told = [look for look, reading in seen if reading.hour is not None]
    readings = [reading for _, reading in seen if reading.hour is not None]
    asked = 0
    for look, reading in seen:
        if reading.hour is not None or any(_is_about(look.dial, other) for other in told):
            continue
        is_hopeless = reading.reason == "no_dial" and not look.is_clear
        surer = None
        if not is_hopeless and asked < MOST_ASKED:
            surer, asked = _by_numerals(image, look), asked + 1
        readings.append(surer or reading)
    return readings


def _by_numerals(image: ImageRGB, look: _Look) -> ClockReading | None:
    """The dial as its numerals say it hangs; None where they cannot be read."""
    read_text = text_reader()
    roll_deg = roll_from_numerals(image, look.dial, read_text) if read_text else None
    if roll_deg is None:
        return None
    if abs(roll_deg) >= LEAST_ROLL_DEG:
        look = _look(image, look.sight.dial, roll_deg) or look
    return _reading(image, look, has_numerals=True)


def _look(image: ImageRGB, rim: Dial, roll_deg: float) -> _Look | None:
    sight = look_at(image, rim)
    about = tilt_prior(rim.axes_px)
    first = [
        _fit_guess(sight, guess, about) for guess in guess_times(sight, about, roll_deg, GUESSES)
    ]
    if not first:
        return None
    limit = min(fit.cost for fit in first) + HOPELESS
    fits = [_finished(sight, fit, about) for fit in first if fit.cost <= limit]
    fits.sort(key=lambda fit: fit.cost)
    return _Look(sight, tuple(fits), fits[0].explained(sight))


def _fit_guess(sight: Sight, guess: Guess, about: PivotPrior) -> HandsFit:
    hour_deg = guess.minutes / 2 + guess.hour_off_deg + guess.roll_deg
    hands = (
        _turned(USUAL_HOUR, hour_deg),
        _turned(USUAL_MINUTE, 6.0 * guess.minutes + guess.roll_deg),
    )
    return fit_hands(
        sight, hands, guess.pivot, about,
        roll_deg=guess.roll_deg, rounds=FIRST_ROUNDS, blur=FIRST_BLUR,
    )  # fmt: skip


def _finished(sight: Sight, fit: HandsFit, about: PivotPrior) -> HandsFit:
    """The fit to its end, with a second hand where a thin straight thing is left."""
    roll_deg = fit.roll_deg
    fit = fit_hands(
        sight, fit.hands, fit.pivot, about, roll_deg=roll_deg, rounds=LAST_ROUNDS, blur=LAST_BLUR
    )
    left = np.zeros(IS_INSIDE.shape, np.float32)
    left[IS_INSIDE] = fit.left
    second_deg, full = straightest(left, fit.pivot)
    if full < LEAST_SECOND:
        return fit
    hands = (*fit.hands, _turned(THIN_SECOND, second_deg))
    with_second = fit_hands(
        sight, hands, fit.pivot, about, roll_deg=roll_deg, rounds=SECOND_ROUNDS, blur=LAST_BLUR
    )
    return min(fit, with_second, key=lambda each: each.cost)


def _turned(hand: Hand, angle_deg: float) -> Hand:
    return Hand(angle_deg, hand.length, hand.root, hand.tip, hand.tail)


def _is_about(rim: Dial, look: _Look) -> bool:
    """Another rim of a dial that is read already, or a small dial on it."""
    return math.hypot(*look.sight.dial.to_unit(*rim.center)) < 1.0


def _is_same(first: _Look, second: _Look) -> bool:
    """Two rims about one pivot."""
    apart_px = math.dist(first.dial.center, second.dial.center)
    return apart_px < 0.3 * max(first.dial.radius_px, second.dial.radius_px)


def _reading(image: ImageRGB, look: _Look, *, has_numerals: bool = False) -> ClockReading:
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
        votes=(Vote(method="hands", value=best.minutes, confidence=confidence, reason=reason),),
        geometry=_geometry(look),
    )


def _confidence(look: _Look, likeness: float) -> float:
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


def _geometry(look: _Look) -> Geometry:
    best, dial, rim = look.fits[0], look.dial, look.sight.dial
    x, y = unit_vector(best.minute.angle_deg)
    return Geometry(
        center=dial.center,
        needle_tip=dial.to_image(best.minute.length * x, best.minute.length * y),
        ellipse=(*rim.center, *rim.axes_px),
        hands_deg=tuple(hand.angle_deg for hand in best.hands),
    )

"""Look at one rim for a time: fit the hands of every likely one, and tell how clear the best is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from molmo_node.instruments.bars import Hand
from molmo_node.instruments.dial import Dial
from molmo_node.instruments.fit_hands import HandsFit, PivotPrior, fit_hands
from molmo_node.instruments.guess_time import Guess, guess_times, straightest, tilt_prior
from molmo_node.instruments.hands import minutes_apart
from molmo_node.instruments.pixels import ImageRGB
from molmo_node.instruments.sight import IS_INSIDE, Sight, look_at

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


@dataclass(frozen=True)
class ClockLook:
    """What one rim shows.

    Attributes:
        sight: the flattened dial.
        fits: every time that was tried, the likeliest first; one or more.
        explained: 0..1, how much of the ink the likeliest hands account for.
    """

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

    def holds(self, rim: Dial) -> bool:
        """Another rim of this dial, or a small dial on it."""
        return math.hypot(*self.sight.dial.to_unit(*rim.center)) < 1.0

    def is_same(self, other: ClockLook) -> bool:
        """Two rims about one pivot."""
        apart_px = math.dist(self.dial.center, other.dial.center)
        return apart_px < 0.3 * max(self.dial.radius_px, other.dial.radius_px)


def look_for_time(image: ImageRGB, rim: Dial, roll_deg: float) -> ClockLook | None:
    """Fit the hands of every likely time to one dial; None where no time is likely.

    Args:
        image: ``(H, W, 3) uint8, rgb8``.
        roll_deg: where the 12 stands, clockwise from image-up.
    """
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
    return ClockLook(sight, tuple(fits), fits[0].explained(sight))


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

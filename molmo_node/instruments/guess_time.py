"""Times that a dial may show, from a quick look at every minute of the twelve hours.

A clock has one degree of freedom: each of 720 minutes says where both hands stand. All of them
are tried about every place where the pivot may be, so neither hand has to be found on its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from molmo_node.instruments.fit_hands import PivotPrior
from molmo_node.instruments.pixels import Float32s, Floats
from molmo_node.instruments.sight import SIDE, Sight

MINUTES = 720
DIRECTIONS = 360
RADII = np.linspace(0.10, 0.85, 26)
INNER, WHOLE, OUTER, TURN = (0.11, 0.42), (0.11, 0.64), (0.46, 0.66), (0.18, 0.44)
HAND_HALF_DEG = 8
"""A hand's width, as seen where `TURN` is counted."""
HOUR_OFF_DEG = (-6, -4, -2, 0, 2, 4, 6)
OFF_COST = 0.03
EXPLAINED_GAIN, LONGER_GAIN, PIVOT_COST = 1.5, 0.4, 0.06
PIVOT_STEP = 0.02
APART_MIN = 5
NONE = -9.0

Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Guess:
    """A time that is worth a closer look.

    Attributes:
        hour_off_deg: where the hour hand seems to stand, from where it should.
        pivot: x, y in radii of the rim.
    """

    minutes: int
    hour_off_deg: int
    pivot: tuple[float, float]
    roll_deg: float
    score: float


def guess_times(sight: Sight, about: PivotPrior, roll_deg: float, most: int) -> list[Guess]:
    """The best times more than `APART_MIN` minutes apart, the likeliest first.

    Args:
        roll_deg: where the 12 stands, clockwise from up.
    """
    pivots = _pivots(about)
    rays = _Rays.about(sight.ink, pivots)
    far = (pivots @ about.precision() * pivots).sum(axis=1)
    score, off_deg = rays.scores(round(roll_deg))
    score -= PIVOT_COST * far[:, None]
    pivot = score.argmax(axis=0)
    best = score[pivot, np.arange(MINUTES)]
    found: list[Guess] = []
    for _ in range(most):
        minute = int(best.argmax())
        if best[minute] <= NONE:
            break
        x, y = pivots[pivot[minute]]
        off = int(off_deg[pivot[minute], minute])
        found.append(Guess(minute, off, (float(x), float(y)), roll_deg, float(best[minute])))
        best[np.arange(minute - APART_MIN, minute + APART_MIN + 1) % MINUTES] = NONE
    return found


def _pivots(about: PivotPrior) -> Floats:
    """``(p, 2)``: a grid along the tilt."""
    reach = round((0.015 + 1.71 * about.along) / PIVOT_STEP)
    along = np.arange(-reach, reach + 1) * PIVOT_STEP
    across = np.array([-1.0, 0.0, 1.0]) * PIVOT_STEP
    along, across = (part.ravel() for part in np.meshgrid(along, across))
    x = along * about.tilt_x - across * about.tilt_y
    return np.column_stack([x, along * about.tilt_y + across * about.tilt_x])


@dataclass(frozen=True)
class _Rays:
    """Ink along rays: ``(p, DIRECTIONS)`` means over parts of the radius, and its running sum."""

    inner: Float32s
    whole: Float32s
    outer: Float32s
    turned: Float32s
    total: Float32s

    @classmethod
    def about(cls, ink: Float32s, pivots: Floats) -> _Rays:
        turn = np.radians(np.arange(DIRECTIONS))[:, None]
        x = pivots[:, 0, None, None] + np.sin(turn) * RADII
        y = pivots[:, 1, None, None] - np.cos(turn) * RADII
        column, row = (((v + 1) * (SIDE / 2)).astype(np.intp).clip(0, SIDE - 1) for v in (x, y))
        seen = np.asarray(cv2.GaussianBlur(ink, (3, 3), 0.8), np.float32)[row, column]
        inner, whole, outer, ring = (
            seen[:, :, (low < RADII) & (high > RADII)].mean(axis=2)
            for low, high in (INNER, WHOLE, OUTER, TURN)
        )
        turned = np.cumsum(np.concatenate([0 * ring[:, :1], ring, ring, ring], axis=1), axis=1)
        return cls(inner, whole, outer, turned, ring.sum(axis=1)[:, None] + 1e-3)

    def scores(self, roll_deg: int) -> tuple[Float32s, Indices]:
        """``(p, MINUTES)``: how well each minute fits, and the hour hand's offset then."""
        minutes = np.arange(MINUTES)
        minute = (6 * minutes + roll_deg) % DIRECTIONS
        best = np.full((len(self.inner), MINUTES), NONE, np.float32)
        best_off = np.zeros(best.shape, np.intp)
        for off_deg in HOUR_OFF_DEG:
            hour = np.round(minutes / 2 + off_deg + roll_deg).astype(np.intp) % DIRECTIONS
            score = self._score(hour, minute) - OFF_COST * abs(off_deg)
            is_better = score > best
            best[is_better], best_off[is_better] = score[is_better], off_deg
        return best, best_off

    def _score(self, hour: Indices, minute: Indices) -> Float32s:
        ahead = (hour - minute + 180) % DIRECTIONS - 180
        half = HAND_HALF_DEG
        is_shared = np.abs(ahead) <= 2 * half
        low = np.where(is_shared, minute + np.maximum(ahead, 0) - half, 0)
        high = np.where(is_shared, minute + np.minimum(ahead, 0) + half, -1)
        held = self._held(minute - half, minute + half) + self._held(hour - half, hour + half)
        held -= self._held(low, high)
        longer = (self.outer[:, minute] - self.outer[:, hour]) * (np.abs(ahead) > 6)
        return np.asarray(
            self.inner[:, hour]
            + self.whole[:, minute]
            + EXPLAINED_GAIN * held / self.total
            + LONGER_GAIN * longer
        )

    def _held(self, low: Indices, high: Indices) -> Float32s:
        """Ink of the turn from `low` to `high`, both included; each may be a turn off."""
        return self.turned[:, high + DIRECTIONS + 1] - self.turned[:, low + DIRECTIONS]


def straightest(left: Float32s, pivot: tuple[float, float]) -> tuple[float, float]:
    """The direction in degrees with the most ink left along it, and how full it is, 0..1.

    Args:
        left: ``(SIDE, SIDE)``, ink that no hand explains yet.
    """
    turn = np.radians(np.arange(DIRECTIONS))[:, None]
    radii = np.linspace(0.15, 0.70, 24)
    x, y = pivot[0] + np.sin(turn) * radii, pivot[1] - np.cos(turn) * radii
    column, row = (((v + 1) * (SIDE / 2)).astype(np.intp).clip(0, SIDE - 1) for v in (x, y))
    soft = cv2.GaussianBlur(np.maximum(left, 0.0), (3, 3), 0.8)
    full = np.minimum(soft[row, column], 0.5).mean(axis=1)
    best = int(full.argmax())
    return float(best), float(full[best])


def tilt_prior(axes_px: tuple[float, float, float]) -> PivotPrior:
    """From a rim's half axes (long, short) and the long one's direction, degrees from x.

    Perspective, and a rim that stands before the face, move the pivot along the short axis: by
    about a tenth of the radius at 35°, where the short axis is 0.82 of the long one.
    """
    long_px, short_px, from_x_deg = axes_px
    tilt_rad = math.radians(from_x_deg + 90.0)
    along = 0.02 + 0.35 * (1.0 - short_px / long_px)
    return PivotPrior(math.cos(tilt_rad), math.sin(tilt_rad), along, 0.02)

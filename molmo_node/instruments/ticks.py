"""Printed numbers stand near their marks; the marks themselves say exactly where.

A comb of the numbers' directions is laid over the ink outside and inside their ring: turned and
stretched a little until all its teeth lie on long ticks at once. A wrong tick for one number is a
wrong one for all, so short ticks between long ones do not catch it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from molmo_node.instruments.needle import Needle
from molmo_node.instruments.pixels import Floats
from molmo_node.instruments.polar import DIRECTIONS, STEPS_PER_DEG, PolarView

BANDS = ((0.07, 0.19), (0.11, 0.25), (0.18, 0.34), (-0.19, -0.07), (-0.30, -0.16))
"""Where ticks may be, in radii from the ring of the numbers."""
MOST_TURN_DEG = 5.0
MOST_STRETCH = 0.04
TURN_SIGMA_DEG = 2.0
LEAST_RESPONSE = 2.2
"""Mean ink under the comb, in standard deviations of the band's ink."""
TOOTH_DEG = 1.3
FEWEST_TEETH = 3
NEEDLE_DEG = 3.0


@dataclass(frozen=True)
class Comb:
    """Ticks under the numbers.

    Attributes:
        angles_deg: of each number's tick about the pivot; of the comb where no tick was seen.
        is_seen: whether a tick was seen there.
        response: mean ink under the comb, in standard deviations.
    """

    angles_deg: tuple[float, ...]
    is_seen: tuple[bool, ...]
    response: float


def find_comb(
    view: PolarView, guesses: Sequence[Sequence[float]], radius: float, needle: Needle
) -> Comb | None:
    """Ticks for numbers that should stand in these directions.

    Args:
        view: the dial about its pivot.
        guesses: one or more of where the numbers stand, in degrees about the pivot and in the
            order of their values.
        radius: of their ring, in radii of the view.
        needle: what it covers is not taken for a tick.

    Returns:
        The comb of the guess and band whose ticks fit best, or None where there are none.
    """
    best: tuple[float, Floats, Floats] | None = None
    for inner, outer in BANDS:
        ink = _ink(view, radius + inner, radius + outer)
        if ink is None:
            continue
        if needle.length > radius + inner:
            ink = _without(ink, needle.angle_deg)
        for guess in guesses:
            found = _laid(ink, np.degrees(np.unwrap(np.radians(np.asarray(guess, np.float64)))))
            if best is None or found[0] > best[0]:
                best = (*found, ink)
    if best is None or best[0] < LEAST_RESPONSE:
        return None
    response, laid, ink = best
    teeth = [_tooth(ink, float(angle)) for angle in laid]
    is_seen = tuple(tooth is not None for tooth in teeth)
    if sum(is_seen) < FEWEST_TEETH:
        return None
    angles = (
        tooth if tooth is not None else float(a) for tooth, a in zip(teeth, laid, strict=True)
    )
    return Comb(tuple(angles), is_seen, response)


def _without(ink: Floats, angle_deg: float) -> Floats:
    """The ink with what lies under a needle taken out."""
    reach = round(NEEDLE_DEG * STEPS_PER_DEG)
    center = round(angle_deg * STEPS_PER_DEG)
    cleared = ink.copy()
    cleared[np.arange(center - reach, center + reach + 1) % DIRECTIONS] = 0.0
    return cleared


def _ink(view: PolarView, inner: float, outer: float) -> Floats | None:
    """Ink along the turn in a band, smooth, without slow changes, in standard deviations."""
    first, last = view.row(inner), view.row(outer)
    if inner < float(view.radii[0]) or last - first < 4 or outer > float(view.radii[-1]) + 1e-6:
        return None
    rows = np.minimum(view.difference[first:last], 2.5 * view.threshold).mean(axis=0)
    smooth = _averaged(rows.astype(np.float64), round(0.8 * STEPS_PER_DEG))
    ink = smooth - _averaged(smooth, round(9.0 * STEPS_PER_DEG))
    ink = np.minimum(ink, float(np.percentile(ink, 98.5)))
    spread = float(ink.std())
    return ink / spread if spread > 0.02 * view.threshold else None


def _averaged(ring: Floats, width: int) -> Floats:
    padded = np.pad(ring, width, mode="wrap")
    return np.convolve(padded, np.ones(width) / width, "same")[width:-width]


def _laid(ink: Floats, angles: Floats) -> tuple[float, Floats]:
    """(response, angles) of the comb where its teeth lie on the most ink."""
    turns = np.arange(-MOST_TURN_DEG, MOST_TURN_DEG + 1e-6, 1.0 / STEPS_PER_DEG)
    stretches = np.linspace(-MOST_STRETCH, MOST_STRETCH, 17)
    middle = (angles[0] + angles[-1]) / 2
    away = angles - middle
    laid = middle + turns[:, None, None] + (1.0 + stretches)[None, :, None] * away
    columns = np.round(laid * STEPS_PER_DEG).astype(np.intp) % DIRECTIONS
    response = ink[columns].mean(axis=2)
    prior = 0.5 * (turns / TURN_SIGMA_DEG) ** 2
    rated = response - 0.35 * prior[:, None] - 0.35 * 0.5 * (stretches / 0.02)[None, :] ** 2
    turn, stretch = np.unravel_index(int(np.argmax(rated)), rated.shape)
    return float(response[turn, stretch]), laid[turn, stretch]


def _tooth(ink: Floats, angle_deg: float) -> float | None:
    """The middle of the ink next to a direction; None where there is none."""
    reach = math.ceil(TOOTH_DEG * STEPS_PER_DEG)
    center = round(angle_deg * STEPS_PER_DEG)
    columns = np.arange(center - reach, center + reach + 1)
    here = ink[columns % DIRECTIONS]
    if here.max() < 1.0:
        return None
    weights = np.clip(here - 0.5 * here.max(), 0.0, None)
    return float((weights * columns).sum() / weights.sum()) / STEPS_PER_DEG % 360.0

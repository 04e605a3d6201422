"""Does this look like a clock's dial: a plain face, print that goes round, a rim.

Hour marks and numerals repeat every 30°; a plate's pattern, or a room's, does not.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from molmo_node.instruments.polar import DIRECTIONS, PolarView

BANDS = ((0.55, 0.75), (0.65, 0.85), (0.75, 0.95), (0.85, 1.05))
HOURS = 12
FACE = (0.15, 0.60)
PLAIN_NOISE, BUSY_NOISE = 0.15, 0.50
"""Median difference from the face, in thresholds: of real dials 0.4 at most, of scenes 0.5 up."""
PLAIN_PRINT = 0.18
"""Shared clocks have 0.22 or more, gauges 0.13 at most but for one, scenes 0.09."""
PLAIN_RIM = 0.7
WEIGHTS = (0.40, 0.35, 0.25)
CLEAR_MARKS = 0.12

Complexes = NDArray[np.complex128]
UNLIKE, LIKE = 0.35, 0.80


def clock_likeness(view: PolarView, rim_score: float) -> float:
    """0..1: how much an unrolled ellipse looks like a clock's dial.

    Args:
        rim_score: how well the ellipse's edge was seen, 0..1.
    """
    face = view.difference[view.row(FACE[0]) : view.row(FACE[1]), ::3]
    noise = float(np.median(face)) / view.threshold
    has_print = min(1.0, round_print(view) / PLAIN_PRINT)
    parts = (
        np.clip((BUSY_NOISE - noise) / (BUSY_NOISE - PLAIN_NOISE), 0.0, 1.0),
        has_print,
        min(1.0, rim_score / PLAIN_RIM),
    )
    total = float(np.dot(parts, WEIGHTS))
    return has_print * float(np.clip((total - UNLIKE) / (LIKE - UNLIKE), 0.0, 1.0))


def round_print(view: PolarView) -> float:
    """0..1: how much of the ring's pattern repeats with the hours, in the best band of radii.

    The share of the Fourier power at 12 cycles a turn and its multiples up to 60; a random
    pattern has about 0.03.
    """
    return max(_share(view, inner, outer) for inner, outer in BANDS)


def marks_roll_deg(view: PolarView) -> float | None:
    """How far the hour marks stand clockwise from where an upright dial has them.

    Returns:
        Degrees in [-15, 15]; None where too little of the print repeats with the hours.
    """
    turns = [_spectrum(view, inner, outer) for inner, outer in BANDS]
    share, marks = max(((_part(turn, (HOURS,)), turn[HOURS]) for turn in turns), key=lambda x: x[0])
    return -math.degrees(cmath.phase(complex(marks))) / HOURS if share > CLEAR_MARKS else None


def _share(view: PolarView, inner: float, outer: float) -> float:
    return _part(_spectrum(view, inner, outer), range(HOURS, 5 * HOURS + 1, HOURS))


def _spectrum(view: PolarView, inner: float, outer: float) -> Complexes:
    rows = view.difference[view.row(inner) : view.row(outer)]
    ring = np.minimum(rows, 3.0 * view.threshold).mean(axis=0)
    return np.asarray(np.fft.rfft(ring - ring.mean())[: DIRECTIONS // 8], np.complex128)


def _part(turn: Complexes, cycles: Iterable[int]) -> float:
    """Which part of the power lies at some numbers of cycles a turn."""
    power = np.abs(turn) ** 2
    total = float(power[1:].sum())
    return float(power[list(cycles)].sum()) / total if total > 0 else 0.0

"""Which printed numbers lie on one ring and rise evenly with the angle."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from molmo_node.instruments.angles import clockwise_deg, signed_deg
from molmo_node.instruments.perspective import FRONTAL, Lean, PointXY, turned_back
from molmo_node.instruments.printed import FEWEST, Number, stepped
from molmo_node.instruments.ring import MOST_SPAN_DEG, Ring, direction_deg, fit_ring

INNERMOST, OUTERMOST = 0.28, 1.08
SAME_RING = 0.16
NEAREST_DEG, FARTHEST_DEG = 12.0, 320.0
OFF_LINE_DEG = 6.0
APART_DEG = 5.0
"""Printed numbers are further apart; nearer ones are one number read twice."""
UNEVEN_COST = 0.1
NARROWEST_FIRST = 0.6


def find_rings(numbers: Sequence[Number], lean: Lean = FRONTAL, most: int = 2) -> list[Ring]:
    """Rings of three or more numbers, the best first, no number twice.

    Args:
        lean: how the dial is seen; numbers that are uneven about the rim's middle are tried
            about other places for the pivot.
    """
    left = list(numbers)
    rings: list[Ring] = []
    while len(rings) < most and (ring := _best_ring(left, lean)) is not None:
        rings.append(ring)
        left = [number for number in left if number not in ring.numbers]
    return rings


def _best_ring(numbers: Sequence[Number], lean: Lean) -> Ring | None:
    if len(numbers) < FEWEST:
        return None
    guesses = np.array(lean.guesses())
    places = turned_back(np.array([(number.x, number.y) for number in numbers]), guesses)
    best: tuple[float, list[Number]] | None = None
    for guess, seen in zip(guesses, places, strict=True):
        found = _best_fitting(numbers, [(float(x), float(y)) for x, y in seen])
        if found is None:
            continue
        rating = found[0] - UNEVEN_COST * float(lean.cost(guess[None])[0])
        if best is None or rating > best[0]:
            best = (rating, found[1])
    if best is None:
        return None
    ring = fit_ring(stepped(best[1]), lean)
    zero = _near_zero(ring, numbers)
    return ring if zero is None else fit_ring(ring.numbers, lean, zero=zero)


def _near_zero(ring: Ring, numbers: Sequence[Number]) -> Number | None:
    """A printed 0 on the ring that stands too near to the lowest number for an even scale."""
    if not 0 < ring.low <= 1.01 * ring.step:
        return None
    expected_deg = ring.low / ring.units_per_deg
    for number in numbers:
        if number.value != 0:
            continue
        zero_deg = direction_deg(number, ring.pivot)
        turn_deg = signed_deg(ring.angle_deg(ring.low) - zero_deg)
        reach = math.dist((number.x, number.y), ring.pivot)
        is_on_ring = abs(reach - ring.radius) < SAME_RING
        if is_on_ring and NARROWEST_FIRST < turn_deg / expected_deg < 1.0:
            return number
    return None


def _best_fitting(
    numbers: Sequence[Number], places: Sequence[PointXY]
) -> tuple[float, list[Number]] | None:
    """The best even scale among numbers that stand at these places about the pivot."""
    polar = [
        (number, clockwise_deg(x, y), math.hypot(x, y))
        for number, (x, y) in zip(numbers, places, strict=True)
        if INNERMOST < math.hypot(x, y) < OUTERMOST
    ]
    best: tuple[float, list[Number]] | None = None
    for first, first_deg, first_radius in polar:
        for second, second_deg, second_radius in polar:
            turn_deg = (second_deg - first_deg) % 360.0
            is_near = abs(first_radius - second_radius) <= SAME_RING
            if first.value == second.value or not is_near:
                continue
            if not NEAREST_DEG < turn_deg < FARTHEST_DEG:
                continue
            slope = (second.value - first.value) / turn_deg
            fitting = _fitting(polar, first.value, first_deg, first_radius, slope)
            if len(fitting) < FEWEST:
                continue
            rating = _rating(fitting)
            if best is None or rating > best[0]:
                best = (rating, [number for number, _, _, _ in fitting])
    return best


_Placed = tuple[Number, float, float]
_Fitting = tuple[Number, float, float, float]


def _fitting(
    polar: Sequence[_Placed], value: float, base_deg: float, radius: float, slope: float
) -> list[_Fitting]:
    """(number, turn, radius, degrees off the line) of those on it; each value and place once."""
    near: list[tuple[float, Number, float, float]] = []
    for number, angle_deg, number_radius in polar:
        if abs(number_radius - radius) > SAME_RING:
            continue
        wanted_deg = (number.value - value) / slope
        off_deg = abs(signed_deg(angle_deg - base_deg - wanted_deg))
        if off_deg <= OFF_LINE_DEG and abs(wanted_deg) <= MOST_SPAN_DEG:
            near.append((off_deg, number, wanted_deg, number_radius))
    kept: list[_Fitting] = []
    for off_deg, number, wanted_deg, number_radius in sorted(near, key=lambda entry: entry[0]):
        if all(
            number.value != other.value and abs(wanted_deg - turn_deg) > APART_DEG
            for other, turn_deg, _, _ in kept
        ):
            kept.append((number, wanted_deg, number_radius, off_deg))
    turns = [turn_deg for _, turn_deg, _, _ in kept]
    if turns and max(turns) - min(turns) > MOST_SPAN_DEG:
        return []
    return kept


def _rating(fitting: Sequence[_Fitting]) -> float:
    """More and surer numbers, further out, more evenly, over more of the turn."""
    turns = [turn for _, turn, _, _ in fitting]
    scores = sum(number.score for number, _, _, _ in fitting)
    radius = sum(radius for _, _, radius, _ in fitting) / len(fitting)
    uneven = sum((off_deg / OFF_LINE_DEG) ** 2 for _, _, _, off_deg in fitting)
    return scores + 0.15 * radius + (max(turns) - min(turns)) / 2000.0 - UNEVEN_COST * uneven

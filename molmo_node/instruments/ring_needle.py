"""The needle of a dial whose printed numbers are known, and those numbers about its pivot."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from molmo_node.instruments.angles import unit_vector
from molmo_node.instruments.dial import Dial
from molmo_node.instruments.even import Sighting
from molmo_node.instruments.needle import Needle, find_needles
from molmo_node.instruments.perspective import Lean, PointXY, dial_about
from molmo_node.instruments.pick import Pick, choose
from molmo_node.instruments.pivot import find_pivot
from molmo_node.instruments.pixels import ImageRGB
from molmo_node.instruments.polar import unroll
from molmo_node.instruments.printed import Number
from molmo_node.instruments.ring import Ring, fit_ring
from molmo_node.instruments.ticks import find_comb

BEYOND_NUMBERS_DEG = 25.0
SHORTEST_NEEDLE = 0.38
FARTHEST_PIVOT = 0.16
SETTLED = 0.003
COARSE_DEG = 1.0
LOOKS = 4
TICK_SIGMA = 0.005


@dataclass(frozen=True)
class Seen:
    """A needle, the ring fitted about a pivot on its line, and the dial about that pivot."""

    dial: Dial
    ring: Ring
    pick: Pick

    @property
    def goodness(self) -> float:
        """Long, straight, through the pivot, and numbers that are even about it."""
        needle = self.pick.needle
        blur = 0.5 * needle.sigma_deg + 3.0 * needle.miss
        return needle.length - blur - 0.03 * self.ring.rms_deg


def best_seen(image: ImageRGB, dial: Dial, ring: Ring) -> Seen | None:
    """The needle about the likeliest pivot, and the ring on its ticks."""
    seen = [_needle(image, dial, start, ring) for start in _starts(image, dial, ring)]
    found = [each for each in seen if each is not None]
    if not found:
        return None
    return _on_ticks(image, dial, max(found, key=lambda each: each.goodness))


def _starts(image: ImageRGB, rim: Dial, ring: Ring) -> list[PointXY]:
    """Where the pivot may be, in the rim's plane: by the numbers, the rim, and the hub."""
    return [ring.pivot, (0.0, 0.0), rim.to_unit(*find_pivot(image, rim).center)]


def _needle(image: ImageRGB, rim: Dial, start: PointXY, ring: Ring) -> Seen | None:
    """The needle and the ring about a pivot on its line, searched from a first place."""
    lean, pivot = Lean.of(rim), start
    seen: Seen | None = None
    for _ in range(LOOKS):
        dial = dial_about(rim, pivot)
        about = ring if seen is None else seen.ring
        pick = _pick(image, dial, about)
        if pick is None:
            return seen
        sighting = _sighting(rim, dial, pick.needle)
        fitted = fit_ring(ring.numbers, lean, sighting, zero=ring.zero)
        seen = Seen(dial, fitted, pick)
        if math.dist(fitted.pivot, pivot) < SETTLED:
            break
        pivot = fitted.pivot
    return seen


def _on_ticks(image: ImageRGB, rim: Dial, seen: Seen) -> Seen:
    """The ring through the marks beside its numbers, read or not, where they are seen."""
    ring, dial = seen.ring, seen.dial
    values = ring.printed_values()
    read = {number.value for number in ring.numbers}
    even = [ring.angle_deg(value) for value in values]
    as_read = [
        ring.angle_deg(value) + float(off)
        for value, off in zip(
            values, np.interp(values, [n.value for n in ring.numbers], ring.off_deg), strict=True
        )
    ]
    comb = find_comb(unroll(image, dial), (even, as_read), ring.radius, seen.pick.needle)
    if comb is None:
        return seen
    marked = [
        _number_at(rim, dial, value, angle_deg, ring.radius)
        for value, angle_deg, is_seen in zip(values, comb.angles_deg, comb.is_seen, strict=True)
        if is_seen or value in read
    ]
    sighting = _sighting(rim, dial, seen.pick.needle)
    return replace(seen, ring=fit_ring(marked, Lean.of(rim), sighting, TICK_SIGMA, ring.zero))


def _number_at(rim: Dial, dial: Dial, value: float, angle_deg: float, reach: float) -> Number:
    """A number where its mark is, in the rim's plane."""
    x, y = unit_vector(angle_deg)
    return Number(value, *rim.to_unit(*dial.to_image(reach * x, reach * y)), 1.0)


def _sighting(rim: Dial, dial: Dial, needle: Needle) -> Sighting | None:
    """The needle's line in the rim's plane; None where it is no sharp line near the pivot."""
    if needle.sigma_deg > COARSE_DEG or needle.miss > FARTHEST_PIVOT:
        return None
    x, y = unit_vector(needle.direction_deg)
    foot_x, foot_y = needle.foot
    near = rim.to_unit(*dial.to_image(foot_x, foot_y))
    far = rim.to_unit(*dial.to_image(foot_x + x, foot_y + y))
    return Sighting(near, (far[0] - near[0], far[1] - near[1]))


def _pick(image: ImageRGB, dial: Dial, ring: Ring) -> Pick | None:
    """The needle about a pivot, among those that point into the scale or a little beyond."""
    outer = min(0.97, ring.radius + 0.25)
    needles = find_needles(unroll(image, dial), outer=outer, shortest=SHORTEST_NEEDLE)
    most_deg = BEYOND_NUMBERS_DEG + ring.step_deg
    pointing = [n for n in needles if ring.beyond_deg(n.angle_deg) < most_deg]
    return choose(pointing, needles)

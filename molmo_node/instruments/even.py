"""The pivot about which printed numbers make the most even scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from molmo_node.instruments.perspective import FARTHEST, Lean, PointXY, turned_back
from molmo_node.instruments.pixels import Floats

NUMBER_SIGMA = 0.018
"""So far from their marks, in radii, printed numbers stand and are found."""
LOOSE_DEG = 1.5
"""A number further than this from the line weighs less."""
RADIUS_SIGMA = 0.04
"""Wide numbers stand a little further in or out than narrow ones."""
SLOPE_SIGMA = 0.05
"""How much of the radii's change across the dial the pivot's place need not explain: a high rim
moves the pivot without changing sizes."""
LINE_SIGMA = 0.006
STEPS = ((0.04, 9), (0.012, 4), (0.004, 3), (0.0015, 3))
"""Grids about the best place so far: step and how many to each side."""
ROUNDS = 5


@dataclass(frozen=True)
class Sighting:
    """The needle's line in the plane of the numbers: a point of it and its direction."""

    point: PointXY
    along: PointXY

    def distance(self, places: Floats) -> Floats:
        """Of ``(n, 2)`` places from the line."""
        normal = np.array([-self.along[1], self.along[0]]) / np.hypot(*self.along)
        return np.asarray((places - self.point) @ normal)


@dataclass(frozen=True)
class EvenScale:
    """Numbers as an even scale about `pivot`.

    Attributes:
        base_deg: direction of the first number as the line has it.
        deg_per_unit: along the clock; negative where values rise the other way round.
        off_deg: how far each number is from the line, along the clock.
        radius: mean distance of the numbers from the pivot.
    """

    pivot: PointXY
    base_deg: float
    deg_per_unit: float
    off_deg: tuple[float, ...]
    radius: float


def even_scale(
    places: Floats, values: Floats, lean: Lean, sighting: Sighting | None = None
) -> EvenScale:
    """Search the pivot, coarse to fine.

    Args:
        places: ``(n, 2)`` of the numbers in the plane where the rim is a circle, n at least 3.
        values: ``(n,)``, ascending, all different.
        lean: where the pivot is likely to be.
        sighting: the needle's line, where it is known.
    """
    best = np.zeros(2)
    for step, count in STEPS:
        side = np.arange(-count, count + 1) * step
        grid = best + np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
        grid = grid[np.hypot(*grid.T) < FARTHEST]
        best = grid[int(np.argmin(_costs(places, values, grid, lean, sighting)))]
    line, off_deg, radii = _lines(places, values, best[None])
    base_deg, deg_per_unit = (float(number) for number in line[0])
    pivot = (float(best[0]), float(best[1]))
    off = tuple(float(degrees) for degrees in off_deg[0])
    return EvenScale(pivot, base_deg % 360.0, deg_per_unit, off, float(radii.mean()))


def _costs(
    places: Floats, values: Floats, pivots: Floats, lean: Lean, sighting: Sighting | None
) -> Floats:
    """Chi square of each pivot: evenness, roundness, and how likely its place is."""
    _, off_deg, radii = _lines(places, values, pivots)
    off = np.radians(off_deg) * radii.mean(axis=1, keepdims=True)
    total = _robust(off / NUMBER_SIGMA).sum(axis=1) + lean.cost(pivots)
    total += _roundness(turned_back(places, pivots))
    if sighting is not None:
        total += (sighting.distance(pivots) / LINE_SIGMA) ** 2
    return np.asarray(total)


def _robust(off: Floats) -> Floats:
    """Squares that grow like lines beyond one or two standard deviations."""
    return np.asarray(2.0 * (np.sqrt(1.0 + off**2) - 1.0))


def _lines(places: Floats, values: Floats, pivots: Floats) -> tuple[Floats, Floats, Floats]:
    """Robust lines angle = base + slope * (value - first value), one for each pivot.

    Returns:
        ``(m, 2)`` base and slope in degrees, ``(m, n)`` degrees off, ``(m, n)`` radii.
    """
    seen = turned_back(places, pivots)
    angles = np.degrees(np.arctan2(seen[..., 0], -seen[..., 1]))
    turns = _unwrapped(angles)
    x = values - values[0]
    weights = np.ones_like(turns)
    for _ in range(ROUNDS):
        total = weights.sum(axis=1)
        mean_x, mean_y = (weights * x).sum(axis=1) / total, (weights * turns).sum(axis=1) / total
        away = x - mean_x[:, None]
        slope = (weights * away * (turns - mean_y[:, None])).sum(axis=1)
        slope /= (weights * away**2).sum(axis=1)
        base = mean_y - slope * mean_x
        off = turns - base[:, None] - slope[:, None] * x
        weights = 1.0 / np.sqrt(1.0 + (off / LOOSE_DEG) ** 2)
    slope = np.where(np.abs(slope) < 1e-9, 1e-9, slope)
    return np.column_stack([base, slope]), off, np.hypot(seen[..., 0], seen[..., 1])


def _unwrapped(angles_deg: Floats) -> Floats:
    """Growing or falling steadily from the first: whichever goes round less."""
    steps = np.diff(angles_deg, axis=1) % 360.0
    backwards = steps - 360.0
    is_forward = steps.sum(axis=1) <= -backwards.sum(axis=1)
    chosen = np.where(is_forward[:, None], steps, backwards)
    return np.concatenate(
        [angles_deg[:, :1], angles_deg[:, :1] + np.cumsum(chosen, axis=1)], axis=1
    )


def _roundness(seen: Floats) -> Floats:
    """Chi square of the radii about a circle that may be a little off, ``(m,)``."""
    radii = np.hypot(seen[..., 0], seen[..., 1])
    design = np.concatenate([np.ones_like(radii)[..., None], seen / radii[..., None]], axis=-1)
    relative = radii / np.median(radii, axis=1)[:, None]
    ridge = (RADIUS_SIGMA / SLOPE_SIGMA) ** 2 * np.diag([1e-9, 1.0, 1.0])
    normal = design.transpose(0, 2, 1) @ design + ridge
    fitted = np.linalg.solve(normal, (design.transpose(0, 2, 1) @ relative[..., None]))
    off = relative - (design @ fitted)[..., 0]
    slope_cost = (fitted[:, 1:, 0] ** 2).sum(axis=1) / SLOPE_SIGMA**2
    return np.asarray(_robust(off / RADIUS_SIGMA).sum(axis=1) + slope_cost)

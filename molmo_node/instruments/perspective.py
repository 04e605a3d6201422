"""Where a dial's pivot is when the dial is seen from the side, and how its face is turned back.

A camera maps the plane of a dial projectively. Once the rim's ellipse is made a unit circle, only
the place of the pivot is unknown: one projective map takes the disc to itself and that place to
the middle (a Lorentz boost of the cone over the circle). Directions about the pivot are then the
printed ones. A rim that stands before the face moves the pivot too; directions do not care which
of the two moved it, because what else perspective does keeps rays through the pivot in place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from molmo_node.instruments.dial import Dial
from molmo_node.instruments.pixels import Floats

PointXY = tuple[float, float]

STEADY = 0.03
"""How far the pivot is from the middle of the rim on a dial seen from the front, in radii."""
SHIFT_SHARE = 0.3
"""Of the sine of the tilt: how far perspective and the rim's height move the pivot. A camera two
diameters away gives 0.25; a rim of a tenth of the radius adds 0.1."""
FARTHEST = 0.35


@dataclass(frozen=True)
class Lean:
    """What the rim's shape says of the pivot's place, in the plane where the rim is a circle.

    Attributes:
        along: the direction that the ellipse was narrowed in, length 1; either sign.
        sine: of the tilt, 0..1.
    """

    along: PointXY = (0.0, 1.0)
    sine: float = 0.0

    @classmethod
    def of(cls, rim: Dial) -> Lean:
        """The lean of an ellipse."""
        long_px, short_px, tilt_deg = rim.axes_px
        turn = math.radians(tilt_deg)
        sine = math.sqrt(max(0.0, 1.0 - (short_px / long_px) ** 2))
        return cls((-math.sin(turn), math.cos(turn)), sine)

    @property
    def sigmas(self) -> PointXY:
        """Standard deviations of the pivot's place: along the lean and across it, in radii."""
        return math.hypot(STEADY, SHIFT_SHARE * self.sine), STEADY

    def cost(self, places: Floats) -> Floats:
        """Squared standard deviations of ``(n, 2)`` places from the rim's middle."""
        along = np.array(self.along)
        across = np.array([-along[1], along[0]])
        sigma_along, sigma_across = self.sigmas
        far = (places @ along / sigma_along) ** 2 + (places @ across / sigma_across) ** 2
        return np.asarray(far)

    def guesses(self) -> list[PointXY]:
        """The rim's middle, and a few places to either side along the lean."""
        reach = self.sigmas[0]
        return [
            (s * reach * self.along[0], s * reach * self.along[1])
            for s in (0, 0.7, -0.7, 1.4, -1.4)
        ]


FRONTAL = Lean()
"""A dial seen from the front."""


def turned_back(points: Floats, pivots: Floats) -> Floats:
    """Points as they lie about a pivot once the dial faces the camera.

    Args:
        points: ``(n, 2)`` in the plane where the rim is the unit circle.
        pivots: ``(m, 2)`` in that plane, well inside the circle.

    Returns:
        ``(m, n, 2)``: the projective map that takes the disc to itself and the pivot to 0.
    """
    squared = np.maximum((pivots**2).sum(axis=1), 1e-12)[:, None]
    gamma = 1.0 / np.sqrt(1.0 - squared)
    dot = pivots @ points.T
    shift = (gamma - 1.0) * dot / squared - gamma
    moved = points[None] + shift[..., None] * pivots[:, None]
    return np.asarray(moved / (gamma * (1.0 - dot))[..., None])


def dial_about(rim: Dial, pivot: PointXY) -> Dial:
    """The rectified dial about a pivot given in the rim's plane: what `turned_back` is nearby."""
    x, y = pivot
    squared = x * x + y * y
    narrow = math.sqrt(1.0 - squared)
    away = np.outer(pivot, pivot) / max(squared, 1e-12)
    local = narrow * np.eye(2) + (1.0 - squared - narrow) * away
    return Dial(*rim.to_image(x, y), rim.matrix @ local, rim.score)

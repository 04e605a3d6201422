"""Where a dial lies in a picture: an affine image of the unit disc."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from molmo_node.instruments.angles import clockwise_deg
from molmo_node.instruments.pixels import Floats


@dataclass(frozen=True)
class Dial:
    """Unit disc → picture: ``center + matrix @ (x, y)``; y down on both sides.

    Attributes:
        center_x_px, center_y_px: the pivot in pixels of the picture.
        matrix: ``(2, 2)`` floats, pixels a unit; symmetric when only the ellipse is known, so
            that rectifying adds no roll.
        score: 0..1, how much of the rim was seen; 1 for a dial that was given.
    """

    center_x_px: float
    center_y_px: float
    matrix: Floats
    score: float = 1.0

    @classmethod
    def circle(cls, x_px: float, y_px: float, radius_px: float) -> Dial:
        """A dial seen from the front."""
        return cls(x_px, y_px, np.eye(2) * radius_px)

    @classmethod
    def ellipse(
        cls,
        x_px: float,
        y_px: float,
        axes_px: tuple[float, float],
        tilt_deg: float,
        score: float = 1.0,
    ) -> Dial:
        """A dial seen from the side; `axes_px` are full lengths and `tilt_deg` OpenCV's angle.

        The matrix is the symmetric square root of the ellipse: image-up stays up.
        """
        cos, sin = math.cos(math.radians(tilt_deg)), math.sin(math.radians(tilt_deg))
        turn = np.array([[cos, -sin], [sin, cos]])
        return cls(x_px, y_px, turn @ np.diag([axes_px[0] / 2, axes_px[1] / 2]) @ turn.T, score)

    @property
    def radius_px(self) -> float:
        """Radius of the circle with the same area."""
        return math.sqrt(abs(float(np.linalg.det(self.matrix))))

    @property
    def center(self) -> tuple[float, float]:
        """The pivot in pixels."""
        return self.center_x_px, self.center_y_px

    @property
    def axes_px(self) -> tuple[float, float, float]:
        """Half axes (long, short) in pixels and the long one's direction, degrees from x."""
        left, sizes, _ = np.linalg.svd(self.matrix)
        return float(sizes[0]), float(sizes[1]), math.degrees(math.atan2(left[1, 0], left[0, 0]))

    def to_image(self, x: float, y: float) -> tuple[float, float]:
        """A point of the unit disc in pixels."""
        moved = self.matrix @ np.array([x, y])
        return self.center_x_px + float(moved[0]), self.center_y_px + float(moved[1])

    def to_unit(self, x_px: float, y_px: float) -> tuple[float, float]:
        """A pixel in the plane of the unit disc."""
        offset = np.array([x_px - self.center_x_px, y_px - self.center_y_px])
        moved = np.linalg.solve(self.matrix, offset)
        return float(moved[0]), float(moved[1])

    def angle_deg(self, x_px: float, y_px: float) -> float:
        """Direction of a pixel from the pivot on the rectified dial, clockwise from up."""
        return clockwise_deg(*self.to_unit(x_px, y_px))

    def moved(self, affine: Floats) -> Dial:
        """The dial after a ``(2, 3)`` affine map of the picture."""
        center = affine[:, :2] @ np.array(self.center) + affine[:, 2]
        return Dial(float(center[0]), float(center[1]), affine[:, :2] @ self.matrix, self.score)

    def recentred(self, x_px: float, y_px: float) -> Dial:
        """The same shape about another pivot."""
        return Dial(x_px, y_px, self.matrix, self.score)

    def scaled(self, factor: float) -> Dial:
        """The same dial with all radii times `factor`."""
        return Dial(self.center_x_px, self.center_y_px, self.matrix * factor, self.score)

"""Solids on a table, seen by a pinhole camera: bodies of revolution and boxes.

World axes: x right, y away from the camera, z up, in units of the object's radius. Picture
axes: x right, y down, same unit, before scaling to pixels.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from molmo_node.sim.colors import Rgb, toned
from molmo_node.sim.paint import Part, Points

_CIRCLE = np.linspace(0, 2 * math.pi, 28, endpoint=False)
_COS, _SIN = np.cos(_CIRCLE), np.sin(_CIRCLE)


@dataclass(frozen=True)
class View:
    """A camera: `pitch_rad` below the horizon (0 level, pi/2 straight down), and its distance
    in units of the object's radius (small means strong perspective)."""

    pitch_rad: float
    distance: float = 7.0

    def project(self, xyz: np.ndarray) -> Points:
        """``(N, 3)`` world points to ``(N, 2) float32`` picture points."""
        x, y, z = xyz[:, 0], xyz[:, 1], xyz[:, 2]
        sine, cosine = math.sin(self.pitch_rad), math.cos(self.pitch_rad)
        nearness = self.distance / (self.distance + y * cosine - z * sine)
        return np.stack((x * nearness, -(y * sine + z * cosine) * nearness), 1).astype(np.float32)

    def ring(self, radius: float, z: float, x: float = 0.0, y: float = 0.0) -> Points:
        """The outline of a level circle."""
        z_all = np.full(len(_CIRCLE), z)
        return self.project(np.stack((x + radius * _COS, y + radius * _SIN, z_all), 1))


def rotated(points_xy: np.ndarray, angle_rad: float) -> np.ndarray:
    """``(N, 2)`` points turned about the origin, from x towards y."""
    cosine, sine = math.cos(angle_rad), math.sin(angle_rad)
    return np.asarray(points_xy @ np.array([(cosine, sine), (-sine, cosine)]))


def hull(*outlines: Points) -> Points:
    """The convex outline around several outlines."""
    return np.asarray(cv2.convexHull(np.concatenate(outlines))[:, 0], np.float32)


def revolved(view: View, profile: Sequence[tuple[float, float]], rgb: Rgb) -> list[Part]:
    """A turned body from its profile of (z, radius), bottom to top: side, then top face."""
    rings = [view.ring(radius, z) for z, radius in profile]
    sides = [Part(hull(low, high), rgb) for low, high in itertools.pairwise(rings)]
    return [*sides, Part(rings[-1], toned(rgb, 1.12))]


_FACES = ((0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7), (4, 5, 6, 7))


def cuboid(
    view: View, size_xyz: tuple[float, float, float], yaw_rad: float, rgb: Rgb, contrast: float
) -> list[Part]:
    """The visible faces of a box on the table, darkest first; `contrast` 0 to 1."""
    half_x, half_y, height = size_xyz[0] / 2, size_xyz[1] / 2, size_xyz[2]
    base = np.array([(-half_x, -half_y), (half_x, -half_y), (half_x, half_y), (-half_x, half_y)])
    base = rotated(base, yaw_rad)
    corners = np.concatenate(
        [np.concatenate((base, np.full((4, 1), z)), 1) for z in (-height / 2, height / 2)]
    )
    flat = view.project(corners)
    parts = []
    for index, face in enumerate(_FACES):
        polygon = flat[list(face)]
        if cv2.contourArea(polygon, True) < 0:  # seen from outside
            tone = 1 + contrast * 0.25 if index == 4 else 1 - contrast * (0.15 + 0.2 * (index % 2))
            parts.append(Part(polygon, toned(rgb, tone)))
    return parts

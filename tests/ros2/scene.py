"""A table top with two things on it, in front of a camera with a lens: pixels, depths, and truth.

For the tests and for the rclpy peer alike: plain NumPy. The projection is written out here from the
definition of `plumb_bob` (sensor_msgs/CameraInfo), so that it judges the bridge's way back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

D = (-0.28, 0.09, 0.0007, -0.0004, -0.01)
TABLE_M = 1.6
RADIUS_M = 0.05


@dataclass(frozen=True)
class Thing:
    """A disc that faces the camera; its centre in metres of the optical frame."""

    name: str
    center_m: tuple[float, float, float]
    color: tuple[int, int, int]


THINGS = (
    Thing("red mug", (0.32, -0.17, 1.05), (220, 30, 30)),
    Thing("blue box", (-0.41, 0.26, 1.31), (30, 60, 220)),
)


@dataclass(frozen=True)
class Scene:
    """What a camera of this size sees."""

    width: int = 640
    height: int = 480

    @property
    def k(self) -> tuple[float, ...]:
        """Focal lengths and centre; the centre of the first pixel is 0, 0 (OpenCV)."""
        f = 0.85 * self.width
        return (f, 0.0, 0.51 * self.width, 0.0, f * 1.01, 0.48 * self.height, 0.0, 0.0, 1.0)

    def pixel(self, point_m: tuple[float, float, float]) -> tuple[float, float]:
        """Where a point is seen: x right, y down, the first pixel's *corner* is 0, 0."""
        x, y = point_m[0] / point_m[2], point_m[1] / point_m[2]
        k1, k2, p1, p2, k3 = D
        r2 = x * x + y * y
        radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
        u = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
        v = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
        return self.k[0] * u + self.k[2] + 0.5, self.k[4] * v + self.k[5] + 0.5

    def image(self) -> np.ndarray:
        """``(H, W, 3) uint8, rgb8``."""
        rgb = np.full((self.height, self.width, 3), 110, np.uint8)
        for thing in THINGS:
            rgb[self._disc(thing)] = thing.color
        return rgb

    def depth_m(self, seed: int = 7) -> np.ndarray:
        """``(H, W) float32``: 2 mm of noise, and a third of the pixels are holes (NaN)."""
        rng = np.random.default_rng(seed)
        depth = np.full((self.height, self.width), TABLE_M, np.float32)
        for thing in THINGS:
            depth[self._disc(thing)] = thing.center_m[2]
        depth += rng.normal(0.0, 0.002, depth.shape).astype(np.float32)
        depth[rng.random(depth.shape) < 1 / 3] = np.nan
        return depth

    def _disc(self, thing: Thing) -> np.ndarray:
        x_px, y_px = self.pixel(thing.center_m)
        rows, columns = np.mgrid[: self.height, : self.width] + 0.5
        radius_px = RADIUS_M / thing.center_m[2] * self.k[0]
        return (columns - x_px) ** 2 + (rows - y_px) ** 2 <= radius_px**2

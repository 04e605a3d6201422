"""Drawing on a dial's plane: unit circle coordinates, put into the picture by a homography.

Everything is mapped as geometry and drawn once, so that lines stay sharp and key points exact.
"""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from molmo_node.sim.colors import Rgb
from molmo_node.sim.paint import Image, Points, fill

FONTS: tuple[int, ...] = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
)
_GLYPH_PX = (8, 14, 24, 40)  # drawn near their final size, so that no thin stroke is lost


def direction(angle_rad: float) -> NDArray[np.float64]:
    """The unit vector at an angle clockwise from up, y down."""
    return np.array((math.sin(angle_rad), -math.cos(angle_rad)))


def circle(radius: float, count: int = 56) -> NDArray[np.float64]:
    """A circle's outline on the plane."""
    angle = np.linspace(0, 2 * math.pi, count, endpoint=False)
    return np.stack((np.sin(angle), -np.cos(angle)), 1) * radius


def bar(start: NDArray[np.float64], end: NDArray[np.float64], width: float) -> np.ndarray:
    """A straight bar between two plane points, as a rectangle."""
    along = (end - start) / max(1e-9, float(np.hypot(*(end - start))))
    side = np.array((-along[1], along[0])) * (width / 2)
    return np.stack((start + side, end + side, end - side, start - side))


@dataclass(frozen=True)
class DialPlane:
    """A dial seen by a camera. `matrix` maps plane points (the face is the unit circle, x
    right, y down) to pixels, ``(3, 3) float64``."""

    matrix: NDArray[np.float64]

    def to_pixels(self, plane_xy: np.ndarray) -> Points:
        """``(N, 2)`` plane points to ``(N, 2) float32`` pixels."""
        x, y = plane_xy[:, 0], plane_xy[:, 1]
        mapped = self.matrix @ np.stack((x, y, np.ones_like(x)))
        return np.asarray((mapped[:2] / mapped[2]).T, np.float32)

    def fill(self, image: Image, outlines: Sequence[np.ndarray], rgb: Rgb) -> None:
        """Fill plane outlines with a colour, in place."""
        fill(image, [self.to_pixels(outline) for outline in outlines], rgb)

    def write(self, image: Image, text: str, at: np.ndarray, size: float, rgb: Rgb, font: int,
              thickness: int = 2) -> None:  # fmt: skip
        """Write text centred on a plane point, `size` high, in place."""
        drawn_px = size * float(np.hypot(*self.matrix[:2, 1])) / self.matrix[2, 2]
        glyphs = _glyphs(text, font, thickness, next(px for px in _GLYPH_PX if px >= drawn_px * 0.8
                                                     or px == _GLYPH_PX[-1]))  # fmt: skip
        height, width = glyphs.shape
        scale = size / (height - 8)
        corner = at - np.array((width, height)) * (scale / 2)
        corners = self.to_pixels(corner + np.array([(0, 0), (width, 0), (0, height)]) * scale)
        low = np.maximum(np.floor(corners.min(0)) - 2, 0).astype(int)
        far = corners[1] + corners[2] - corners[0]
        high = np.ceil(np.maximum(corners.max(0), far)).astype(int) + 2
        region = image[low[1] : high[1], low[0] : high[0]]
        if region.size == 0:
            return
        target = (corners - low).astype(np.float32)
        affine = cv2.getAffineTransform(
            np.array([(0, 0), (width, 0), (0, height)], np.float32), target
        )
        size_px = (region.shape[1], region.shape[0])
        alpha = cv2.warpAffine(glyphs, affine, size_px, flags=cv2.INTER_AREA)
        weight = alpha[..., None].astype(np.float32) / 255
        region[:] = (region + (np.array(rgb, np.float32) - region) * weight).astype(np.uint8)


@functools.lru_cache(maxsize=4096)
def _glyphs(text: str, font: int, thickness: int, height_px: int) -> Image:
    """Text as white on black, `height_px` high, with a margin of 4 px."""
    (width, height), _ = cv2.getTextSize(text, font, 1.0, thickness)
    scale = height_px / height
    canvas = np.zeros((height_px + 8, int(width * scale) + 8), np.uint8)
    weight = max(1, round(thickness * scale * 1.2))
    cv2.putText(canvas, text, (4, height_px + 3), font, scale, 255, weight, cv2.LINE_AA)
    return canvas


def seen_plane(
    rng: random.Random, x_px: float, y_px: float, radius_px: float, roll_rad: float, tilt: float
) -> DialPlane:
    """A dial at a place in the picture, rolled, and tilted out of the picture's plane.

    Args:
        tilt: standard deviation of the tilt about both axes, in radians.
    """
    yaw, pitch = (max(-0.9, min(0.9, rng.gauss(0, tilt))) for _ in range(2))
    cos_y, sin_y, cos_p, sin_p = math.cos(yaw), math.sin(yaw), math.cos(pitch), math.sin(pitch)
    cos_r, sin_r = math.cos(roll_rad), math.sin(roll_rad)
    near = rng.uniform(0.1, 0.3)  # radius over distance: how strong the perspective is
    tilted = np.array([
        (cos_y, 0, 0),
        (sin_y * sin_p, cos_p, 0),
        (-sin_y * cos_p * near, sin_p * near, 1),
    ])  # fmt: skip
    rolled = np.array([(cos_r, -sin_r, 0), (sin_r, cos_r, 0), (0, 0, 1)])
    placed = np.array([(radius_px, 0, x_px), (0, radius_px, y_px), (0, 0, 1)])
    return DialPlane(placed @ tilted @ rolled)

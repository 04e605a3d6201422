"""A dial unrolled: rows are radii, columns directions; and how far each spot is from the face.

The face's colour is a median along each radius, so printed rings vanish, and dark needles on
white and white needles on black look the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from molmo_node.instruments.dial import Dial
from molmo_node.instruments.pixels import Float32s, Gray, ImageRGB, Mask, resized

DIRECTIONS = 1440
STEPS_PER_DEG = DIRECTIONS / 360.0
INNER_RADIUS = 0.05
OUTER_RADIUS = 1.10
SMALLEST_RADIUS_PX = 120.0
LARGEST_RADIUS_PX = 180.0
LIGHTNESS_WEIGHT = 0.7
"""Shading changes lightness more than colour; so it counts less."""
CERTAIN_DIFFERENCE = 10.0
"""Below this distance (8-bit Lab) nothing is told from the face."""


@dataclass(frozen=True)
class PolarView:
    """A dial around its pivot.

    Attributes:
        dial: what was unrolled.
        radii: ``(R,)``, in radii of the dial, ascending.
        lab: ``(R, DIRECTIONS, 3) float32``, 8-bit Lab with weighted lightness.
        difference: ``(R, DIRECTIONS) float32``, distance to the face.
        threshold: a spot differs from the face where `difference` is above.
    """

    dial: Dial
    radii: Float32s
    lab: Float32s
    difference: Float32s
    threshold: float

    @property
    def differs(self) -> Mask:
        """``(R, DIRECTIONS)``: not face."""
        return self.difference > self.threshold

    def row(self, radius: float) -> int:
        """Index of the first row at or beyond a radius."""
        return int(np.searchsorted(self.radii, radius))


def unroll(image: ImageRGB, dial: Dial, ignore: Gray | None = None) -> PolarView:
    """Unroll a dial.

    Args:
        image: ``(H, W, 3) uint8, rgb8``.
        ignore: ``(H, W) uint8``, spots above 0 (glare, a hub's screw) are taken for face.
    """
    crop, local, scale, origin = _normalised(image, dial)
    ring = _sample(crop, local, cv2.INTER_LINEAR)
    lab8 = np.asarray(cv2.cvtColor(ring, cv2.COLOR_RGB2LAB), np.uint8)
    lab = lab8.astype(np.float32)
    away = lab - _face(lab8)
    for channels in (lab, away):
        channels[..., 0] *= LIGHTNESS_WEIGHT
    radii = _radii(local.radius_px)
    difference = np.sqrt(np.einsum("ijk,ijk->ij", away, away))
    if ignore is not None:
        difference[_sample_mask(ignore, local, scale, origin)] = 0.0
    return PolarView(dial, radii, lab, difference, _threshold(difference, radii))


def _normalised(image: ImageRGB, dial: Dial) -> tuple[ImageRGB, Dial, float, tuple[int, int]]:
    """Cut the dial out and bring its radius into the range that the rest is tuned for."""
    reach_px = OUTER_RADIUS * dial.axes_px[0] + 2
    x0, y0 = (max(0, int(c - reach_px)) for c in dial.center)
    x1, y1 = (int(c + reach_px) + 2 for c in dial.center)
    crop = image[y0:y1, x0:x1]
    scale = float(np.clip(dial.radius_px, SMALLEST_RADIUS_PX, LARGEST_RADIUS_PX)) / dial.radius_px
    crop = resized(crop, scale)
    # OpenCV's resize maps pixel centres: x' = (x + 0.5) * scale - 0.5
    center = [(c - o + 0.5) * scale - 0.5 for c, o in zip(dial.center, (x0, y0), strict=True)]
    return crop, Dial(center[0], center[1], dial.matrix * scale), scale, (x0, y0)


def _radii(radius_px: float) -> Float32s:
    rows = int(radius_px * (OUTER_RADIUS - INNER_RADIUS))
    return np.linspace(INNER_RADIUS, OUTER_RADIUS, rows, dtype=np.float32)


def _grid(dial: Dial) -> tuple[Float32s, Float32s]:
    directions = np.arange(DIRECTIONS, dtype=np.float32) * np.float32(2 * math.pi / DIRECTIONS)
    radii = _radii(dial.radius_px)[:, None]
    x, y = np.sin(directions)[None] * radii, -np.cos(directions)[None] * radii
    m = dial.matrix.astype(np.float32)
    map_x = m[0, 0] * x + m[0, 1] * y + np.float32(dial.center_x_px)
    map_y = m[1, 0] * x + m[1, 1] * y + np.float32(dial.center_y_px)
    return map_x, map_y


def _sample(image: ImageRGB, dial: Dial, how: int) -> ImageRGB:
    map_x, map_y = _grid(dial)
    return np.asarray(
        cv2.remap(image, map_x, map_y, how, borderMode=cv2.BORDER_REPLICATE), dtype=np.uint8
    )


def _sample_mask(mask: Gray, dial: Dial, scale: float, origin: tuple[int, int]) -> Mask:
    map_x, map_y = _grid(dial)
    map_x = (map_x + 0.5) / scale - 0.5 + origin[0]
    map_y = (map_y + 0.5) / scale - 0.5 + origin[1]
    return np.asarray(cv2.remap(mask, map_x, map_y, cv2.INTER_NEAREST) > 0)


def _face(lab8: ImageRGB) -> Float32s:
    """The face's colour at each spot: half the ring's median, half the shading around it."""
    median = np.median(lab8[:, ::6], axis=1).reshape(-1, 1, 3)
    ring = cv2.GaussianBlur(median, (1, 9), 0).reshape(-1, 1, 3)
    small = cv2.resize(lab8, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    side = DIRECTIONS // 24
    wide = np.concatenate([small[:, -side:], small, small[:, :side]], axis=1)
    slow = cv2.medianBlur(wide, 41)[:, side:-side]
    shading = cv2.resize(slow, (lab8.shape[1], lab8.shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(0.5 * shading + 0.5 * ring, dtype=np.float32)


def _threshold(difference: Float32s, radii: Float32s) -> float:
    middle = difference[(radii > 0.18) & (radii < 0.8), ::3]
    noise, strong = float(np.median(middle)), float(np.percentile(middle, 98.5))
    return max(CERTAIN_DIFFERENCE, noise + 0.33 * (strong - noise))

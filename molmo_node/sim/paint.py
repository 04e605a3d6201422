"""Drawing anti-aliased parts into a picture, and their mask into another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from molmo_node.sim.colors import Rgb

Image = NDArray[np.uint8]
Points = NDArray[np.float32]

_SHIFT = 4  # OpenCV's fixed-point bits: 1/16 px
_SCALE = 1 << _SHIFT


@dataclass(frozen=True)
class Part:
    """One piece of an object.

    `points_xy` is ``(N, 2) float32``, a filled polygon, or the middle line of a stroke of
    width `stroke` where that is above 0 (same unit as the points).
    """

    points_xy: Points
    rgb: Rgb
    stroke: float = 0.0
    is_closed: bool = False


def moved(part: Part, scale: float, x_px: float, y_px: float) -> Part:
    """The part scaled, then moved to pixels."""
    points = part.points_xy * np.float32(scale) + np.array((x_px, y_px), np.float32)
    return Part(points, part.rgb, part.stroke * scale, part.is_closed)


def bounds_px(parts: Sequence[Part], width: int, height: int) -> tuple[int, int, int, int]:
    """The box ``x0, y0, x1, y1`` that holds the parts, cut to the picture; may be empty."""
    low = np.min([part.points_xy.min(0) - part.stroke for part in parts], axis=0)
    high = np.max([part.points_xy.max(0) + part.stroke for part in parts], axis=0)
    x0, y0 = (max(0, int(v) - 2) for v in low)
    return x0, y0, min(width, int(high[0]) + 3), min(height, int(high[1]) + 3)


def _fixed(points_xy: Points) -> NDArray[np.int32]:
    return np.round(points_xy * _SCALE - _SCALE // 2).astype(np.int32)


def fill(image: Image, polygons: Sequence[Points], color: Rgb | float, smooth: bool = True) -> None:
    """Fill polygons (pixels, origin at the corner of the picture) with one colour, in place."""
    kind = cv2.LINE_AA if smooth else cv2.LINE_8
    for polygon in polygons:  # one call each: together, overlapping polygons would cancel out
        cv2.fillPoly(image, [_fixed(polygon)], color, kind, _SHIFT)


def fill_apart(image: Image, polygons: Points, color: Rgb) -> None:
    """Fill ``(n, corners, 2)`` polygons that do not overlap, in place; one call, so faster."""
    cv2.fillPoly(image, list(_fixed(polygons)), color, cv2.LINE_AA, _SHIFT)


def draw(image: Image, part: Part, color: Rgb | float, smooth: bool = True) -> None:
    """Draw a part's form in one colour, in place."""
    if part.stroke <= 0:
        fill(image, [part.points_xy], color, smooth)
        return
    kind = cv2.LINE_AA if smooth else cv2.LINE_8
    width_px = max(1, round(part.stroke))
    cv2.polylines(image, [_fixed(part.points_xy)], part.is_closed, color, width_px, kind, _SHIFT)


def mask_of(parts: Sequence[Part], box: tuple[int, int, int, int]) -> Image:
    """``(y1 - y0, x1 - x0) uint8`` with 255 where any part covers the pixel."""
    x0, y0, x1, y1 = box
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    for part in parts:
        draw(mask, moved(part, 1.0, -x0, -y0), 255.0, smooth=False)
    return mask


def multiply(region: Image, gain_hw: NDArray[np.floating]) -> None:
    """Multiply a picture region by a light map (1 leaves it as it is), in place."""
    gain = np.clip(gain_hw * 100, 0, 255).astype(np.uint8)
    cv2.multiply(region, cv2.merge((gain, gain, gain)), dst=region, scale=1 / 100)


def inner_point(mask: Image) -> tuple[float, float]:
    """A point surely inside a mask that is not empty: the centroid, else the deepest pixel."""
    moments = cv2.moments(mask, True)
    x, y = moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]
    if mask[int(y + 0.5), int(x + 0.5)]:
        return x + 0.5, y + 0.5
    depth = cv2.distanceTransform((mask > 0).astype(np.uint8), cv2.DIST_L2, 3)
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    return float(column) + 0.5, float(row) + 0.5

"""Needles that do not run out from the pivot: thin or half hidden ones, and drops on a wide hub."""

from __future__ import annotations

import math

import cv2
import numpy as np

from molmo_node.instruments.angles import clockwise_deg
from molmo_node.instruments.dial import Dial
from molmo_node.instruments.pixels import Float32s, Floats, Gray, ImageRGB, Mask, lab_of
from molmo_node.instruments.polar import DIRECTIONS, STEPS_PER_DEG, PolarView

RIDGE_WIDTHS = (0.012, 0.03, 0.06)
RIDGE_CAP = 25.0
BLOB_SIDE = 260
BLOB_CONTRAST = 12.0


def ridge_peak(view: PolarView, inner: float, outer: float, allowed: Mask) -> tuple[float, float]:
    """The direction with the strongest radial ridge.

    Args:
        inner, outer: radii along which the ridge is summed.
        allowed: ``(DIRECTIONS,)``, where a needle can be.

    Returns:
        angle_deg, and how many times stronger it is than anything else on the ring.
    """
    rows = slice(view.row(inner), view.row(outer))
    lab = np.asarray(cv2.GaussianBlur(view.lab[rows], (5, 3), 0.8), np.float32)
    best = (0.0, 0.0)
    for width in RIDGE_WIDTHS:
        strength = _ridge(lab, view.radii[rows], width)
        best = max(best, _peak(strength, allowed), key=lambda found: found[1])
    return best


def _ridge(lab: Float32s, radii: Float32s, width: float) -> Floats:
    """Mean over the radii of how much a spot differs from both sides, `width` radii away."""
    total = np.zeros(DIRECTIONS)
    for line, radius in zip(lab, radii, strict=True):
        step = max(2, round(width / float(radius) * DIRECTIONS / (2 * math.pi) * 1.2))
        off = line - 0.5 * (np.roll(line, step, axis=0) + np.roll(line, -step, axis=0))
        total += np.minimum(np.sqrt((off * off).sum(axis=1)), RIDGE_CAP)
    padded = np.pad(total / max(1, len(radii)), 2, mode="wrap")
    return np.convolve(padded, np.ones(5) / 5, "valid")


def _peak(strength: Floats, allowed: Mask) -> tuple[float, float]:
    inside = np.where(allowed, strength, 0.0)
    peak = int(np.argmax(inside))
    away = np.abs((np.arange(DIRECTIONS) - peak + DIRECTIONS // 2) % DIRECTIONS - DIRECTIONS // 2)
    rest = float(np.percentile(strength[away > DIRECTIONS // 30], 99.5))
    columns = np.arange(peak - 6, peak + 7)
    weights = np.clip(strength[columns % DIRECTIONS] - 0.5 * strength[peak], 0.0, None)
    if weights.sum() <= 0:
        return 0.0, 0.0
    angle_deg = float((columns * weights).sum() / weights.sum()) / STEPS_PER_DEG % 360.0
    return angle_deg, float(inside[peak]) / max(1e-6, rest)


def blob_direction(image: ImageRGB, dial: Dial) -> tuple[float, float] | None:
    """The far end of the blob that holds the pivot: (angle_deg, its reach in radii), or None."""
    flat, x, y = _flatten(image, dial)
    lab = lab_of(flat)
    radius = np.hypot(x, y)
    hub = np.median(lab[radius < 0.2], axis=0)
    face = np.median(lab[(radius > 0.35) & (radius < 0.95)], axis=0)
    axis = hub - face
    if float(np.linalg.norm(axis)) < BLOB_CONTRAST:
        return None
    likeness = ((lab - face) @ axis) / float(axis @ axis)
    mask = ((likeness > 0.5) & (radius < 1.0)).astype(np.uint8)
    opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    blob = _component_at_pivot(np.asarray(opened, np.uint8), radius)
    if blob is None:
        return None
    reach = float(radius[blob].max())
    far = blob & (radius > 0.72 * reach)
    weights = radius[far] ** 2
    return clockwise_deg(float((x[far] * weights).sum()), float((y[far] * weights).sum())), reach


def _flatten(image: ImageRGB, dial: Dial) -> tuple[ImageRGB, Floats, Floats]:
    side = np.linspace(-1.0, 1.0, BLOB_SIDE)
    x, y = np.meshgrid(side, side)
    m = dial.matrix
    map_x = (dial.center_x_px + m[0, 0] * x + m[0, 1] * y).astype(np.float32)
    map_y = (dial.center_y_px + m[1, 0] * x + m[1, 1] * y).astype(np.float32)
    flat = cv2.remap(image, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(flat, np.uint8), x, y


def _component_at_pivot(mask: Gray, radius: Floats) -> Mask | None:
    labels = cv2.connectedComponents(mask)[1]
    at_pivot = labels[radius < 0.15]
    at_pivot = at_pivot[at_pivot > 0]
    if not len(at_pivot):
        return None
    return np.asarray(labels == np.bincount(at_pivot).argmax())

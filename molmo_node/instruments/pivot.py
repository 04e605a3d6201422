"""Where a dial's hands turn about: seen from the side, that is not the middle of its rim.

A rim stands before the face, and perspective moves its middle too: at 35° the pivot is a tenth
of the radius away. Straight rays of hand colour meet at the pivot and nowhere else.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from molmo_node.instruments.dial import Dial
from molmo_node.instruments.pixels import Floats, ImageRGB, Mask, lab_of

SIDE = 221
"""Pixels of the flattened dial's side; the disc fills it."""
SEARCH = 0.20
COARSE_STEP = 0.025
FINE_STEP = 0.008
INNER_RAY, OUTER_RAY = 0.07, 0.42
RAY_STEPS = 20
HALF_FULL = 0.5
APART_SHARE = 0.035
"""Rays nearer than this part of a turn belong to one hand."""
TAIL_SHARE = 0.3
FAR_COST = 0.25
FACE_SIDE_PX = 45
LEAST_DIFFERENCE = 14.0


def flatten(image: ImageRGB, dial: Dial, side: int = SIDE) -> ImageRGB:
    """The rectified dial, ``(side, side, 3) uint8``; the unit disc touches the sides."""
    place = np.linspace(-1.0, 1.0, side)
    x, y = np.meshgrid(place, place)
    m = dial.matrix
    map_x = (dial.center_x_px + m[0, 0] * x + m[0, 1] * y).astype(np.float32)
    map_y = (dial.center_y_px + m[1, 0] * x + m[1, 1] * y).astype(np.float32)
    flat = cv2.remap(image, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(flat, np.uint8)


def find_pivot(image: ImageRGB, dial: Dial) -> Dial:
    """The dial about the point where its hands meet; as it was where no hands are seen."""
    mask = thin_things(flatten(image, dial))
    offset, strength = _best_offset(mask, np.zeros(2), SEARCH, COARSE_STEP, directions=180)
    if strength <= 0:
        return dial
    offset, _ = _best_offset(mask, offset, COARSE_STEP, FINE_STEP, directions=360)
    return dial.recentred(*dial.to_image(float(offset[0]), float(offset[1])))


def thin_things(flat: ImageRGB) -> Mask:
    """What is narrower than a tenth of the dial and unlike the face around it."""
    # the kernel wipes hands and print off the face, whatever their colour
    face = np.asarray(cv2.medianBlur(flat, FACE_SIDE_PX), np.uint8)
    away = lab_of(flat) - lab_of(face)
    difference = np.sqrt((away * away).sum(axis=2))
    side = flat.shape[0]
    place = np.linspace(-1.0, 1.0, side)
    inside = np.hypot(*np.meshgrid(place, place)) < 0.75
    noise, strong = np.median(difference[inside]), np.percentile(difference[inside], 97)
    return np.asarray(difference > max(LEAST_DIFFERENCE, noise + 0.35 * (strong - noise)))


def _best_offset(
    mask: Mask, around: Floats, reach: float, step: float, directions: int
) -> tuple[Floats, float]:
    """The pivot, on a grid about `around`, from which the most straight rays go out."""
    steps = np.arange(-round(reach / step), round(reach / step) + 1) * step
    grid = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    grid = around + grid[np.hypot(*grid.T) <= reach + 1e-9]
    grid = grid[np.hypot(*grid.T) <= SEARCH + step]
    strength = _strength(_filled(mask, grid, directions))
    strength -= FAR_COST * np.hypot(*grid.T) / SEARCH
    best = int(np.argmax(strength))
    return grid[best], float(strength[best])


def _filled(mask: Mask, offsets: Floats, directions: int) -> Floats:
    """``(offsets, directions)``: which part of the ray in each direction is hand."""
    turn = np.arange(directions) * 2 * math.pi / directions
    ray = np.column_stack([np.sin(turn), -np.cos(turn)])
    half = (mask.shape[0] - 1) / 2
    total = np.zeros((len(offsets), directions))
    for radius in np.linspace(INNER_RAY, OUTER_RAY, RAY_STEPS):
        place = np.round((offsets[:, None] + radius * ray + 1.0) * half).astype(np.intp)
        total += mask[place[..., 1], place[..., 0]]
    return total / RAY_STEPS


def _strength(filled: Floats) -> Floats:
    """How many hands start here: full rays, one for each hand; a hand's own tail counts little."""
    directions = filled.shape[1]
    near = range(-round(directions * APART_SHARE), round(directions * APART_SHARE) + 1)
    is_peak = np.ones(filled.shape, bool)
    around = np.zeros_like(filled)
    for step in near:
        turned = np.roll(filled, step, axis=1)
        is_peak &= (filled > turned) if step > 0 else (filled >= turned)
        around = np.maximum(around, turned)
    full = np.clip((filled - HALF_FULL) / (1 - HALF_FULL), 0.0, 1.0) ** 2 * is_peak
    opposite = np.roll(around, directions // 2, axis=1)
    return np.asarray((full * np.where(opposite > filled, TAIL_SHARE, 1.0)).sum(axis=1))

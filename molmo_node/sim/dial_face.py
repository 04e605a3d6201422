"""What clocks and gauges share: case, face colours, tick marks, glass."""

from __future__ import annotations

import random
from dataclasses import dataclass

import cv2
import numpy as np

from molmo_node.sim.colors import Rgb, muted_rgb, pick_rgb, toned
from molmo_node.sim.dial_plane import DialPlane, circle
from molmo_node.sim.paint import Image, fill_apart, multiply

_CASE_COLORS = ("black", "black", "gray", "gray", "white", "brown", "blue", "red", "yellow")
SQUARE = np.array([(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)])


@dataclass(frozen=True)
class Paint:
    """Colours of one dial, and the names that a person might give to its case and face."""

    case: Rgb
    face: Rgb
    ink: Rgb
    color_names: frozenset[str]


def pick_paint(rng: random.Random) -> Paint:
    """A dial's colours: dark ink on a light face in four of five."""
    case_color = rng.choice(_CASE_COLORS)
    light, dark = muted_rgb(rng, 190, 252), muted_rgb(rng, 8, 60)
    is_light = rng.random() < 0.8
    face, ink = (light, dark) if is_light else (dark, light)
    names = frozenset({case_color, "gray", "white" if is_light else "black"})
    return Paint(pick_rgb(rng, case_color), face, ink, names)


def draw_case(
    rng: random.Random, plane: DialPlane, image: Image, paint: Paint, is_square: bool
) -> np.ndarray:
    """Case and empty face, in place.

    Returns:
        The case's outline on the plane; the face inside it reaches to radius 1.
    """
    form = SQUARE * 0.98 if is_square else circle(1.0)
    rim = rng.uniform(1.04, 1.22)
    if rng.random() < 0.5:
        _shade_below(plane, image, form * rim * 1.04 + (0.03, 0.06))
    plane.fill(image, [form * rim], paint.case)
    if rng.random() < 0.5:
        plane.fill(image, [form * (1 + (rim - 1) * 0.5)], toned(paint.case, 0.7))
    plane.fill(image, [form], paint.face)
    return np.asarray(form * rim)


def _shade_below(plane: DialPlane, image: Image, outline: np.ndarray) -> None:
    height, width = image.shape[:2]
    small = np.zeros(((height + 7) // 8, (width + 7) // 8), np.uint8)
    cv2.fillPoly(small, [np.round(plane.to_pixels(outline) / 8).astype(np.int32)], 110)
    soft = cv2.resize(cv2.blur(small, (3, 3)), (width, height))
    multiply(image, 1 - soft.astype(np.float32) / 255)


def draw_ticks(
    plane: DialPlane,
    image: Image,
    angles_rad: np.ndarray,
    radius: float,
    length: float,
    width: float,
    rgb: Rgb,
) -> None:
    """Marks from `radius` inwards at the angles, in place."""
    along = np.stack((np.sin(angles_rad), -np.cos(angles_rad)), 1)
    side = np.stack((-along[:, 1], along[:, 0]), 1) * (width / 2)
    inner, outer = along * (radius - length), along * radius
    corners = np.stack((inner + side, outer + side, outer - side, inner - side), 1)
    pixels = plane.to_pixels(corners.reshape(-1, 2)).reshape(-1, 4, 2)
    fill_apart(image, pixels, rgb)


def draw_arc(
    plane: DialPlane,
    image: Image,
    start_rad: float,
    end_rad: float,
    radius: float,
    width: float,
    rgb: Rgb,
) -> None:
    """A coloured band or a thin scale line along the scale, in place."""
    angle = np.linspace(start_rad, end_rad, max(3, int(abs(end_rad - start_rad) * 9)))
    ring = np.stack((np.sin(angle), -np.cos(angle)), 1)
    outline = np.concatenate((ring * radius, (ring * (radius - width))[::-1]))
    plane.fill(image, [outline], rgb)


def draw_glare(rng: random.Random, plane: DialPlane, image: Image) -> None:
    """A soft reflection on the glass, in place; worked at a quarter of the size."""
    height, width = image.shape[:2]
    small = np.zeros(((height + 3) // 4, (width + 3) // 4), np.uint8)
    at = np.array([(rng.uniform(-0.7, 0.7), rng.uniform(-0.7, 0.3))])
    x, y = plane.to_pixels(at)[0] / 4
    reach = float(plane.matrix[0, 0] ** 2 + plane.matrix[1, 0] ** 2) ** 0.5 / 4
    axes = (max(1, int(reach * rng.uniform(0.1, 0.5))), max(1, int(reach * rng.uniform(0.1, 0.3))))
    strength = rng.randint(15, 90)
    cv2.ellipse(small, (int(x), int(y)), axes, rng.uniform(0, 180), 0, 360, strength, -1)
    face = np.zeros_like(small)
    cv2.fillPoly(face, [np.round(plane.to_pixels(circle(1.0, 32)) / 4).astype(np.int32)], 255)
    soft = cv2.bitwise_and(cv2.blur(small, (max(3, int(reach * 0.25) | 1),) * 2), face)
    glow = cv2.resize(soft, (width, height))
    cv2.add(image, cv2.merge((glow, glow, glow)), dst=image)

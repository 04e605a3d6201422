"""Analog gauges with a known scale and value."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace

import numpy as np

from molmo_node.sim.clocks import DrawnDial
from molmo_node.sim.colors import Rgb, pick_rgb, toned
from molmo_node.sim.dial_face import Paint, draw_arc, draw_case, draw_glare, draw_ticks, pick_paint
from molmo_node.sim.dial_plane import FONTS, DialPlane, circle, direction
from molmo_node.sim.hands import draw_hub
from molmo_node.sim.needles import draw_drop, draw_needle
from molmo_node.sim.paint import Image

# lowest value, highest value, numbered steps between them
SCALES: tuple[tuple[float, float, int], ...] = (
    (0, 1, 5), (0, 1, 10), (0, 1.6, 8), (0, 2.5, 5), (0, 4, 4), (0, 6, 6), (0, 10, 5),
    (0, 10, 10), (0, 16, 8), (0, 25, 5), (0, 40, 4), (0, 60, 6), (0, 100, 5), (0, 100, 10),
    (0, 160, 8), (0, 250, 5), (0, 300, 6), (0, 400, 8), (-1, 0, 5), (-1, 1.5, 5), (-1, 3, 4),
    (-30, 50, 8), (0, 120, 6), (20, 120, 5), (0, 200, 4),
)  # fmt: skip
UNITS: tuple[str, ...] = ("bar", "psi", "kPa", "MPa", "C", "%", "V", "A", "mbar", "rpm")
_SWEEPS_DEG = (270, 270, 270, 270, 240, 300, 180, 260, 315)
_PRINTS = ("PRESSURE", "CL1.6", "EN 837-1", "MADE IN", "NORD", "STEAM", "316 SS", "OIL", "TEMP")
REGISTER = (0.0, 10.0, 10)


@dataclass(frozen=True)
class GaugeScale:
    """A printed scale: values, unit, and where it lies, clockwise from up."""

    low: float
    high: float
    steps: int
    unit: str
    start_rad: float
    sweep_rad: float

    @property
    def is_register(self) -> bool:
        """Whether it sweeps a whole turn, so that its last mark is its first one."""
        return self.sweep_rad >= 2 * math.pi

    def angle_rad(self, fraction: float) -> float:
        """The needle's angle at a fraction of the scale, 0 to 1."""
        return self.start_rad + self.sweep_rad * fraction

    def value(self, fraction: float) -> float:
        """The printed value at a fraction of the scale, 0 to 1."""
        return self.low + (self.high - self.low) * fraction


def random_scale(rng: random.Random) -> GaugeScale:
    """One of the common scales, one in four turned a little out of symmetry; one in eight is
    a register dial."""
    if rng.random() < 0.12:
        return GaugeScale(*REGISTER, "", 0.0, 2 * math.pi)
    low, high, steps = rng.choice(SCALES)
    sweep_rad = math.radians(rng.choice(_SWEEPS_DEG))
    start_rad = -sweep_rad / 2 + (rng.gauss(0, 0.12) if rng.random() < 0.25 else 0)
    return GaugeScale(low, high, steps, rng.choice(UNITS), start_rad, sweep_rad)


def _draw_scale(rng: random.Random, plane: DialPlane, image: Image, scale: GaugeScale, ink: Rgb,
                radius: float) -> None:  # fmt: skip
    """Ticks, line and numbers."""
    per_step = rng.choice((2, 5, 5, 10))
    count = scale.steps * per_step
    angles = scale.start_rad + np.linspace(0, 1, count + 1) * scale.sweep_rad
    minor = rng.uniform(0.04, 0.07)
    draw_ticks(plane, image, angles, radius, minor, rng.uniform(0.006, 0.012), ink)
    major = rng.uniform(0.09, 0.14)
    draw_ticks(plane, image, angles[::per_step], radius, major, rng.uniform(0.014, 0.03), ink)
    if rng.random() < 0.6:
        draw_arc(plane, image, angles[0], angles[-1], radius, 0.012, ink)
    font, size = rng.choice(FONTS), rng.uniform(0.09, 0.15)
    ring, thickness = radius - rng.uniform(0.2, 0.27), rng.choice((1, 2, 2))
    for index in range(scale.steps + 1):
        at = direction(float(angles[index * per_step])) * ring
        text = f"{round(scale.value(index / scale.steps), 2):g}"
        plane.write(image, text, at, size, ink, font, thickness)


def _draw_second_ring(
    rng: random.Random, plane: DialPlane, image: Image, scale: GaugeScale, radius: float
) -> None:
    """An inner ring in another unit and colour."""
    rgb = pick_rgb(rng, rng.choice(("red", "blue", "black")))
    steps = rng.choice((4, 5, 7, 8))
    angles = scale.start_rad + np.linspace(0, 1, steps + 1) * scale.sweep_rad
    inner = radius - rng.uniform(0.36, 0.42)
    draw_ticks(plane, image, angles, inner, 0.05, 0.012, rgb)
    high = rng.choice((15, 30, 60, 100, 150, 230))
    for index in range(steps + 1):
        at = direction(float(angles[index])) * (inner - 0.12)
        plane.write(image, f"{high * index / steps:.0f}", at, 0.07, rgb, FONTS[0])


def _draw_bands(
    rng: random.Random, plane: DialPlane, image: Image, scale: GaugeScale, radius: float
) -> None:
    """Green, yellow and red ranges along the scale, or only a red one."""
    width, low = rng.uniform(0.03, 0.09), rng.uniform(0.3, 0.7)
    high = rng.uniform(low + 0.1, 0.95)
    bands = [("red", high, 1.0)]
    if rng.random() < 0.5:
        bands += [("yellow", low, high), ("green", 0.0, low)]
    for color, first, last in bands:
        angles = scale.angle_rad(first), scale.angle_rad(last)
        draw_arc(plane, image, *angles, radius - 0.02, width, pick_rgb(rng, color))


def _draw_small_print(rng: random.Random, plane: DialPlane, image: Image, ink: Rgb) -> None:
    """Maker's name, a class, two screws: what stands on a face and means nothing, in place."""
    for _ in range(rng.randint(1, 3)):
        at = np.array((rng.uniform(-0.3, 0.3), rng.choice((-0.5, -0.3, 0.3, 0.45, 0.6))))
        size = rng.uniform(0.04, 0.09)
        plane.write(image, rng.choice(_PRINTS), at, size, ink, rng.choice(FONTS), 1)
    if rng.random() < 0.3:
        apart, below = rng.uniform(0.1, 0.25), rng.choice((-0.35, 0.3, 0.4))
        steel = pick_rgb(rng, "gray")
        for at in np.array([(-apart, below), (apart, below)]):
            plane.fill(image, [circle(0.06, 16) + at], toned(steel, 0.6))
            plane.fill(image, [circle(0.045, 16) + at], toned(steel, 1.4))


def _draw_register(
    rng: random.Random, plane: DialPlane, image: Image, paint: Paint, fraction: float
) -> np.ndarray:
    """The face of a register dial, ten digits around a whole turn, and its needle, in place.

    Returns:
        The five key points on the plane; the last mark is the first one again.
    """
    ring, digits = rng.uniform(0.86, 0.97), np.arange(10)
    angles = digits * (math.pi / 5)
    draw_ticks(plane, image, angles, ring, rng.uniform(0.08, 0.2), rng.uniform(0.02, 0.04),
               paint.ink)  # fmt: skip
    if rng.random() < 0.6:
        draw_arc(plane, image, 0.0, 2 * math.pi, ring, 0.03, paint.ink)
    size, font = rng.uniform(0.14, 0.24), rng.choice(FONTS)
    for digit in digits:
        at = direction(float(angles[digit])) * (ring - rng.uniform(0.24, 0.3))
        plane.write(image, str(digit), at, size, paint.ink, font)
    is_dark = sum(paint.face) < 300
    rgb = pick_rgb(rng, rng.choice(("red", "orange", "white" if is_dark else "black")))
    needle = draw_drop(rng, plane, image, 2 * math.pi * fraction, rgb)
    top, bottom = direction(0.0) * ring, direction(math.pi) * ring
    return np.stack((np.zeros(2), top, bottom, top, needle.tip))


def draw_gauge(
    rng: random.Random, image: Image, plane: DialPlane, scale: GaugeScale, fraction: float
) -> DrawnDial:
    """Draw a gauge whose needle stands at `fraction` of its scale, in place.

    A scale that sweeps a whole turn is a register dial of ten digits.
    """
    paint = pick_paint(rng)
    if rng.random() < 0.15:  # let into a plate of its own colour
        paint = replace(paint, case=paint.face)
    case = draw_case(rng, plane, image, paint, is_square=rng.random() < 0.08)
    if scale.is_register:
        keys = _draw_register(rng, plane, image, paint, fraction)
    else:
        keys = _draw_face(rng, plane, image, paint, scale, fraction)
    hub_rgb = paint.ink if rng.random() < 0.5 else toned(paint.case, 0.9)
    draw_hub(rng, plane, image, rng.uniform(0.05, 0.12), hub_rgb)
    if rng.random() < 0.3:
        draw_glare(rng, plane, image)
    return DrawnDial(plane.to_pixels(keys), plane.to_pixels(case), paint.color_names)


def _draw_face(rng: random.Random, plane: DialPlane, image: Image, paint: Paint,
               scale: GaugeScale, fraction: float) -> np.ndarray:  # fmt: skip
    """Print and needle of a gauge, in place; returns its five key points on the plane."""
    radius = rng.uniform(0.82, 0.95)
    if rng.random() < 0.35:
        _draw_bands(rng, plane, image, scale, radius)
    _draw_scale(rng, plane, image, scale, paint.ink, radius)
    if rng.random() < 0.25:
        _draw_second_ring(rng, plane, image, scale, radius)
    at = np.array((0.0, rng.choice((0.35, -0.35, 0.55))))
    plane.write(image, scale.unit, at, rng.uniform(0.08, 0.13), paint.ink, rng.choice(FONTS))
    if rng.random() < 0.4:
        _draw_small_print(rng, plane, image, paint.ink)
    needle = draw_needle(rng, plane, image, scale.angle_rad(fraction), paint.ink, radius)
    marks = [direction(scale.angle_rad(part)) * radius for part in (0.0, 0.5, 1.0)]
    return np.stack((np.zeros(2), *marks, needle.tip))

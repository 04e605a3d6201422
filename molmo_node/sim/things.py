"""What lies on the bench: each thing is a function from a colour and a view to drawn parts.

All sizes are in units of the thing's radius; the picture's y axis points down.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from molmo_node.sim.colors import Rgb, pick_rgb, toned
from molmo_node.sim.paint import Part, Points
from molmo_node.sim.solids import View, cuboid, hull, revolved

Maker = Callable[[random.Random, Rgb, View], list[Part]]


def _lying(view: View, outline: ArrayLike, yaw_rad: float, z: float = 0.0) -> Points:
    """A flat outline laid on the table, turned by `yaw_rad`."""
    plane = np.asarray(outline, np.float64)
    cosine, sine = math.cos(yaw_rad), math.sin(yaw_rad)
    turned = plane @ np.array([(cosine, sine), (-sine, cosine)])
    return view.project(np.concatenate((turned, np.full((len(plane), 1), z)), 1))


def _arc(radius: float, start_rad: float, end_rad: float, count: int = 16) -> np.ndarray:
    angle = np.linspace(start_rad, end_rad, count)
    return np.stack((radius * np.cos(angle), radius * np.sin(angle)), 1)


def _mug(rng: random.Random, rgb: Rgb, view: View) -> list[Part]:
    radius, half = rng.uniform(0.5, 0.66), rng.uniform(0.55, 0.75)
    parts = revolved(view, [(-half, radius * rng.uniform(0.8, 1)), (half, radius)], rgb)
    parts.append(Part(view.ring(radius * 0.88, half), toned(rgb, rng.uniform(0.35, 0.7))))
    if rng.random() < 0.4:
        drink = (70.0, 42.0, 20.0) if rng.random() < 0.6 else (120.0, 90.0, 40.0)
        parts.append(Part(view.ring(radius * 0.8, half * 0.75), drink))
    side, away = rng.choice((-1, 1)), rng.uniform(-0.5, 0.2)
    bow = _arc(1.0, -math.pi / 2, math.pi / 2)
    x = side * (radius * 0.93 + bow[:, 0] * rng.uniform(0.3, 0.42))
    path = np.stack((x, np.full(len(bow), away * radius), bow[:, 1] * half * 0.62), 1)
    handle = Part(view.project(path), toned(rgb, 0.9), rng.uniform(0.13, 0.2))
    return [handle, *parts]


def _bottle(rng: random.Random, rgb: Rgb, view: View) -> list[Part]:
    radius, neck = rng.uniform(0.3, 0.42), rng.uniform(0.11, 0.16)
    shoulder = rng.uniform(0.2, 0.45)
    profile = [(-1.0, radius), (shoulder, radius), (shoulder + 0.35, neck), (1.0, neck)]
    parts = revolved(view, profile, rgb)
    if rng.random() < 0.6:
        low, high = view.ring(radius * 1.01, -0.6), view.ring(radius * 1.01, rng.uniform(-0.1, 0.1))
        front = hull(low, high)
        parts.insert(1, Part(front, toned(rgb, rng.choice((0.6, 1.5, 1.9)))))
    cap = pick_rgb(rng, rng.choice(("white", "black", "gray"))) if rng.random() < 0.5 else rgb
    parts += revolved(view, [(0.88, neck * 1.25), (1.08, neck * 1.25)], toned(cap, 0.8))
    return parts


def _bowl(rng: random.Random, rgb: Rgb, view: View) -> list[Part]:
    depth, foot = rng.uniform(0.55, 0.8), rng.uniform(0.3, 0.45)
    profile = [(-depth / 2, foot), (-depth * 0.3, 0.72), (0.0, 0.9), (depth / 2, 1.0)]
    inside = Part(view.ring(0.92, depth / 2), toned(rgb, rng.uniform(0.5, 0.8)))
    bottom = Part(view.ring(0.5, -depth * 0.1), toned(rgb, rng.uniform(0.7, 0.95)))
    return [*revolved(view, profile, rgb), inside, bottom]


def _box(rng: random.Random, rgb: Rgb, view: View) -> list[Part]:
    size = (rng.uniform(0.9, 1.4), rng.uniform(0.8, 1.3), rng.uniform(0.7, 1.2))
    yaw_rad = rng.uniform(0.2, 1.35)
    parts = cuboid(view, size, yaw_rad, rgb, rng.uniform(0.5, 1))
    if rng.random() < 0.35:  # a strip of tape across the lid
        strip = np.array([(-0.12, -0.5), (0.12, -0.5), (0.12, 0.5), (-0.12, 0.5)]) * size[1]
        parts.append(Part(_lying(view, strip, yaw_rad, size[2] / 2), toned(rgb, 1.5)))
    return parts


def _ball(rng: random.Random, rgb: Rgb, view: View) -> list[Part]:
    parts = [Part((_arc(1, 0, 2 * math.pi, 40) * 0.95).astype(np.float32), rgb)]
    if rng.random() < 0.3:  # a seam
        bend, turn = rng.uniform(-0.8, 0.8), rng.uniform(0, math.pi)
        t = np.linspace(-1, 1, 15)
        seam = np.stack((bend * np.sqrt(1 - t**2), t), 1) * 0.93
        cosine, sine = math.cos(turn), math.sin(turn)
        seam = seam @ np.array([(cosine, sine), (-sine, cosine)])
        parts.append(Part(seam.astype(np.float32), toned(rgb, rng.choice((0.45, 1.7))), 0.08))
    return parts


def _book(rng: random.Random, rgb: Rgb, view: View) -> list[Part]:
    width, length, thick = rng.uniform(1.05, 1.25), rng.uniform(1.5, 1.75), rng.uniform(0.18, 0.35)
    yaw_rad = rng.uniform(-math.pi, math.pi)
    pages = cuboid(view, (width * 0.97, length * 0.97, thick), yaw_rad, (236, 232, 218), 0.35)
    half = np.array([(-width, -length), (width, -length), (width, length), (-width, length)]) / 2
    lid = thick / 2 + 0.02
    parts = [Part(_lying(view, half, yaw_rad, -lid), toned(rgb, 0.7)), *pages]
    parts.append(Part(_lying(view, half, yaw_rad, lid), rgb))
    spine = half * (0.12, 1) + (-width * 0.44, 0)
    parts.append(Part(_lying(view, spine, yaw_rad, lid), toned(rgb, rng.uniform(0.55, 0.8))))
    title = half * (0.6, rng.uniform(0.08, 0.16)) + (0.05, length * rng.uniform(-0.3, 0.3))
    parts.append(Part(_lying(view, title, yaw_rad, lid), toned(rgb, rng.choice((0.5, 1.6, 2.2)))))
    return parts


def _button(rng: random.Random, rgb: Rgb, view: View) -> list[Part]:
    plate = pick_rgb(rng, rng.choice(("gray", "gray", "black", "white")))
    if rng.random() < 0.5:
        parts = cuboid(view, (1.6, 1.6, 0.25), rng.gauss(0, 0.15), plate, 0.6)
    else:
        parts = revolved(view, [(-0.12, 0.95), (0.12, 0.95)], plate)
    radius, rise = rng.uniform(0.5, 0.66), rng.uniform(0.3, 0.6)
    collar = revolved(view, [(0.12, radius * 1.15), (0.22, radius * 1.15)], toned(plate, 0.55))
    return [*parts, *collar, *revolved(view, [(0.2, radius * 0.9), (rise, radius)], rgb)]


def _valve(rng: random.Random, rgb: Rgb, view: View) -> list[Part]:
    steel = pick_rgb(rng, "gray")
    stem = revolved(view, [(-0.7, 0.34), (-0.5, 0.34), (-0.45, 0.14), (0.15, 0.14)], steel)
    turn, count = rng.uniform(0, math.pi), rng.choice((3, 4, 5, 6))
    wheel = Part(view.ring(0.88, 0.2), rgb, rng.uniform(0.15, 0.22), is_closed=True)
    spokes = []
    for index in range(count):
        angle = turn + 2 * math.pi * index / count
        ends = np.array([(0, 0, 0.2), (0.85 * math.cos(angle), 0.85 * math.sin(angle), 0.2)])
        spokes.append(Part(view.project(ends), toned(rgb, 0.85), 0.13))
    hub = revolved(view, [(0.15, 0.2), (0.3, 0.2)], toned(rgb, 0.8))
    return [*stem, *spokes, wheel, *hub]


def _lamp(rng: random.Random, rgb: Rgb, view: View) -> list[Part]:
    dark = pick_rgb(rng, rng.choice(("black", "gray", "gray", "white")))
    base = revolved(view, [(-1.05, 0.42), (-0.95, 0.4)], dark)
    pole = Part(view.project(np.array([(0, 0, -0.95), (0, 0, 0.3)])), toned(dark, 0.8), 0.1)
    low, high = rng.uniform(0.62, 0.78), rng.uniform(0.28, 0.45)
    shade = revolved(view, [(0.15, low), (0.95, high)], rgb)
    return [*base, pole, *shade, Part(view.ring(high * 0.8, 0.95), toned(rgb, 1.5))]


def _cable(rng: random.Random, rgb: Rgb, view: View) -> list[Part]:
    loops, width = rng.uniform(1.6, 2.8), rng.uniform(0.09, 0.14)
    turn = np.linspace(0, 2 * math.pi * loops, 60) + rng.uniform(0, 6.3)
    radius = np.linspace(rng.uniform(0.45, 0.6), 0.85, 60)
    coil = np.stack((radius * np.cos(turn), radius * np.sin(turn)), 1)
    tail = coil[-1] + np.array([(0.25, 0.1), (0.4, 0.3)]) * rng.choice((-1, 1))
    path = _lying(view, np.concatenate((coil, tail)), 0.0)
    plug = Part(path[-2:], (35.0, 35.0, 38.0), width * 2)
    return [Part(path, toned(rgb, 0.55), width * 1.35), Part(path, rgb, width), plug]


def _wrench(rng: random.Random, rgb: Rgb, view: View) -> list[Part]:
    yaw_rad, half = rng.uniform(-math.pi, math.pi), rng.uniform(0.11, 0.16)
    jaw = np.concatenate((_arc(0.34, 0.5, 2 * math.pi - 0.5), [(0.02, -0.14), (0.02, 0.14)]))
    handle = [(-0.75, -half), (0.55, -half * 0.8), (0.55, half * 0.8), (-0.75, half)]
    parts = [Part(_lying(view, handle, yaw_rad), rgb)]
    parts.append(Part(_lying(view, jaw + np.array((0.72, 0)), yaw_rad), rgb))
    eye = _lying(view, _arc(0.24, 0, 2 * math.pi) - (0.85, 0), yaw_rad)
    parts.append(Part(eye, rgb, 0.15, is_closed=True))
    groove = [(-0.55, 0), (0.35, 0)]
    parts.append(Part(_lying(view, groove, yaw_rad), toned(rgb, 0.7), half * 0.7))
    return parts


def _screwdriver(rng: random.Random, rgb: Rgb, view: View) -> list[Part]:
    yaw_rad, half = rng.uniform(-math.pi, math.pi), rng.uniform(0.17, 0.24)
    shaft = Part(_lying(view, [(-0.1, 0), (1.0, 0)], yaw_rad), pick_rgb(rng, "gray"), 0.08)
    grip = [(-1.0, -half * 0.7), (-0.95, -half), (-0.2, -half), (0.0, -half * 0.5)]
    outline = np.array([*grip, *((x, -y) for x, y in reversed(grip))])
    line = Part(_lying(view, [(-0.9, 0), (-0.25, 0)], yaw_rad), toned(rgb, 0.6), half * 0.4)
    return [shaft, Part(_lying(view, outline, yaw_rad), rgb), line]


def _hammer(rng: random.Random, rgb: Rgb, view: View) -> list[Part]:
    yaw_rad, half = rng.uniform(-math.pi, math.pi), rng.uniform(0.09, 0.13)
    handle = [(-1.0, -half * 1.3), (0.7, -half), (0.7, half), (-1.0, half * 1.3)]
    head = [(0.5, -0.5), (0.9, -0.5), (0.9, 0.25), (0.75, 0.6), (0.62, 0.6), (0.5, 0.25)]
    steel = pick_rgb(rng, rng.choice(("gray", "black")))
    face = [(0.46, -0.58), (0.94, -0.58), (0.94, -0.42), (0.46, -0.42)]
    return [
        Part(_lying(view, handle, yaw_rad), rgb),
        Part(_lying(view, head, yaw_rad), steel),
        Part(_lying(view, face, yaw_rad), toned(steel, 0.7)),
    ]


def _apple(rng: random.Random, rgb: Rgb, view: View) -> list[Part]:
    angle = np.linspace(0, 2 * math.pi, 44, endpoint=False)
    radius = 0.9 - 0.24 * np.exp(-(((angle - 1.5 * math.pi) / 0.38) ** 2))
    radius -= 0.08 * np.exp(-(((angle - 0.5 * math.pi) / 0.3) ** 2))
    body = np.stack((radius * np.cos(angle), radius * np.sin(angle) * 0.95), 1)
    lean = rng.uniform(-0.2, 0.2)
    stem = Part(np.array([(0, -0.6), (lean, -1.05)], np.float32), (70.0, 48.0, 25.0), 0.1)
    parts = [Part(body.astype(np.float32), rgb), stem]
    if rng.random() < 0.5:
        leaf = np.array([(0.02, -0.75), (0.3, -1.0), (0.6, -0.95), (0.35, -0.75)], np.float32)
        parts.append(Part(leaf, (60.0, 130.0, 45.0)))
    return parts


def _banana(rng: random.Random, rgb: Rgb, view: View) -> list[Part]:
    outer = _arc(1.15, 0.45, math.pi - 0.45) - (0, 0.65)
    inner = (_arc(1.3, 0.62, math.pi - 0.62) - (0, 1.2))[::-1]
    turn = rng.uniform(-math.pi, math.pi)
    matrix = np.array([(math.cos(turn), math.sin(turn)), (-math.sin(turn), math.cos(turn))])
    body = np.concatenate((outer, inner)) @ matrix
    ridge = (_arc(1.2, 0.6, math.pi - 0.6) - (0, 0.85)) @ matrix
    ends = np.stack((outer[0], inner[-1])) @ matrix
    return [
        Part(body.astype(np.float32), rgb),
        Part(ridge.astype(np.float32), toned(rgb, 0.78), 0.06),
        Part(ends.astype(np.float32), (60.0, 50.0, 30.0), 0.12),
    ]


def _sign(outline: np.ndarray) -> Maker:
    """A flat sign that faces the camera, often with a border."""

    def make(rng: random.Random, rgb: Rgb, view: View) -> list[Part]:
        turn = rng.gauss(0, 0.2)
        matrix = np.array([(math.cos(turn), math.sin(turn)), (-math.sin(turn), math.cos(turn))])
        flat = (outline * (1, rng.uniform(0.85, 1.0))) @ matrix
        parts = [Part(flat.astype(np.float32), rgb)]
        if rng.random() < 0.5:
            border = toned(rgb, rng.choice((0.5, 0.65, 1.5)))
            inset = (flat * rng.uniform(0.78, 0.88)).astype(np.float32)
            parts.append(Part(inset, border, rng.uniform(0.05, 0.1), is_closed=True))
        return parts

    return make


_TRIANGLE = np.array([(0, -1.0), (0.95, 0.7), (-0.95, 0.7)])
_STAR = np.concatenate([
    [(math.sin(a) * 1.05, -math.cos(a) * 1.05), (math.sin(b) * 0.45, -math.cos(b) * 0.45)]
    for a, b in ((2 * math.pi * i / 5, 2 * math.pi * (i + 0.5) / 5) for i in range(5))
])  # fmt: skip


def _scrap(rng: random.Random, rgb: Rgb, view: View) -> list[Part]:
    """A smooth shape that has no name: only its colour can be asked for."""
    angle = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    radius = 0.72 + sum(
        rng.gauss(0, 0.3 / wave) * np.cos(wave * angle + rng.uniform(0, 2 * math.pi))
        for wave in (1, 2, 3, 4)
    )
    radius = np.clip(radius, 0.3, 1.0)
    outline = np.stack((radius * np.cos(angle), radius * np.sin(angle)), 1)
    parts = [Part(outline.astype(np.float32), rgb)]
    if rng.random() < 0.4:
        inner = outline * rng.uniform(0.3, 0.7) + (rng.uniform(-0.1, 0.1), rng.uniform(-0.1, 0.1))
        parts.append(Part(inner.astype(np.float32), toned(rgb, rng.choice((0.7, 0.8, 1.2)))))
    return parts


MAKERS: dict[str, Maker] = {
    "mug": _mug,
    "bottle": _bottle,
    "bowl": _bowl,
    "box": _box,
    "ball": _ball,
    "book": _book,
    "button": _button,
    "valve": _valve,
    "lamp": _lamp,
    "cable": _cable,
    "wrench": _wrench,
    "screwdriver": _screwdriver,
    "hammer": _hammer,
    "apple": _apple,
    "banana": _banana,
    "circle": _sign(_arc(0.92, 0, 2 * math.pi, 40)),
    "triangle": _sign(_TRIANGLE),
    "star": _sign(_STAR),
}
THINGS: tuple[str, ...] = tuple(MAKERS)
UNNAMED = "scrap"
MAKERS[UNNAMED] = _scrap
ROUND = frozenset({"ball", "apple"})
TURNED = frozenset({"mug", "bottle", "bowl", "lamp", "button"})
# parts of these things have a second colour that is not the thing's own
SIDE_COLORS: dict[str, frozenset[str]] = {
    "button": frozenset({"gray", "black", "white"}),
    "valve": frozenset({"gray"}),
    "lamp": frozenset({"gray", "black", "white"}),
    "screwdriver": frozenset({"gray"}),
    "hammer": frozenset({"gray", "black"}),
    "bottle": frozenset({"white", "black", "gray"}),
    "book": frozenset({"white"}),
}

"""Things whose outline is the same from every side, and what outlines are made of.

Each is a function from a colour and a view to drawn parts; units as in `turned`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import numpy as np

from molmo_node.sim.colors import Rgb, toned
from molmo_node.sim.paint import Part
from molmo_node.sim.solids import View, rotated

Maker = Callable[[random.Random, Rgb, View], list[Part]]


def arc(radius: float, start_rad: float, end_rad: float, count: int = 16) -> np.ndarray:
    """Points on a circle about the origin, ``(count, 2)``; angles from x towards y."""
    angle = np.linspace(start_rad, end_rad, count)
    return np.stack((radius * np.cos(angle), radius * np.sin(angle)), 1)


def ball(rng: random.Random, rgb: Rgb, view: View) -> list[Part]:
    """A ball, some with a seam."""
    parts = [Part((arc(1, 0, 2 * math.pi, 40) * 0.95).astype(np.float32), rgb)]
    if rng.random() < 0.3:  # a seam
        bend, turn = rng.uniform(-0.8, 0.8), rng.uniform(0, math.pi)
        t = np.linspace(-1, 1, 15)
        seam = np.stack((bend * np.sqrt(1 - t**2), t), 1) * 0.93
        seam = rotated(seam, turn)
        parts.append(Part(seam.astype(np.float32), toned(rgb, rng.choice((0.45, 1.7))), 0.08))
    return parts


def apple(rng: random.Random, rgb: Rgb, view: View) -> list[Part]:
    """An apple with its stem, half of them with a leaf."""
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


def banana(rng: random.Random, rgb: Rgb, view: View) -> list[Part]:
    """A banana."""
    outer = arc(1.15, 0.45, math.pi - 0.45) - (0, 0.65)
    inner = (arc(1.3, 0.62, math.pi - 0.62) - (0, 1.2))[::-1]
    turn = rng.uniform(-math.pi, math.pi)
    body = rotated(np.concatenate((outer, inner)), turn)
    ridge = rotated(arc(1.2, 0.6, math.pi - 0.6) - (0, 0.85), turn)
    ends = rotated(np.stack((outer[0], inner[-1])), turn)
    return [
        Part(body.astype(np.float32), rgb),
        Part(ridge.astype(np.float32), toned(rgb, 0.78), 0.06),
        Part(ends.astype(np.float32), (60.0, 50.0, 30.0), 0.12),
    ]


def sign(outline: np.ndarray) -> Maker:
    """A flat sign that faces the camera, often with a border."""

    def make(rng: random.Random, rgb: Rgb, view: View) -> list[Part]:
        turn = rng.gauss(0, 0.2)
        flat = rotated(outline * (1, rng.uniform(0.85, 1.0)), turn)
        parts = [Part(flat.astype(np.float32), rgb)]
        if rng.random() < 0.5:
            border = toned(rgb, rng.choice((0.5, 0.65, 1.5)))
            inset = (flat * rng.uniform(0.78, 0.88)).astype(np.float32)
            parts.append(Part(inset, border, rng.uniform(0.05, 0.1), is_closed=True))
        return parts

    return make


TRIANGLE = np.array([(0, -1.0), (0.95, 0.7), (-0.95, 0.7)])
STAR = np.concatenate([
    [(math.sin(a) * 1.05, -math.cos(a) * 1.05), (math.sin(b) * 0.45, -math.cos(b) * 0.45)]
    for a, b in ((2 * math.pi * i / 5, 2 * math.pi * (i + 0.5) / 5) for i in range(5))
])  # fmt: skip


def blob(rng: random.Random) -> np.ndarray:
    """A smooth outline without a name, ``(40, 2)``, 0.3 to 1 from its middle."""
    angle = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    radius = 0.72 + sum(
        rng.gauss(0, 0.3 / wave) * np.cos(wave * angle + rng.uniform(0, 2 * math.pi))
        for wave in (1, 2, 3, 4)
    )
    radius = np.clip(radius, 0.3, 1.0)
    return np.stack((radius * np.cos(angle), radius * np.sin(angle)), 1)


def scrap(rng: random.Random, rgb: Rgb, view: View) -> list[Part]:
    """A smooth shape that has no name: only its colour can be asked for."""
    outline = blob(rng)
    parts = [Part(outline.astype(np.float32), rgb)]
    if rng.random() < 0.4:
        inner = outline * rng.uniform(0.3, 0.7) + (rng.uniform(-0.1, 0.1), rng.uniform(-0.1, 0.1))
        parts.append(Part(inner.astype(np.float32), toned(rgb, rng.choice((0.7, 0.8, 1.2)))))
    return parts

"""Things that lie flat on the bench, turned any way: boxes, books, cables, tools.

Each is a function from a colour and a view to drawn parts; units as in `turned`.
"""

from __future__ import annotations

import math
import random

import numpy as np
from numpy.typing import ArrayLike

from molmo_node.sim.colors import Rgb, pick_rgb, toned
from molmo_node.sim.outlines import arc
from molmo_node.sim.paint import Part, Points
from molmo_node.sim.solids import View, cuboid, rotated


def _on_table(view: View, outline: ArrayLike, yaw_rad: float, z: float = 0.0) -> Points:
    """A flat outline laid on the table, turned by `yaw_rad`."""
    plane = np.asarray(outline, np.float64)
    turned = rotated(plane, yaw_rad)
    return view.project(np.concatenate((turned, np.full((len(plane), 1), z)), 1))


def box(rng: random.Random, rgb: Rgb, view: View) -> list[Part]:
    """A cuboid, some with tape or print on it."""
    size = (rng.uniform(0.9, 1.4), rng.uniform(0.8, 1.3), rng.uniform(0.7, 1.2))
    yaw_rad = rng.uniform(0.2, 1.35)
    parts = cuboid(view, size, yaw_rad, rgb, rng.uniform(0.5, 1))
    if rng.random() < 0.35:  # a strip of tape across the lid
        strip = np.array([(-0.12, -0.5), (0.12, -0.5), (0.12, 0.5), (-0.12, 0.5)]) * size[1]
        parts.append(Part(_on_table(view, strip, yaw_rad, size[2] / 2), toned(rgb, 1.5)))
    return parts


def book(rng: random.Random, rgb: Rgb, view: View) -> list[Part]:
    """A closed book that lies flat."""
    width, length, thick = rng.uniform(1.05, 1.25), rng.uniform(1.5, 1.75), rng.uniform(0.18, 0.35)
    yaw_rad = rng.uniform(-math.pi, math.pi)
    pages = cuboid(view, (width * 0.97, length * 0.97, thick), yaw_rad, (236, 232, 218), 0.35)
    half = np.array([(-width, -length), (width, -length), (width, length), (-width, length)]) / 2
    lid = thick / 2 + 0.02
    parts = [Part(_on_table(view, half, yaw_rad, -lid), toned(rgb, 0.7)), *pages]
    parts.append(Part(_on_table(view, half, yaw_rad, lid), rgb))
    spine = half * (0.12, 1) + (-width * 0.44, 0)
    parts.append(Part(_on_table(view, spine, yaw_rad, lid), toned(rgb, rng.uniform(0.55, 0.8))))
    for _ in range(rng.choice((1, 1, 2, 3))):  # title, author, a picture
        size = (rng.uniform(0.3, 0.7), rng.uniform(0.05, 0.16) * rng.choice((1, 1, 2)))
        print_xy = half * size + (0.05, length * rng.uniform(-0.35, 0.35))
        ink = toned(rgb, rng.choice((0.5, 1.6, 2.2)))
        parts.append(Part(_on_table(view, print_xy, yaw_rad, lid), ink))
    return parts


def cable(rng: random.Random, rgb: Rgb, view: View) -> list[Part]:
    """A coiled cable with its plug."""
    loops, width = rng.uniform(1.6, 2.8), rng.uniform(0.09, 0.14)
    turn = np.linspace(0, 2 * math.pi * loops, 60) + rng.uniform(0, 6.3)
    radius = np.linspace(rng.uniform(0.45, 0.6), 0.85, 60)
    coil = np.stack((radius * np.cos(turn), radius * np.sin(turn)), 1)
    tail = coil[-1] + np.array([(0.25, 0.1), (0.4, 0.3)]) * rng.choice((-1, 1))
    path = _on_table(view, np.concatenate((coil, tail)), 0.0)
    plug = Part(path[-2:], (35.0, 35.0, 38.0), width * 2)
    return [Part(path, toned(rgb, 0.55), width * 1.35), Part(path, rgb, width), plug]


def wrench(rng: random.Random, rgb: Rgb, view: View) -> list[Part]:
    """A wrench that lies flat."""
    yaw_rad, half = rng.uniform(-math.pi, math.pi), rng.uniform(0.11, 0.16)
    jaw = np.concatenate((arc(0.34, 0.5, 2 * math.pi - 0.5), [(0.02, -0.14), (0.02, 0.14)]))
    handle = [(-0.75, -half), (0.55, -half * 0.8), (0.55, half * 0.8), (-0.75, half)]
    parts = [Part(_on_table(view, handle, yaw_rad), rgb)]
    parts.append(Part(_on_table(view, jaw + np.array((0.72, 0)), yaw_rad), rgb))
    eye = _on_table(view, arc(0.24, 0, 2 * math.pi) - (0.85, 0), yaw_rad)
    parts.append(Part(eye, rgb, 0.15, is_closed=True))
    groove = [(-0.55, 0), (0.35, 0)]
    parts.append(Part(_on_table(view, groove, yaw_rad), toned(rgb, 0.7), half * 0.7))
    return parts


def screwdriver(rng: random.Random, rgb: Rgb, view: View) -> list[Part]:
    """A screwdriver that lies flat."""
    yaw_rad, half = rng.uniform(-math.pi, math.pi), rng.uniform(0.17, 0.24)
    shaft = Part(_on_table(view, [(-0.1, 0), (1.0, 0)], yaw_rad), pick_rgb(rng, "gray"), 0.08)
    grip = [(-1.0, -half * 0.7), (-0.95, -half), (-0.2, -half), (0.0, -half * 0.5)]
    outline = np.array([*grip, *((x, -y) for x, y in reversed(grip))])
    line = Part(_on_table(view, [(-0.9, 0), (-0.25, 0)], yaw_rad), toned(rgb, 0.6), half * 0.4)
    return [shaft, Part(_on_table(view, outline, yaw_rad), rgb), line]


def hammer(rng: random.Random, rgb: Rgb, view: View) -> list[Part]:
    """A hammer that lies flat."""
    yaw_rad, half = rng.uniform(-math.pi, math.pi), rng.uniform(0.09, 0.13)
    handle = [(-1.0, -half * 1.3), (0.7, -half), (0.7, half), (-1.0, half * 1.3)]
    head = [(0.5, -0.5), (0.9, -0.5), (0.9, 0.25), (0.75, 0.6), (0.62, 0.6), (0.5, 0.25)]
    steel = pick_rgb(rng, rng.choice(("gray", "black")))
    face = [(0.46, -0.58), (0.94, -0.58), (0.94, -0.42), (0.46, -0.42)]
    return [
        Part(_on_table(view, handle, yaw_rad), rgb),
        Part(_on_table(view, head, yaw_rad), steel),
        Part(_on_table(view, face, yaw_rad), toned(steel, 0.7)),
    ]

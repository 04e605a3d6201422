"""Things of turned form that stand on the bench, seen in perspective: mugs, bottles, lamps.

Each is a function from a colour and a view to drawn parts. All sizes are in units of the
thing's radius; the picture's y axis points down.
"""

from __future__ import annotations

import math
import random

import numpy as np

from molmo_node.sim.colors import Rgb, pick_rgb, toned
from molmo_node.sim.outlines import arc
from molmo_node.sim.paint import Part
from molmo_node.sim.solids import View, cuboid, hull, revolved


def mug(rng: random.Random, rgb: Rgb, view: View) -> list[Part]:
    """A mug with its handle, or a paper cup; often with a drink in it."""
    is_cup = rng.random() < 0.3
    radius, half = rng.uniform(0.5, 0.66), rng.uniform(0.55, 0.9 if is_cup else 0.75)
    foot = radius * (rng.uniform(0.6, 0.85) if is_cup else rng.uniform(0.8, 1))
    parts = revolved(view, [(-half, foot), (half, radius)], rgb)
    if rng.random() < 0.2:
        parts.insert(1, _band(rng, view, (foot + radius) / 2 * 1.01, half * 0.5, rgb))
    parts.append(Part(view.ring(radius * 0.88, half), toned(rgb, rng.uniform(0.35, 0.7))))
    if rng.random() < 0.4:
        drink = (70.0, 42.0, 20.0) if rng.random() < 0.6 else (120.0, 90.0, 40.0)
        parts.append(Part(view.ring(radius * 0.8, half * 0.75), drink))
    if is_cup:
        return parts
    side, away = rng.choice((-1, 1)), rng.uniform(-0.5, 0.2)
    bow = arc(1.0, -math.pi / 2, math.pi / 2)
    x = side * (radius * 0.93 + bow[:, 0] * rng.uniform(0.3, 0.42))
    path = np.stack((x, np.full(len(bow), away * radius), bow[:, 1] * half * 0.62), 1)
    handle = Part(view.project(path), toned(rgb, 0.9), rng.uniform(0.13, 0.2))
    return [handle, *parts]


def _band(rng: random.Random, view: View, radius: float, reach: float, rgb: Rgb) -> Part:
    """A printed belt around a turned body, between two heights within `reach`."""
    low = rng.uniform(-reach, 0.3 * reach)
    high = low + rng.uniform(0.15, 0.6) * reach
    front = hull(view.ring(radius, low), view.ring(radius, high))
    return Part(front, toned(rgb, rng.choice((0.5, 0.7, 1.5, 1.9))))


def bottle(rng: random.Random, rgb: Rgb, view: View) -> list[Part]:
    """A bottle with its cap, most with a label."""
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


def bowl(rng: random.Random, rgb: Rgb, view: View) -> list[Part]:
    """A bowl, flat or deep, in a third of all cases with something to eat in it."""
    depth, foot = rng.uniform(0.45, 0.95), rng.uniform(0.3, 0.5)
    profile = [(-depth / 2, foot), (-depth * 0.3, 0.72), (0.0, 0.9), (depth / 2, 1.0)]
    sides = revolved(view, profile, rgb)
    if rng.random() < 0.2:
        sides.insert(3, _band(rng, view, 0.93, depth * 0.4, rgb))
    inside = Part(view.ring(0.92, depth / 2), toned(rgb, rng.uniform(0.5, 0.8)))
    bottom = Part(view.ring(0.5, -depth * 0.1), toned(rgb, rng.uniform(0.7, 0.95)))
    if rng.random() > 0.3:
        return [*sides, inside, bottom]
    food = pick_rgb(rng, rng.choice(("brown", "white")))
    level = view.ring(rng.uniform(0.7, 0.86), depth * rng.uniform(0.1, 0.35))
    lumps = [
        Part(
            view.ring(rng.uniform(0.15, 0.3), depth * 0.4, rng.gauss(0, 0.25), rng.gauss(0, 0.25)),
            toned(food, rng.uniform(0.7, 1.3)),
        )
        for _ in range(rng.randint(0, 4))
    ]
    return [*sides, inside, Part(level, food), *lumps]


def button(rng: random.Random, rgb: Rgb, view: View) -> list[Part]:
    """A push button on its plate."""
    plate = pick_rgb(rng, rng.choice(("gray", "gray", "black", "white")))
    if rng.random() < 0.5:
        parts = cuboid(view, (1.6, 1.6, 0.25), rng.gauss(0, 0.15), plate, 0.6)
    else:
        parts = revolved(view, [(-0.12, 0.95), (0.12, 0.95)], plate)
    radius, rise = rng.uniform(0.5, 0.66), rng.uniform(0.3, 0.6)
    collar = revolved(view, [(0.12, radius * 1.15), (0.22, radius * 1.15)], toned(plate, 0.55))
    return [*parts, *collar, *revolved(view, [(0.2, radius * 0.9), (rise, radius)], rgb)]


def valve(rng: random.Random, rgb: Rgb, view: View) -> list[Part]:
    """A valve with its handwheel."""
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


def lamp(rng: random.Random, rgb: Rgb, view: View) -> list[Part]:
    """A table lamp, or a desk lamp whose shade hangs from a bent arm; often lit."""
    dark = pick_rgb(rng, rng.choice(("black", "gray", "gray", "white")))
    glow = rng.choice((1.15, 1.5, 1.9))
    base = revolved(view, [(-1.05, 0.42), (-0.95, 0.4)], dark)
    if rng.random() < 0.35:
        return [*base, *_desk_arm(rng, rgb, dark, view, glow)]
    pole = Part(view.project(np.array([(0, 0, -0.95), (0, 0, 0.3)])), toned(dark, 0.8), 0.1)
    low, high = rng.uniform(0.55, 0.85), rng.uniform(0.25, 0.6)
    foot, top = rng.uniform(-0.05, 0.3), rng.uniform(0.8, 1.0)
    shade = revolved(view, [(foot, low), (top, min(low, high))], rgb)
    return [*base, pole, *shade, Part(view.ring(min(low, high) * 0.8, top), toned(rgb, glow))]


def _desk_arm(rng: random.Random, rgb: Rgb, dark: Rgb, view: View, glow: float) -> list[Part]:
    side = rng.choice((-1.0, 1.0))
    elbow = np.array((-side * rng.uniform(0.1, 0.5), 0, rng.uniform(0.2, 0.5)))
    head = np.array((side * rng.uniform(0.35, 0.6), 0, rng.uniform(0.75, 1.0)))
    arm = Part(view.project(np.array([(0, 0, -0.95), elbow, head])), toned(dark, 0.8), 0.09)
    wide, drop, lean = rng.uniform(0.32, 0.5), rng.uniform(0.3, 0.5), side * rng.uniform(0, 0.25)
    crown = view.ring(wide * rng.uniform(0.3, 0.6), head[2], head[0])
    mouth = view.ring(wide, head[2] - drop, head[0] + lean)
    return [arm, Part(mouth, toned(rgb, glow)), Part(hull(crown, mouth), rgb)]

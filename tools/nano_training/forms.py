"""Household things as solids, made from random numbers: what the model files have few of."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import numpy as np
import trimesh

from tools.nano_training.printed import book, box, print_on_paper
from tools.nano_training.solid import Piece, Solid, fitted, tube, turned

_WHITE, _BLACK = (0.92, 0.91, 0.88), (0.05, 0.05, 0.06)
_STEEL, _WOOD = (0.55, 0.56, 0.58), (0.45, 0.3, 0.17)
Profile = list[tuple[float, float]]


def _vessel(outside: Profile, wall: float) -> Profile:
    """The closed profile of a vessel: the outside from foot to rim, and the inside down again."""
    inside = [(max(0.0, radius - wall), height) for radius, height in reversed(outside[1:])]
    return [(0.0, outside[0][1]), *outside, *inside, (0.0, outside[1][1] + wall)]


def _curve(ends: Profile, bow: float, steps: int = 10) -> Profile:
    """From one end to the other, bowed outwards like a quarter of an ellipse where `bow` is 1."""
    (radius, height), (wide, top) = ends
    out: Profile = []
    for step in range(steps + 1):
        part = step / steps
        round_part = math.sin(part * math.pi / 2), 1 - math.cos(part * math.pi / 2)
        x = (1 - bow) * part + bow * round_part[0]
        y = (1 - bow) * part + bow * round_part[1]
        out.append((radius + (wide - radius) * x, height + (top - height) * y))
    return out


def _gloss(rng: random.Random) -> float:
    return rng.choice((0.0, 0.1, 0.5, 1.0))


def bowl(rng: random.Random) -> Solid:
    """Deep or flat, with a foot or without, at times with food in it."""
    depth, foot = rng.uniform(0.35, 0.95), rng.uniform(0.35, 0.6)
    outside = [(foot, -0.06), *_curve([(foot, 0.0), (1.0, depth)], rng.uniform(0.2, 1.0))]
    pieces = [Piece(turned(_vessel(outside, rng.uniform(0.03, 0.09))), paintable=True,
                    gloss=_gloss(rng))]  # fmt: skip
    if rng.random() < 0.3:
        level = depth * rng.uniform(0.4, 0.8)
        food = tuple(rng.uniform(0.15, 0.9) for _ in range(3))
        for _ in range(rng.randint(6, 40)):
            lump = trimesh.creation.icosphere(2, rng.uniform(0.06, 0.25))
            turn, out = rng.uniform(0, 6.3), 0.7 * math.sqrt(rng.random())
            place = out * math.cos(turn), level + rng.gauss(0, 0.04), out * math.sin(turn)
            pieces.append(Piece(lump.apply_translation(place), food))
    return pieces


def mug(rng: random.Random) -> Solid:
    """A mug, a tea cup, or a paper cup without a handle; at times on a saucer."""
    height, foot = rng.uniform(0.9, 2.3), rng.uniform(0.55, 1.0)
    outside = _curve([(foot, 0.0), (1.0, height)], rng.choice((0.0, 0.0, rng.uniform(0, 1))))
    pieces = [Piece(turned(_vessel(outside, 0.07)), paintable=True, gloss=_gloss(rng))]
    if rng.random() < 0.5:
        drink = rng.choice(((0.13, 0.06, 0.03), (0.5, 0.25, 0.08), (0.75, 0.6, 0.45)))
        disc = turned([(0.0, height * 0.86), (0.93 * foot + 0.05, height * 0.86)])
        pieces.append(Piece(disc, drink, gloss=0.6))
    if rng.random() < 0.8:
        turn = np.linspace(-1.45, 1.45, 20)
        reach, tall = rng.uniform(0.45, 0.7), height * rng.uniform(0.25, 0.38)
        x = 0.9 + reach * np.cos(turn)
        path = np.stack((x, height * 0.52 + tall * np.sin(turn), np.zeros(20)), 1)
        handle = tube(path, np.full(20, rng.uniform(0.07, 0.13)))
        pieces.append(Piece(handle, paintable=True, gloss=pieces[0].gloss))
    if rng.random() < 0.2:
        wide = rng.uniform(1.6, 2.0)
        plate = [(0.0, -0.14), (0.8, -0.14), (wide, 0.05), (wide, 0.1), (0.8, -0.05), (0.0, -0.05)]
        pieces.append(Piece(turned(plate), paintable=True, gloss=0.5))
    return pieces


def bottle(rng: random.Random) -> Solid:
    """A bottle with its neck, cap and label."""
    height, neck = rng.uniform(3.2, 6.0), rng.uniform(0.28, 0.45)
    shoulder = height * rng.uniform(0.5, 0.75)
    top = shoulder + height * rng.uniform(0.06, 0.25)
    bend = [(1 - (1 - neck) * (1 - math.cos(math.pi * t / 10)) / 2, shoulder + (top - shoulder)
             * t / 10) for t in range(11)]  # fmt: skip
    body = [(0.0, 0.0), (0.93, 0.0), (1.0, 0.1), *bend, (neck, height), (0.0, height)]
    pieces = [Piece(turned(body), paintable=True, gloss=rng.choice((0.3, 1.0, 1.0)))]
    if rng.random() < 0.7:
        cap_rgb = rng.choice((_WHITE, _BLACK, _STEEL, (0.7, 0.1, 0.1), (0.1, 0.2, 0.6)))
        cap = [(0.0, height + 0.12), (neck * 1.2, height + 0.1), (neck * 1.2, height - 0.35)]
        pieces.append(Piece(turned(cap), cap_rgb))
    if rng.random() < 0.65:
        low = shoulder * rng.uniform(0.1, 0.4)
        band = turned([(1.015, low), (1.015, low + shoulder * rng.uniform(0.3, 0.55))])
        around = np.arctan2(band.vertices[:, 2], band.vertices[:, 0]) / (2 * np.pi)
        up = np.arange(len(band.vertices)) % 2  # its vertices are low and high in turns
        pieces.append(Piece(band, _WHITE, np.stack((around * 3, up), 1), print_on_paper(rng)))
    return pieces


def ball(rng: random.Random) -> Solid:
    """A plain ball, matt to shiny, or one with a stripe."""
    sphere = trimesh.creation.icosphere(4)
    pieces = [Piece(sphere, paintable=True, gloss=_gloss(rng))]
    if rng.random() < 0.3:
        ring = [(1.01 * math.cos(t), 1.01 * math.sin(t)) for t in np.linspace(-0.2, 0.2, 6)]
        stripe = turned(ring)
        turn = trimesh.transformations.rotation_matrix(rng.uniform(0, 3), (1, 0.3, 0.2))
        pieces.append(Piece(stripe.apply_transform(turn), rng.choice((_WHITE, _BLACK))))
    return pieces


def apple(rng: random.Random) -> Solid:
    """An apple with its stalk."""
    tall, dimple = rng.uniform(0.8, 1.0), rng.uniform(0.18, 0.3)
    profile = []
    for turn in np.linspace(-math.pi / 2, math.pi / 2, 30):
        radius = math.cos(turn) * (1 + 0.08 * math.sin(turn))
        dip = dimple * math.exp(-((radius / 0.3) ** 2))
        profile.append((max(0.0, radius), tall * (math.sin(turn) - math.copysign(dip, turn))))
    tilt = rng.uniform(-0.2, 0.2)
    stalk = np.array([(tilt * t * t, tall * (0.75 + 0.5 * t), 0) for t in np.linspace(0, 1, 6)])
    return [
        Piece(turned(profile), paintable=True, gloss=rng.uniform(0.2, 0.8)),
        Piece(tube(stalk, np.full(6, 0.04)), (0.2, 0.13, 0.06)),
    ]


def banana(rng: random.Random) -> Solid:
    """One banana or a hand of up to five."""
    pieces: list[Piece] = []
    bend, count = rng.uniform(0.9, 1.8), rng.choice((1, 1, 2, 3, 4, 5))
    girth, away = rng.uniform(0.13, 0.2), 1 / bend
    for index in range(count):
        along = np.linspace(0, 1, 26)
        turn = (along - 0.5) * 2 * bend * rng.uniform(0.92, 1.05)
        path = np.stack((away * 2 * np.sin(turn), -away * 2 * np.cos(turn), 0 * turn), 1)
        radii = girth * np.clip(np.minimum(along * 5, (1 - along) * 8) + 0.22, 0.28, 1)
        fan = trimesh.transformations.rotation_matrix(
            (index - count / 2) * rng.uniform(0.28, 0.4), (1, 0.2, 0), path[0]
        )
        body, tip = tube(path[2:], radii[2:], 10), tube(path[:3], radii[:3] * 1.02, 10)
        for mesh, rgb in ((body, None), (tip, (0.25, 0.2, 0.08))):
            mesh.apply_transform(fan)
            pieces.append(Piece(mesh, rgb or (0.9, 0.75, 0.1), paintable=rgb is None, gloss=0.1))
    spin = trimesh.transformations.rotation_matrix(rng.choice((0, 1.57, 3.1, 1.2)), (1, 0, 0))
    for piece in pieces:
        piece.mesh.apply_transform(spin)
    return pieces


def lamp(rng: random.Random) -> Solid:
    """A table or floor lamp with a shade."""
    stem, top, wide = rng.uniform(1.0, 3.2), rng.uniform(0.3, 0.9), rng.uniform(0.8, 1.3)
    tall = rng.uniform(0.8, 1.4)
    shade = turned(
        [(wide, stem), (top, stem + tall), (top - 0.03, stem + tall), (wide - 0.03, stem)]
    )
    foot_rgb = rng.choice((_STEEL, _BLACK, _WOOD, _WHITE, (0.5, 0.35, 0.1)))
    pieces = [Piece(shade, rng.choice((_WHITE, (0.8, 0.75, 0.6))), paintable=True, gloss=0.0)]
    if rng.random() < 0.5:
        foot = [
            (0.0, 0.0),
            (0.6, 0.0),
            (0.6, 0.08),
            (0.06, 0.14),
            (0.06, stem + 0.3),
            (0, stem + 0.3),
        ]
    else:
        belly = [(0.1 + rng.uniform(0.2, 0.6) * math.sin(math.pi * t / 12) ** 2, stem * t / 12)
                 for t in range(13)]  # fmt: skip
        foot = [(0.0, 0.0), *belly, (0.05, stem + 0.3), (0.0, stem + 0.3)]
    pieces.append(Piece(turned(foot), foot_rgb, gloss=_gloss(rng)))
    return pieces


FORMS: dict[str, Callable[[random.Random], Solid]] = {
    "bowl": bowl, "mug": mug, "bottle": bottle, "book": book, "box": box, "ball": ball,
    "apple": apple, "banana": banana, "lamp": lamp,
}  # fmt: skip


def make(noun: str, rng: random.Random) -> list[Piece]:
    """A random solid of that name, fitted.

    Raises:
        KeyError: no form has that name.
    """
    return fitted(FORMS[noun](rng))

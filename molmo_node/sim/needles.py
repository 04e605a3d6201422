"""Gauge needles: plain hands, and instrument needles with a broad counterweight."""

from __future__ import annotations

import random

import numpy as np

from molmo_node.sim.colors import Rgb, pick_rgb
from molmo_node.sim.dial_plane import DialPlane, bar, circle, direction
from molmo_node.sim.hands import Hand, Style, draw_hand
from molmo_node.sim.paint import Image

_STYLES: tuple[Style, ...] = ("bar", "taper", "taper", "sword", "arrow")


def draw_needle(
    rng: random.Random, plane: DialPlane, image: Image, angle_rad: float, ink: Rgb, radius: float
) -> Hand:
    """Draw one of the usual needles at an angle, in place.

    Args:
        radius: the scale's, in dial radii; the tip reaches 0.72 to 1 of it.

    Returns:
        The needle, whose `tip` is the end that points.
    """
    rgb = ink
    if rng.random() < 0.3:
        rgb = pick_rgb(rng, rng.choice(("red", "red", "orange", "blue")))
    length = radius * rng.uniform(0.72, 1.0)
    shadow = rng.uniform(0.01, 0.04) if rng.random() < 0.3 else 0.0
    is_instrument = rng.random() < 0.6
    style: Style = "taper" if is_instrument else rng.choice(_STYLES)
    tail = 0.1 if is_instrument else rng.choice((0.1, 0.3))
    width = rng.uniform(0.008, 0.03) if is_instrument else rng.uniform(0.02, 0.05)
    needle = Hand(angle_rad, length, tail, width, style, rgb)
    draw_hand(plane, image, needle, shadow)
    if is_instrument:
        plane.fill(image, _paddle(rng, needle), rgb)
    elif rng.random() < 0.4:
        disc = circle(rng.uniform(0.04, 0.08), 20)
        plane.fill(image, [disc - direction(angle_rad) * tail], rgb)
    return needle


def _paddle(rng: random.Random, needle: Hand) -> list[np.ndarray]:
    """A counterweight that is broader than the needle: straight, flared or round at its end."""
    back = -direction(needle.angle_rad)
    side = np.array((-back[1], back[0]))
    length, near = rng.uniform(0.2, 0.55), rng.uniform(0.02, 0.05)
    far = rng.uniform(near, 0.11)
    neck, end = back * rng.uniform(0.0, 0.5) * length, back * length
    paddle = np.stack((neck + side * near, end + side * far, end - side * far, neck - side * near))
    parts = [bar(np.zeros(2), end, near), paddle]
    if rng.random() < 0.3:
        parts.append(circle(far, 20) + end)
    return parts


def draw_drop(
    rng: random.Random, plane: DialPlane, image: Image, angle_rad: float, rgb: Rgb
) -> Hand:
    """Draw the short, drop-shaped needle of a register dial, in place."""
    length, width = rng.uniform(0.55, 0.92), rng.uniform(0.08, 0.15)
    tail = rng.uniform(0.15, 0.42)
    needle = Hand(angle_rad, length, tail, width, "taper", rgb)
    along = direction(angle_rad)
    side = np.array((-along[1], along[0])) * width
    plane.fill(image, [np.stack((side - along * tail * 0.6, along * length,
                                 -side - along * tail * 0.6, -along * tail))], rgb)  # fmt: skip
    return needle

"""Hands and needles: outlines along a direction, in plane coordinates."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

import numpy as np

from molmo_node.sim.colors import Rgb
from molmo_node.sim.dial_plane import DialPlane, bar, circle, direction
from molmo_node.sim.paint import Image

Style = Literal["bar", "taper", "leaf", "sword", "arrow"]
STYLES: tuple[Style, ...] = ("bar", "taper", "leaf", "sword", "arrow")


@dataclass(frozen=True)
class Hand:
    """A hand from `tail` behind the pivot to `length` before it; widths in dial radii."""

    angle_rad: float
    length: float
    tail: float
    width: float
    style: Style
    rgb: Rgb

    @property
    def tip(self) -> np.ndarray:
        """The end that points, on the plane."""
        return direction(self.angle_rad) * self.length


def _outlines(hand: Hand) -> list[np.ndarray]:
    along = direction(hand.angle_rad)
    side = np.array((-along[1], along[0])) * hand.width
    tip, back = along * hand.length, -along * hand.tail
    if hand.style == "bar":
        return [bar(back, tip, hand.width)]
    if hand.style == "taper":
        return [np.stack((back + side, tip, back - side)), bar(back, tip, hand.width * 0.3)]
    if hand.style == "leaf":
        middle = along * hand.length * 0.5
        leaf = np.stack((0 * along, middle + side, tip, middle - side))
        return [leaf, bar(back, tip, hand.width * 0.4)]
    if hand.style == "sword":
        wide = along * hand.length * 0.8
        return [np.stack((back + side * 0.4, wide + side * 0.8, tip, wide - side * 0.8,
                          back - side * 0.4))]  # fmt: skip
    head = along * (hand.length - 4 * hand.width)
    arrow = np.stack((head + side * 1.6, tip, head - side * 1.6))
    return [arrow, bar(back, head, hand.width * 0.7)]


def draw_hand(plane: DialPlane, image: Image, hand: Hand, shadow: float = 0.0) -> None:
    """Draw a hand, and before it the shadow it throws on the face (0 for none), in place."""
    outlines = _outlines(hand)
    if shadow:
        shade = (40.0, 40.0, 42.0) if sum(hand.rgb) > 200 else (130.0, 130.0, 128.0)
        plane.fill(image, [outline + shadow for outline in outlines[-1:]], shade)
    plane.fill(image, outlines, hand.rgb)


def draw_hub(rng: random.Random, plane: DialPlane, image: Image, radius: float, rgb: Rgb) -> None:
    """The cap over the pivot, sometimes with a screw, in place."""
    plane.fill(image, [circle(radius, 24)], rgb)
    if rng.random() < 0.3:
        light = (205.0, 205.0, 200.0) if sum(rgb) < 380 else (70.0, 70.0, 70.0)
        plane.fill(image, [circle(radius * 0.4, 16)], light)

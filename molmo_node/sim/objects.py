"""Placing things on the bench: light, shadow, pattern, occlusion, and their masks."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import cv2
import numpy as np

from molmo_node.sim.backgrounds import noise
from molmo_node.sim.clutter import lay, write_lines
from molmo_node.sim.colors import Rgb, toned
from molmo_node.sim.outlines import blob
from molmo_node.sim.paint import Image, Part, bounds_px, draw, mask_of, moved, multiply
from molmo_node.sim.solids import View
from molmo_node.sim.things import MAKERS, PRINTED, ROUND, TURNED


@dataclass(frozen=True)
class Placed:
    """A thing with its place: the middle and radius in pixels. One that `has_pictures` may be
    covered by print in other colours than its own."""

    noun: str
    color: str
    rgb: Rgb
    x_px: float
    y_px: float
    radius_px: float
    look_seed: int
    has_pictures: bool = False


@dataclass(frozen=True)
class Light:
    """Where the light comes from (picture axes, unit length) and how hard the shadows are."""

    x: float
    y: float
    shadow: float


def pick_light(rng: random.Random) -> Light:
    """Light from above, of any side and hardness; a third of the scenes have no shadow."""
    angle = rng.uniform(-2.6, -0.5)
    shadow = rng.uniform(0.2, 0.6) if rng.random() < 0.67 else 0.0
    return Light(math.cos(angle), math.sin(angle), shadow)


def _cast_shadow(image: Image, parts: list[Part], thing: Placed, light: Light) -> None:
    """Darken the table beside the thing, softly; worked at a quarter of the size."""
    height, width = image.shape[:2]
    reach = 0.35 * thing.radius_px
    shifted = [moved(part, 1.0, -light.x * reach, -light.y * reach * 0.8) for part in parts]
    blur_px = max(3, int(thing.radius_px / 8) | 1)  # of the small picture: four times that here
    x0, y0, x1, y1 = bounds_px(shifted, width, height)
    x0, y0 = max(0, x0 - 2 * blur_px), max(0, y0 - 2 * blur_px)
    x1, y1 = min(width, x1 + 2 * blur_px), min(height, y1 + 2 * blur_px)
    if x1 - x0 < 8 or y1 - y0 < 8:
        return
    small = mask_of([moved(p, 0.25, -x0 / 4, -y0 / 4) for p in shifted],
                    (0, 0, (x1 - x0 + 3) // 4 + 2, (y1 - y0 + 3) // 4 + 2))  # fmt: skip
    soft = cv2.blur(small, (blur_px, blur_px))
    soft = cv2.resize(soft, (x1 - x0, y1 - y0))
    multiply(image[y0:y1, x0:x1], 1 - soft.astype(np.float32) * (light.shadow / 255))


def _light_map(
    rng: random.Random, thing: Placed, box: tuple[int, int, int, int], light: Light
) -> np.ndarray:
    """How bright each pixel of the box is, 1 for plain paint: ``(h, w) float32``."""
    x0, y0, x1, y1 = box
    u = ((np.arange(x0, x1, dtype=np.float32) + 0.5 - thing.x_px) / thing.radius_px)[None]
    v = ((np.arange(y0, y1, dtype=np.float32) + 0.5 - thing.y_px) / thing.radius_px)[:, None]
    if thing.noun in ROUND:
        gain = 1.2 - rng.uniform(0.3, 0.5) * ((u - 0.45 * light.x) ** 2 + (v - 0.45 * light.y) ** 2)
        spot = (u - 0.4 * light.x) ** 2 + (v - 0.4 * light.y) ** 2
        gain = gain + rng.uniform(0, 0.9) * np.exp(spot * (-1 / rng.uniform(0.02, 0.07)))
    elif thing.noun in TURNED:
        gain = 1.08 - rng.uniform(0.3, 0.9) * (u - 0.3 * light.x) ** 2 + 0 * v
    else:
        gain = 1 + rng.uniform(0, 0.22) * (u * light.x + v * light.y)
    if rng.random() < 0.3:  # a rough or printed surface
        grain = noise(rng, x1 - x0, y1 - y0).astype(np.float32)
        gain = gain + (grain - 128) * (rng.uniform(0.1, 0.45) / 128)
    if rng.random() < 0.15:  # stripes
        waves, turn = rng.uniform(5, 14), rng.uniform(0, 3)
        stripes = np.sin(u * (waves * math.cos(turn)) + v * (waves * math.sin(turn))) > 0
        gain = gain + rng.uniform(-0.22, 0.3) * stripes
    return np.asarray(np.clip(gain, 0.25, 2), np.float32)


def _cover(rng: random.Random, region: Image, mask: Image) -> None:
    """Pictures and letters on up to half of a thing, in place."""
    height, width = mask.shape
    for _ in range(rng.randint(1, 3)):
        across, down = (rng.uniform(0.1, 0.35) * side for side in (width, height))
        x, y = rng.uniform(0.25, 0.75) * width, rng.uniform(0.3, 0.75) * height
        lay(rng, region, blob(rng) * (across, down) + (x, y), mask)


def _print_on(rng: random.Random, region: Image, mask: Image, ink: Rgb) -> None:
    """Small print in the middle of a thing, in place."""
    height, width = mask.shape
    top, left = int(height * rng.uniform(0.3, 0.5)), int(width * rng.uniform(0.2, 0.4))
    down, across = int(height * rng.uniform(0.15, 0.35)), int(width * rng.uniform(0.3, 0.5))
    if min(down, across) < 8:
        return
    label = region[top : top + down, left : left + across]
    printed = label.copy()
    write_lines(rng, printed, ink)
    cv2.copyTo(printed, mask[top : top + down, left : left + across], label)


def draw_thing(image: Image, thing: Placed, view: View, light: Light) -> tuple[Image, int, int]:
    """Draw a thing into the picture, in place.

    Returns:
        Its mask, ``(h, w) uint8`` of 0 or 255, and where the mask's corner lies: x, y. What is
        seen through a coil, a handwheel or a handle belongs to the mask, as in the polygons that
        people draw around such things. It is empty where the thing lies outside the picture.
    """
    rng = random.Random(thing.look_seed)
    parts = [
        moved(part, thing.radius_px, thing.x_px, thing.y_px)
        for part in MAKERS[thing.noun](rng, thing.rgb, view)
    ]
    if light.shadow:
        _cast_shadow(image, parts, thing, light)
    height, width = image.shape[:2]
    box = bounds_px(parts, width, height)
    x0, y0, x1, y1 = box
    if x1 <= x0 or y1 <= y0:
        return np.zeros((0, 0), np.uint8), x0, y0
    for part in parts:
        draw(image, part, part.rgb)
    mask = mask_of(parts, box)
    if thing.has_pictures and thing.noun in PRINTED and rng.random() < 0.5:
        _cover(rng, image[y0:y1, x0:x1], mask)
    elif thing.noun in PRINTED and rng.random() < 0.2:
        _print_on(rng, image[y0:y1, x0:x1], mask, toned(thing.rgb, rng.choice((0.4, 0.6, 1.8))))
    gain = _light_map(rng, thing, box, light)
    multiply(image[y0:y1, x0:x1], np.where(mask > 0, gain, np.float32(1)))
    edges, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if rng.random() < 0.2:  # an outline, as in drawings and on worn edges
        cv2.drawContours(image[y0:y1, x0:x1], edges, -1, (18.0, 18.0, 20.0), 1, cv2.LINE_AA)
    cv2.drawContours(mask, edges, -1, 255.0, cv2.FILLED)
    return mask, x0, y0

"""Tables, walls, planks, tiles and noise: what lies behind the things.

Textures are made at half the size, in bytes, and enlarged: three times faster, and a lens
would blur them anyway.
"""

from __future__ import annotations

import functools
import math
import random
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from molmo_node.sim.colors import muted_rgb, pick_rgb, toned
from molmo_node.sim.paint import Image, fill

_POOL_PX = 512
_MUTED = frozenset({"", "black", "white", "gray", "brown"})  # "": things of any colour


@functools.cache
def _noise_pool() -> NDArray[np.uint8]:
    """Smooth noise of five octaves, made once, always the same; scenes cut pieces from it."""
    rng = np.random.default_rng(20261121)
    total = np.zeros((_POOL_PX, _POOL_PX), np.float32)
    for octave in range(1, 7):
        grid = rng.random((2**octave + 1,) * 2, dtype=np.float32)
        wide = cv2.resize(grid, (_POOL_PX,) * 2, interpolation=cv2.INTER_CUBIC)
        total += np.asarray(wide, np.float32) / 1.6**octave
    low, high = np.percentile(total, (1, 99))
    return np.asarray(np.clip((total - low) * (255 / (high - low)), 0, 255), np.uint8)


def noise(rng: random.Random, width: int, height: int) -> Image:
    """A piece of the pool at a random zoom, ``(height, width) uint8``."""
    side = rng.randint(40, _POOL_PX)
    x, y = rng.randint(0, _POOL_PX - side), rng.randint(0, _POOL_PX - side)
    piece = _noise_pool()[y : y + side, x : x + side]
    return np.asarray(cv2.resize(piece, (width, height)), np.uint8)


def _gradient(rng: random.Random, width: int, height: int) -> Image:
    corners = np.array([[rng.randint(0, 255) for _ in range(2)] for _ in range(2)], np.uint8)
    return np.asarray(cv2.resize(corners, (width, height)), np.uint8)


def _planks(rng: random.Random, width: int, height: int) -> Image:
    count = rng.uniform(2, 12)
    phase = np.linspace(0, count * 2 * math.pi, height, dtype=np.float32)[:, None]
    if rng.random() < 0.5:
        phase = np.linspace(0, count * 2 * math.pi, width, dtype=np.float32)[None]
    wave = noise(rng, width, height).astype(np.float32) * (rng.uniform(0.5, 6) / 255)
    grain = np.sin(phase + wave) * 90 + 128
    return np.asarray(np.clip(grain, 0, 255), np.uint8)


def _tiles(rng: random.Random, width: int, height: int) -> Image:
    columns = rng.randint(3, 12)
    rows = max(2, round(columns * height / width))
    grid = np.indices((rows, columns)).sum(0) % 2 * 255
    return np.asarray(
        cv2.resize(grid.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST),
        np.uint8,
    )


def _plain(rng: random.Random, width: int, height: int) -> Image:
    return np.full((height, width), 128, np.uint8)


_TEXTURES = (noise, noise, _gradient, _planks, _planks, _tiles, _plain)


def _texture(rng: random.Random, width: int, height: int) -> Image:
    """One texture in two colours, ``(height, width, 3) uint8``."""
    tone = rng.choice(_TEXTURES)(rng, width, height)
    first = np.array(muted_rgb(rng) if rng.random() < 0.8 else pick_rgb(rng, "brown"))
    if rng.random() < 0.15:  # a strongly coloured wall or cloth
        first = np.array(toned(pick_rgb(rng, rng.choice(("blue", "green", "red"))), 0.7))
    second = np.clip(first + rng.gauss(0, 38) + [rng.gauss(0, 8) for _ in range(3)], 0, 255)
    ramp = np.linspace(0, 1, 256)[:, None]
    lut = (first + (second - first) * ramp).astype(np.uint8)
    return np.asarray(cv2.LUT(cv2.merge((tone, tone, tone)), lut[None]), np.uint8)


@dataclass(frozen=True)
class Backdrop:
    """What lies behind the things: ``(height, width, 3) uint8, rgb8``; and the colours that
    scraps without a name have there, more or less."""

    image: Image
    scrap_colors: frozenset[str] = frozenset()


def background(rng: random.Random, width: int, height: int) -> Backdrop:
    """A backdrop without named things."""
    half_width, half_height = (width + 1) // 2, (height + 1) // 2
    image = _texture(rng, half_width, half_height)
    if rng.random() < 0.4:  # a wall above the table's edge
        edge = rng.randint(half_height // 6, half_height // 2)
        image[:edge] = _texture(rng, half_width, half_height)[:edge]
    image = np.asarray(cv2.resize(image, (width, height)), np.uint8)
    has_scraps = rng.random() < 0.5 and _clutter(rng, image)
    return Backdrop(image, _MUTED if has_scraps else frozenset())


def _clutter(rng: random.Random, image: Image) -> bool:
    """Muted scraps and scratches that have no name, in place; whether there are scraps."""
    height, width = image.shape[:2]
    has_scraps = False
    for _ in range(rng.randint(1, 7)):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        reach = width * rng.uniform(0.03, 0.3)
        corners = [
            (x + rng.gauss(0, reach), y + rng.gauss(0, reach)) for _ in range(rng.randint(3, 6))
        ]
        outline = np.array(corners, np.float32)
        hull = np.asarray(cv2.convexHull(outline)[:, 0], np.float32)
        if len(hull) > 3 and rng.random() < 0.6:  # a triangle has a name
            fill(image, [hull], muted_rgb(rng))
            has_scraps = True
        else:
            line = np.asarray(np.round(outline), np.int32)
            cv2.polylines(image, [line], False, muted_rgb(rng), rng.randint(1, 3), cv2.LINE_AA)
    return has_scraps

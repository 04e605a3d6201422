"""A room full of things without a name, as photographs have it: cloth, paper, leaves, skin.

Pieces of any form and colour cover the backdrop. What is asked about such a picture has a name:
a colour alone could mean any of the pieces.
"""

from __future__ import annotations

import math
import random

import cv2
import numpy as np
from numpy.typing import NDArray

from molmo_node.sim.backgrounds import noise
from molmo_node.sim.colors import COLORS, Rgb, muted_rgb, pick_rgb
from molmo_node.sim.outlines import blob
from molmo_node.sim.paint import Image, fill, multiply
from molmo_node.sim.solids import rotated

_LETTERS = "ABCDEFGHKLMNORSTUVWaeinorst123450"


def strew(rng: random.Random, image: Image) -> None:
    """Cover parts of a picture with pieces, in place."""
    height, width = image.shape[:2]
    for _ in range(rng.randint(3, 16)):
        reach = max(width, height) * math.exp(rng.uniform(math.log(0.04), math.log(0.4)))
        outline = _outline(rng) * reach + (rng.uniform(0, width), rng.uniform(0, height))
        lay(rng, image, outline)


def _outline(rng: random.Random) -> NDArray[np.float64]:
    """A blob, a sheet, a strip or an oval of radius 1, turned; none that is a circle or triangle,
    which have names."""
    kind = rng.randrange(4)
    if kind == 0:
        form = blob(rng) * (1, rng.uniform(0.4, 1))
    elif kind == 1:
        form = _sheet(rng)
    else:
        wide = rng.uniform(0.05, 0.3) if kind == 2 else rng.uniform(0.3, 0.7)
        turn = np.linspace(0, 2 * math.pi, 36, endpoint=False)
        form = np.stack((np.cos(turn), wide * np.sin(turn)), 1)
    return rotated(form, rng.uniform(-math.pi, math.pi))


def _sheet(rng: random.Random) -> NDArray[np.float64]:
    """A four-cornered sheet of paper, cloth or board seen from anywhere."""
    wide, lean = rng.uniform(0.3, 1), rng.uniform(-0.6, 0.6)
    near = rng.uniform(0.6, 1)
    corners = [(-1, -wide), (1, -wide), (near + lean, wide), (lean - near, wide)]
    return np.array(corners) * 0.8


def lay(
    rng: random.Random, image: Image, outline_xy: NDArray[np.float64], inside: Image | None = None
) -> None:
    """One piece with its own pattern, in place: half of them with a shadow, or cut to the mask
    `inside` of the thing that they are printed on."""
    height, width = image.shape[:2]
    outline = outline_xy.astype(np.float32)
    x0, y0 = (max(0, int(v)) for v in outline.min(0))
    x1, y1 = min(width, int(outline[:, 0].max()) + 1), min(height, int(outline[:, 1].max()) + 1)
    if x1 - x0 < 6 or y1 - y0 < 6:
        return
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    fill(mask, [outline - np.array((x0, y0), np.float32)], 255.0)
    region = image[y0:y1, x0:x1]
    if inside is not None:
        mask = np.asarray(cv2.bitwise_and(mask, inside[y0:y1, x0:x1]), np.uint8)
    elif rng.random() < 0.5:
        reach = max(3, (min(mask.shape) // 6) | 1)
        soft = cv2.blur(mask, (reach, reach)).astype(np.float32)
        multiply(region, 1 - soft * (rng.uniform(0.2, 0.6) / 255))
    cv2.copyTo(_pattern(rng, x1 - x0, y1 - y0), mask, region)


def _pattern(rng: random.Random, width: int, height: int) -> Image:
    """Cloth, bark or print: a colour that changes over the piece, in all channels alike or in
    each by itself, with stripes or letters on some."""
    base, depth = _any_rgb(rng), rng.uniform(4, 90)
    common = noise(rng, width, height).astype(np.float32) / 255 - 0.5
    out = np.empty((height, width, 3), np.float32)
    is_mixed = rng.random() < 0.3
    for channel in range(3):
        tone = noise(rng, width, height).astype(np.float32) / 255 - 0.5 if is_mixed else common
        out[..., channel] = base[channel] + depth * tone
    if rng.random() < 0.25:
        u, v = (
            np.arange(width, dtype=np.float32)[None],
            np.arange(height, dtype=np.float32)[:, None],
        )
        turn, pitch_px = rng.uniform(0, math.pi), rng.uniform(4, 30)
        wave = np.sin((u * math.cos(turn) + v * math.sin(turn)) * (2 * math.pi / pitch_px))
        out += (wave * rng.uniform(8, 60))[..., None]
    pattern = np.clip(out, 0, 255).astype(np.uint8)
    if rng.random() < 0.2:
        write_lines(rng, pattern, _any_rgb(rng))
    return pattern


def _any_rgb(rng: random.Random) -> Rgb:
    return muted_rgb(rng, 15, 245) if rng.random() < 0.5 else pick_rgb(rng, rng.choice(COLORS))


def write_lines(rng: random.Random, image: Image, ink: Rgb) -> None:
    """A few lines of meaningless print, in place."""
    height, width = image.shape[:2]
    scale = rng.uniform(0.12, 0.4) * min(height, 90) / 22
    step = max(4.0, 26 * scale)
    y = step * rng.uniform(0.8, 1.4)
    while y < height:
        text = "".join(rng.choice(_LETTERS) for _ in range(rng.randint(3, 12)))
        at = (int(rng.uniform(0, 0.3) * width), int(y))
        cv2.putText(image, text, at, rng.randrange(4), scale, ink, 1, cv2.LINE_AA)
        y += step * rng.uniform(1, 2.2)

"""What a camera does to a scene: exposure, white balance, uneven light, blur, noise, JPEG."""

from __future__ import annotations

import functools
import random

import cv2
import numpy as np

from molmo_node.sim.paint import Image, multiply

_POOL_PX = 1024


@functools.cache
def _grain_pool() -> tuple[Image, Image]:
    """Gaussian noise of standard deviation 32, made once, always the same: the counts above
    zero, and those below."""
    rng = np.random.default_rng(97)
    grain = np.round(rng.standard_normal((_POOL_PX, _POOL_PX), dtype=np.float32) * 32)
    above, below = np.clip(grain, 0, 127), np.clip(-grain, 0, 127)
    return above.astype(np.uint8), below.astype(np.uint8)


def expose(rng: random.Random, image: Image) -> Image:
    """Exposure, gamma and white balance by one table a channel."""
    gain = rng.uniform(0.82, 1.15)  # more, and white would be gray
    gamma = rng.uniform(0.8, 1.25) if rng.random() < 0.5 else 1.0
    warmth = [rng.uniform(0.91, 1.09) for _ in range(3)]
    ramp = np.arange(256)[:, None] * (gain * np.array(warmth)) / 255
    table = 255 * np.clip(ramp, 0, 1) ** gamma
    return np.asarray(cv2.LUT(image, table.astype(np.uint8)[None]), np.uint8)


def _light_unevenly(rng: random.Random, image: Image) -> None:
    height, width = image.shape[:2]
    coarse = np.array([[rng.uniform(0.65, 1.25) for _ in range(3)] for _ in range(3)], np.float32)
    multiply(image, np.asarray(cv2.resize(coarse, (width, height)), np.float32))


def add_grain(rng: random.Random, image: Image, sigma: float) -> Image:
    """Sensor noise of standard deviation `sigma` (0 to 16 counts), the same in all channels."""
    height, width = image.shape[:2]
    x, y = rng.randint(0, _POOL_PX - width), rng.randint(0, _POOL_PX - height)
    out = image
    for pool, change in zip(_grain_pool(), (cv2.add, cv2.subtract), strict=True):
        level = cv2.convertScaleAbs(pool[y : y + height, x : x + width], alpha=sigma / 32)
        out = np.asarray(change(out, cv2.merge((level, level, level))), np.uint8)
    return out


def _neglect(rng: random.Random, image: Image) -> Image:
    """What only pictures whose colours do not matter may suffer: dusk, haze, no colour, a lens
    or a size too small."""
    if rng.random() < 0.2:
        dusk, haze = rng.uniform(0.25, 0.9), rng.uniform(0, 60)
        image = np.asarray(cv2.convertScaleAbs(image, alpha=dusk, beta=haze), np.uint8)
    if rng.random() < 0.2:  # lamps of any colour
        lut = np.arange(256)[:, None] * [rng.uniform(0.65, 1.3) for _ in range(3)]
        image = np.asarray(cv2.LUT(image, np.clip(lut, 0, 255).astype(np.uint8)[None]), np.uint8)
    if rng.random() < 0.12:
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        image = np.asarray(cv2.merge((gray, gray, gray)), np.uint8)
    if rng.random() < 0.15:
        image = _coarsen(image, rng.uniform(0.35, 0.8))
    return image


def _coarsen(image: Image, part: float) -> Image:
    """The picture as one of fewer pixels, enlarged again."""
    height, width = image.shape[:2]
    size = (int(width * part), int(height * part))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height)), np.uint8)


def photograph(rng: random.Random, image: Image, is_neglected: bool = False) -> Image:
    """The scene as a cheap camera under workshop light delivers it; same shape, uint8.

    The picture must be at most 1024 px wide and high. With `is_neglected` it may also be dark,
    hazy, gray or coarse, so that colours no longer tell.
    """
    if is_neglected:
        image = _neglect(rng, image)
    if rng.random() < 0.3:
        _light_unevenly(rng, image)
    image = expose(rng, image)
    if rng.random() < 0.5:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.4)), np.uint8)
    if rng.random() < 0.08:
        image = _coarsen(image, rng.uniform(0.5, 0.8))
    if rng.random() < 0.6:
        image = add_grain(rng, image, rng.uniform(1, 11))
    if rng.random() < 0.25:
        quality = [cv2.IMWRITE_JPEG_QUALITY, rng.randint(35, 90)]
        file = cv2.imencode(".jpg", image, quality)[1]
        image = np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(image)

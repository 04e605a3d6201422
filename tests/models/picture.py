"""The synthetic pictures of the golden vectors: integers only, so the same everywhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def golden_picture(width: int, height: int, seed: int) -> NDArray[np.uint8]:
    """``(height, width, 3) uint8``, by the formula of the golden set's README."""
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    red = (x * 255) // max(width - 1, 1) + (x * x + 3 * y + 7 * seed) % 32
    green = (y * 255) // max(height - 1, 1) + (2 * x + y * y + 5 * seed) % 24
    blue = ((x // 16 + y // 16 + seed) % 2) * 160 + (x * y + 13 * seed) % 64
    centre_x, centre_y = width * (3 + seed % 5) // 10, height * (2 + seed % 7) // 10
    radius = max(min(width, height) // 5, 1)
    disc = (x - centre_x) ** 2 + (y - centre_y) ** 2 <= radius * radius
    red[disc], green[disc], blue[disc] = 250 - 20 * (seed % 4), 30 + 10 * (seed % 9), 60
    return np.clip(np.stack([red, green, blue], axis=-1), 0, 255).astype(np.uint8)

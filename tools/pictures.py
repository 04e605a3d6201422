"""Pictures that compress and look like a camera's, the same in every run."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ImagesNHWC = NDArray[np.uint8]

BLOBS = 40
NOISE_LEVELS = 3.5  # standard deviation of the sensor noise, of 255


def photo_like(width: int, height: int, count: int) -> ImagesNHWC:
    """Gradients, edges and sensor noise that move a little from picture to picture.

    Returns:
        ``(count, H, W, 3) uint8, rgb8, C-contiguous``; a 720p one is a JPEG of about 135 kB,
        as photographs are.
    """
    rng = np.random.default_rng(7)
    scene = _scene(width, height, rng)
    noise = rng.normal(0, NOISE_LEVELS, (height, width, 1)).astype(np.float32)
    pictures = np.empty((count, height, width, 3), np.uint8)
    for index in range(count):
        moved = np.roll(scene, 5 * index, axis=1) + np.roll(noise, 37 * index, axis=0)
        pictures[index] = np.clip(moved, 0, 255)
    return pictures


def checksum(image: NDArray[np.uint8]) -> int:
    """Read every byte once: XOR of all 8-byte words; the length must be a multiple of 8."""
    words = np.ascontiguousarray(image).reshape(-1).view(np.uint64)
    return int(np.bitwise_xor.reduce(words))


def _scene(width: int, height: int, rng: np.random.Generator) -> NDArray[np.float32]:
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    scene = np.stack(
        [
            120 + 90 * np.sin(x / width * 5 + 1) * np.cos(y / height * 4),
            110 + 80 * np.cos(x / width * 3) + 20 * np.sin(y / 23),
            100 + 100 * (y / height) * np.sin(x / width * 7 + 0.5),
        ],
        axis=-1,
    )
    for _ in range(BLOBS):
        center_y, center_x = rng.integers(0, height), rng.integers(0, width)
        radius = rng.integers(height // 30 + 1, height // 6 + 2)
        inside = (y - center_y) ** 2 + (x - center_x) ** 2 < radius**2
        scene[inside] = rng.integers(0, 255, 3)
    return scene.astype(np.float32)

"""The few picture operations that all readers share, typed."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

ImageRGB = NDArray[np.uint8]
Gray = NDArray[np.uint8]
Float32s = NDArray[np.float32]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def gray_of(image: ImageRGB) -> Gray:
    """``(H, W) uint8`` brightness."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)


def lab_of(image: ImageRGB) -> Float32s:
    """``(H, W, 3) float32`` 8-bit Lab: each channel in 0..255."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2LAB), np.float32)


def resized(image: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """The picture times `scale`: areas are averaged down, cubic up; as it is at about 1."""
    if abs(scale - 1.0) < 1e-3 or not image.size:
        return image
    how = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=how), np.uint8)

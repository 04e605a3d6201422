"""A view kept as layers, not as colours, so that it can be painted in any colour later."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from molmo_node.sim.colors import Rgb

BRIGHT = 100.0  # the value of `light` that leaves paint as it is
DEPTH = 7
SIDE_PX = 176  # of the square in which the ball of every view's solid fits
_GAMMA = 2.2


@dataclass(frozen=True)
class Layers:
    """One view: all ``(h, w[, 3]) uint8``, cropped to what is seen.

    `paint` is sRGB; `light` is its linear gain times `BRIGHT`; `shine` is linear light on top,
    times 255; `paintable` is 255 where any colour may stand in for the paint; `cover` is how
    much of the pixel is the solid.
    """

    paint: NDArray[np.uint8]
    light: NDArray[np.uint8]
    shine: NDArray[np.uint8]
    paintable: NDArray[np.uint8]
    cover: NDArray[np.uint8]


def stacked(layers: Layers) -> NDArray[np.uint8]:
    """The layers as one array ``(h, w, DEPTH)``, in the order of their fields."""
    return np.dstack((layers.paint, layers.light, layers.shine, layers.paintable, layers.cover))


def painted(layers_hwc: NDArray[np.uint8], rgb: Rgb | None) -> NDArray[np.uint8]:
    """The view's picture ``(h, w, 3) uint8``, in a colour (0 to 255) where one is given."""
    values = layers_hwc.astype(np.float32) / 255
    linear = values[..., :3] ** _GAMMA
    if rgb is not None:
        own = (np.array(rgb, np.float32) / 255) ** _GAMMA
        linear += (own - linear) * values[..., 5:6]
    lit = linear * (values[..., 3:4] * (255 / BRIGHT)) + values[..., 4:5]
    return np.asarray(np.clip(lit, 0, 1) ** (1 / _GAMMA) * 255 + 0.5, np.uint8)

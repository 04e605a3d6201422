"""The colours that the simulated bench has names for."""

from __future__ import annotations

import colorsys
import random

Rgb = tuple[float, float, float]

# name: hue in degrees, saturation and value in percent; a range each. Between neighbours lies
# more than a lamp's tint moves a colour, so that a name stays right on the picture.
_RANGES: dict[str, tuple[tuple[float, float], tuple[float, float], tuple[float, float]]] = {
    "red": ((-12, 5), (65, 100), (40, 100)),
    "orange": ((21, 32), (66, 100), (66, 100)),
    "yellow": ((47, 59), (50, 100), (62, 100)),
    "green": ((85, 160), (34, 100), (24, 92)),
    "blue": ((197, 243), (42, 100), (28, 100)),
    "purple": ((262, 286), (32, 100), (28, 88)),
    "pink": ((308, 338), (24, 50), (74, 100)),
    "brown": ((15, 30), (42, 78), (18, 46)),
    "black": ((0, 360), (0, 24), (2, 18)),
    "white": ((0, 360), (0, 8), (84, 100)),
    "gray": ((0, 360), (0, 10), (35, 62)),
}
COLORS: tuple[str, ...] = tuple(_RANGES)


def pick_rgb(rng: random.Random, color: str) -> Rgb:
    """A colour that a person would call `color`: red, green and blue, 0 to 255.

    Raises:
        KeyError: `color` is not one of `COLORS`.
    """
    hue_deg, saturation_pct, value_pct = (rng.uniform(*span) for span in _RANGES[color])
    red, green, blue = colorsys.hsv_to_rgb(
        hue_deg / 360 % 1.0, saturation_pct / 100, value_pct / 100
    )
    return 255 * red, 255 * green, 255 * blue


def toned(rgb: Rgb, gain: float) -> Rgb:
    """The same paint under `gain` times the light, at most as bright as it can be in its hue."""
    most = min(gain, 255.0 / max(1.0, *rgb))
    red, green, blue = (channel * most for channel in rgb)
    return red, green, blue


def muted_rgb(rng: random.Random, low: float = 25, high: float = 235) -> Rgb:
    """A background colour with little saturation, so that it is no named object's colour."""
    base = rng.uniform(low, high)
    red, green, blue = (min(255.0, max(0.0, base + rng.gauss(0, 12))) for _ in range(3))
    return red, green, blue

"""A first profile by itself: centre, marks and values from one picture, for a person to check."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from molmo_node.errors import NoAnswer
from molmo_node.instruments.gauge import read_gauge
from molmo_node.instruments.pixels import ImageRGB
from molmo_node.instruments.profile import Profile
from molmo_node.instruments.texts import TextReader
from molmo_node.instruments.uncalibrated import read_gauges
from molmo_node.messages import GaugeReading

TRIALS = 10


@dataclass(frozen=True)
class Trial:
    """Test readings of a profile on its own picture, each a little changed.

    Attributes:
        readings: one for each change.
        spread: highest minus lowest value, in units; None where none was read.
        refused: how many gave no value.
    """

    readings: tuple[GaugeReading, ...]
    spread: float | None
    refused: int


def propose_profile(
    image: ImageRGB, *, name: str = "", read_text: TextReader | None = None
) -> tuple[Profile, GaugeReading]:
    """Centre, marks, values and unit of the gauge in a picture, found by itself.

    Args:
        image: ``(H, W, 3) uint8, rgb8``, best from the front and with the dial large.
        read_text: finds printed text; default: the extra `[ocr]`.

    Returns:
        A profile whose marks are the printed numbers, and the reading it came from.

    Raises:
        NoAnswer: no dial, or no scale on it, was found.
    """
    best = read_gauges(image, read_text=read_text)[0]
    geometry = best.geometry
    if geometry is None or len(geometry.scale_points) < 2:
        raise NoAnswer(
            f"no scale was found in the picture ({best.reason})",
            hint="give the centre and two or more marks; numbers need the extra [ocr]",
        )
    profile = Profile.from_marks(
        image, geometry.center, geometry.scale_points, best.unit, name=name
    )
    return profile, best


def try_profile(image: ImageRGB, profile: Profile, seed: int = 0) -> Trial:
    """Ten readings of the picture shifted, turned, scaled, lit and softened a little.

    The spread is what the camera's unrest alone does to the reading.
    """
    random = np.random.default_rng(seed)
    readings = tuple(read_gauge(_changed(image, random), profile) for _ in range(TRIALS))
    values = [reading.value for reading in readings if reading.value is not None]
    spread = max(values) - min(values) if values else None
    return Trial(readings, spread, len(readings) - len(values))


def _changed(image: ImageRGB, random: np.random.Generator) -> ImageRGB:
    height, width = image.shape[:2]
    turn_deg, scale = random.uniform(-2.0, 2.0), random.uniform(0.95, 1.05)
    matrix = np.array(cv2.getRotationMatrix2D((width / 2, height / 2), turn_deg, scale), np.float64)
    matrix[:, 2] += random.uniform(-0.01, 0.01, 2) * (width, height)
    moved = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    lit = np.asarray(moved, np.float64) * random.uniform(0.8, 1.15)
    soft = cv2.GaussianBlur(lit + random.normal(0.0, 3.0, lit.shape), (0, 0), 0.6)
    return np.clip(soft, 0, 255).astype(np.uint8)

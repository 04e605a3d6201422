"""Mark in a picture what a reader saw: rim, needle or hands, marks, and the value."""

from __future__ import annotations

import cv2
import numpy as np

from molmo_node.instruments.angles import unit_vector
from molmo_node.instruments.dial import Dial
from molmo_node.instruments.pixels import ImageRGB
from molmo_node.messages import ClockReading, GaugeReading, Geometry, Reading

SEEN = (0, 200, 90)
REFUSED = (235, 70, 50)
NEEDLE = (255, 60, 200)
PAPER = (15, 15, 18)
HAND_LENGTHS = (0.5, 0.8, 0.85)
FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_reading(image: ImageRGB, reading: Reading) -> ImageRGB:
    """A copy of the picture with the reading drawn in.

    Args:
        image: ``(H, W, 3) uint8, rgb8``, the picture that was read.
    """
    marked = image.copy()
    stroke = max(1, round(min(image.shape[:2]) / 300))
    colour = REFUSED if reading.status == "refused" else SEEN
    if reading.geometry is not None:
        _draw_geometry(marked, reading.geometry, colour, stroke)
    _draw_caption(marked, caption(reading), colour, stroke)
    return marked


def caption(reading: Reading) -> str:
    """One line: the value with its unit and sigma, or why there is none. ASCII, for OpenCV."""
    name = f"{reading.name}: " if reading.name else ""
    if isinstance(reading, ClockReading):
        if reading.hour is None:
            return f"{name}no time: {reading.reason}"
        second = "" if reading.second is None else f":{reading.second:02d}"
        shown = f"{reading.hour or 12}:{reading.minute or 0:02d}{second}"
        return f"{name}{shown} ({reading.confidence:.2f})"
    if reading.value is None:
        return f"{name}no value: {reading.reason}"
    return f"{name}{_number(reading)} {reading.unit} ({reading.confidence:.2f})"


def _number(reading: GaugeReading) -> str:
    assert reading.value is not None
    if not reading.sigma or reading.sigma < 0:  # not known
        return f"{reading.value:.4g}"
    digits = max(0, 1 - int(np.floor(np.log10(reading.sigma))))
    return f"{reading.value:.{digits}f} +- {reading.sigma:.{digits}f}"


def _draw_geometry(
    image: ImageRGB, geometry: Geometry, colour: tuple[int, int, int], stroke: int
) -> None:
    if geometry.ellipse is not None:
        x, y, long_px, short_px, tilt_deg = geometry.ellipse
        axes = (round(long_px), round(short_px))
        cv2.ellipse(image, _pixel((x, y)), axes, tilt_deg, 0, 360, colour, stroke, cv2.LINE_AA)
        dial = Dial.ellipse(*geometry.center, (2 * long_px, 2 * short_px), tilt_deg)
        for angle_deg, length in zip(geometry.hands_deg, HAND_LENGTHS, strict=False):
            vector = unit_vector(angle_deg)
            end = dial.to_image(length * vector[0], length * vector[1])
            _draw_line(image, geometry.center, end, stroke)
    if geometry.needle_tip is not None and not geometry.hands_deg:
        _draw_line(image, geometry.needle_tail or geometry.center, geometry.needle_tip, stroke)
    for value, x, y in geometry.scale_points:
        cv2.circle(image, _pixel((x, y)), 2 * stroke + 1, colour, -1, cv2.LINE_AA)
        _write(image, f"{value:g}", (round(x) + 4 * stroke, round(y)), colour, stroke)
    cv2.circle(image, _pixel(geometry.center), 2 * stroke + 1, NEEDLE, -1, cv2.LINE_AA)


def _draw_line(
    image: ImageRGB, start: tuple[float, float], end: tuple[float, float], stroke: int
) -> None:
    cv2.line(image, _pixel(start), _pixel(end), NEEDLE, stroke + 1, cv2.LINE_AA)


def _draw_caption(image: ImageRGB, text: str, colour: tuple[int, int, int], stroke: int) -> None:
    height = 18 * stroke + 8
    image[:height] = (image[:height] * 0.25 + np.array(PAPER) * 0.75).astype(np.uint8)
    _write(image, text, (6, height - 6), colour, stroke)


def _write(
    image: ImageRGB, text: str, place: tuple[int, int], colour: tuple[int, int, int], stroke: int
) -> None:
    plain = text.replace("°", "deg ").replace("³", "3").replace("²", "2")
    cv2.putText(image, plain, place, FONT, 0.5 * stroke, colour, stroke, cv2.LINE_AA)


def _pixel(point: tuple[float, float]) -> tuple[int, int]:
    return round(point[0]), round(point[1])

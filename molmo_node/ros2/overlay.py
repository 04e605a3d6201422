"""What of an answer is drawn over the image: shapes in pixels of the frame. Needs no ROS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from molmo_node.instruments.angles import unit_vector
from molmo_node.instruments.dial import Dial
from molmo_node.instruments.draw import HAND_LENGTHS
from molmo_node.messages import Answer, ClockReading, Geometry

PointPx = tuple[float, float]
Rgba = tuple[float, float, float, float]

FOUND: Rgba = (1.0, 0.25, 0.25, 1.0)
NEEDLE: Rgba = (0.2, 0.8, 1.0, 1.0)
REFUSED: Rgba = (0.6, 0.6, 0.6, 1.0)


@dataclass(frozen=True)
class Shape:
    """One marker.

    Attributes:
        namespace: the watch's name, or what was asked: shapes of one namespace and `number`
            take each other's place.
        points: pixels; for ``lines`` two for each line. Empty: what was there goes away.
    """

    namespace: str
    number: int
    kind: Literal["points", "lines"]
    points: tuple[PointPx, ...]
    color: Rgba
    width_px: float


def shapes(answer: Answer) -> list[Shape]:
    """The points that were found, and the needle or hands that were read.

    Always the same number of shapes for one question, so that an answer without points takes
    the points of the last one away.
    """
    namespace = answer.watch or f"{answer.task} {answer.query}".strip()
    width_px = max(2.0, max(answer.width, answer.height) / 240)
    if answer.task in ("read_gauge", "read_clock"):
        is_read = answer.reading is not None and answer.reading.status != "refused"
        lines = _lines(answer)
        return [Shape(namespace, 1, "lines", lines, NEEDLE if is_read else REFUSED, width_px)]
    points = tuple((point.x_px, point.y_px) for point in answer.points)
    return [Shape(namespace, 0, "points", points, FOUND, 2 * width_px)]


def _lines(answer: Answer) -> tuple[PointPx, ...]:
    geometry = answer.reading.geometry if answer.reading is not None else None
    if geometry is None:
        return ()
    if isinstance(answer.reading, ClockReading):
        return _hands(geometry)
    if geometry.needle_tip is None:
        return ()
    return (geometry.needle_tail or geometry.center, geometry.needle_tip)


def _hands(geometry: Geometry) -> tuple[PointPx, ...]:
    """Hour, minute and second hand from the dial's centre, as far as they were seen."""
    if geometry.ellipse is None:
        return ()
    _, _, long_px, short_px, tilt_deg = geometry.ellipse
    dial = Dial.ellipse(*geometry.center, (2 * long_px, 2 * short_px), tilt_deg)
    ends: list[PointPx] = []
    for angle_deg, length in zip(geometry.hands_deg, HAND_LENGTHS, strict=False):
        x, y = unit_vector(angle_deg)
        ends += [geometry.center, dial.to_image(length * x, length * y)]
    return tuple(ends)

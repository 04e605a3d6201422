"""An answer as Foxglove's image annotations: points, labels, a dial's parts, the value.

Pixels of the captured frame, as everywhere. The annotations carry the frame's stamp, so that
the app can show them on the very picture they were made from.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from foxglove_schemas_protobuf.CircleAnnotation_pb2 import CircleAnnotation
from foxglove_schemas_protobuf.Color_pb2 import Color
from foxglove_schemas_protobuf.ImageAnnotations_pb2 import ImageAnnotations
from foxglove_schemas_protobuf.Point2_pb2 import Point2
from foxglove_schemas_protobuf.PointsAnnotation_pb2 import PointsAnnotation
from foxglove_schemas_protobuf.TextAnnotation_pb2 import TextAnnotation

from molmo_node.instruments.angles import unit_vector
from molmo_node.instruments.dial import Dial
from molmo_node.instruments.draw import HAND_LENGTHS, caption
from molmo_node.messages import Answer, Geometry

_MARK = Color(r=1.0, g=0.25, b=0.25, a=1.0)
_SEEN = Color(r=0.0, g=0.78, b=0.35, a=1.0)
_REFUSED = Color(r=0.92, g=0.27, b=0.2, a=1.0)
_NEEDLE = Color(r=1.0, g=0.24, b=0.78, a=1.0)
_INK = Color(r=1.0, g=1.0, b=1.0, a=1.0)
_SHADE = Color(r=0.0, g=0.0, b=0.0, a=0.6)
_RIM_CORNERS = 48


def image_annotations(answer: Answer) -> ImageAnnotations:
    """The marks of an answer; none of them where it holds nothing, which clears the last ones."""
    size_px = max(2.0, max(answer.width, answer.height) / 320)
    marks = ImageAnnotations()
    marks.timestamp.FromNanoseconds(min(max(0, answer.frame.stamp_ns), 2**63 - 1))
    for number, point in enumerate(answer.points, start=1):
        label = point.label if len(answer.points) == 1 else str(number)
        marks.circles.append(_circle(point.x_px, point.y_px, 8 * size_px, _MARK, size_px))
        if label:
            at = (point.x_px + 6 * size_px, point.y_px - 4 * size_px)
            marks.texts.append(_text(label, at, size_px))
    if answer.reading is not None:
        colour = _REFUSED if answer.reading.status == "refused" else _SEEN
        if answer.reading.geometry is not None:
            _mark_dial(marks, answer.reading.geometry, colour, size_px)
        marks.texts.append(_text(caption(answer.reading), (4 * size_px, 10 * size_px), size_px))
    return marks


def _mark_dial(marks: ImageAnnotations, geometry: Geometry, colour: Color, size_px: float) -> None:
    if geometry.ellipse is not None:
        x_px, y_px, long_px, short_px, tilt_deg = geometry.ellipse
        rim = _rim(x_px, y_px, long_px, short_px, tilt_deg)
        marks.points.append(_line(rim, PointsAnnotation.Type.LINE_LOOP, colour, size_px / 2))
        dial = Dial.ellipse(*geometry.center, (2 * long_px, 2 * short_px), tilt_deg)
        for angle_deg, length in zip(geometry.hands_deg, HAND_LENGTHS, strict=False):
            x, y = unit_vector(angle_deg)
            hand = (geometry.center, dial.to_image(length * x, length * y))
            marks.points.append(_line(hand, PointsAnnotation.Type.LINE_STRIP, _NEEDLE, size_px))
    if geometry.needle_tip is not None and not geometry.hands_deg:
        needle = (geometry.needle_tail or geometry.center, geometry.needle_tip)
        marks.points.append(_line(needle, PointsAnnotation.Type.LINE_STRIP, _NEEDLE, size_px))
    for value, x_px, y_px in geometry.scale_points:
        marks.circles.append(_circle(x_px, y_px, 3 * size_px, colour, size_px / 2))
        marks.texts.append(_text(f"{value:g}", (x_px + 4 * size_px, y_px), size_px))
    marks.circles.append(_circle(*geometry.center, 3 * size_px, _NEEDLE, size_px / 2))


def _rim(
    x_px: float, y_px: float, long_px: float, short_px: float, tilt_deg: float
) -> list[tuple[float, float]]:
    """Corners of an ellipse with these half axes, the long one turned by `tilt_deg` from x."""
    cos, sin = math.cos(math.radians(tilt_deg)), math.sin(math.radians(tilt_deg))
    turns = (2 * math.pi * corner / _RIM_CORNERS for corner in range(_RIM_CORNERS))
    on_axes = ((long_px * math.cos(turn), short_px * math.sin(turn)) for turn in turns)
    return [(x_px + cos * a - sin * b, y_px + sin * a + cos * b) for a, b in on_axes]


def _circle(
    x_px: float, y_px: float, diameter_px: float, colour: Color, stroke_px: float
) -> CircleAnnotation:
    return CircleAnnotation(
        position=Point2(x=x_px, y=y_px), diameter=diameter_px, thickness=stroke_px,
        outline_color=colour,
    )  # fmt: skip


def _line(
    places: Iterable[tuple[float, float]],
    kind: PointsAnnotation.Type.ValueType,
    colour: Color,
    stroke_px: float,
) -> PointsAnnotation:
    return PointsAnnotation(
        type=kind, points=[Point2(x=x, y=y) for x, y in places], outline_color=colour,
        thickness=stroke_px,
    )  # fmt: skip


def _text(text: str, at: tuple[float, float], size_px: float) -> TextAnnotation:
    return TextAnnotation(
        position=Point2(x=at[0], y=at[1]), text=text, font_size=8 * size_px, text_color=_INK,
        background_color=_SHADE,
    )  # fmt: skip

"""Let an engine point at a gauge: which dial, the pivot, the needle's tip, the numbered marks.

An engine whose reading comes with points (molmo-nano's five key points) is asked nothing more.
One that points at what it is told (Molmo) is asked for each place in turn.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from molmo_node.errors import ConfigError
from molmo_node.instruments import DialHint, read_pointed_gauge
from molmo_node.messages import GaugeReading, Point, Question
from molmo_node.models.engine import Engine, Reply

ImageHWC = NDArray[np.uint8]
Asker = Callable[[Sequence[Question]], Sequence[Reply]]

KEY_LABELS = ("center", "needle")
"""Labels of an engine's own key points that are no marks of the scale."""
CENTER = "the center of the gauge's dial"
TIP = "the tip of the gauge's needle"
NUMBERS = "Which numbers are printed along the gauge's scale? Answer with the numbers only."
MARK = "the mark of the number {number} on the gauge's scale"
MOST_MARKS = 8
FEWEST_MARKS = 2
_NUMBER = re.compile(r"-?\d{1,5}(?:\.\d{1,3})?")


def hint_in(points: Sequence[Point], told_by: str, trust: float) -> DialHint | None:
    """The hint of an engine's labelled key points; None where they name no needle and pivot."""
    places = {point.label: (point.x_px, point.y_px) for point in points}
    if not all(label in places for label in KEY_LABELS):
        return None
    marks = tuple(place for label, place in places.items() if label not in KEY_LABELS)
    return DialHint(places["center"], places["needle"], marks, told_by, trust)


def point_at_gauge(
    image_hwc: ImageHWC, ask: Asker, told_by: str, trust: float
) -> tuple[DialHint | None, GaugeReading | None]:
    """Ask a pointing engine for a gauge's places, and read the gauge from them.

    Args:
        image_hwc: ``(H, W, 3) uint8, rgb8``, the picture that `ask` asks about.
        ask: answers questions about it in one batch.

    Returns:
        The hint for the pixel reader, None where pivot or tip was not pointed at; and the
        reading from the points alone, None where fewer than two numbered marks were.
    """
    center, tip, told = ask((Question.point(CENTER), Question.point(TIP), Question.ask(NUMBERS)))
    if not center.points or not tip.points:
        return None, None
    numbers = list(dict.fromkeys(float(n) for n in _NUMBER.findall(told.text)))[:MOST_MARKS]
    replies = ask([Question.point(MARK.format(number=f"{n:g}")) for n in numbers])
    marks = [
        (number, reply.points[0].x_px, reply.points[0].y_px)
        for number, reply in zip(numbers, replies, strict=True)
        if len(reply.points) == 1
    ]
    pivot, end = _place(center), _place(tip)
    hint = DialHint(pivot, end, tuple((x, y) for _, x, y in marks), told_by, trust)
    if len(marks) < FEWEST_MARKS:
        return hint, None
    try:
        return hint, read_pointed_gauge(image_hwc, pivot, end, marks)
    except ConfigError:  # points that cannot be a scale
        return hint, None


def can_point(engine: Engine) -> bool:
    """It points at whatever it is told, and reads print."""
    return {"point", "ask"} <= engine.tasks


def _place(reply: Reply) -> tuple[float, float]:
    return reply.points[0].x_px, reply.points[0].y_px

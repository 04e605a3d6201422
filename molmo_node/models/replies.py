"""A model's text to the engine's typed reply."""

from __future__ import annotations

from collections.abc import Callable

from molmo_node.errors import NoAnswer
from molmo_node.messages import Point, Question
from molmo_node.models import answers
from molmo_node.models.engine import Reply
from molmo_node.models.json_schema import schema_fault
from molmo_node.models.prompts import PointFormat

_POINTS: dict[PointFormat, Callable[..., tuple[Point, ...] | NoAnswer]] = {
    "percent": answers.percent_points,
    "thousandths": answers.thousandth_points,
}


def to_reply(
    question: Question,
    text: str,
    point_format: PointFormat,
    width: int,
    height: int,
    *,
    is_truncated: bool = False,
) -> Reply:
    """Read an answer.

    Args:
        text: what the model said; it may end with the last coordinate.
        width, height: of the picture that was asked about.
        is_truncated: the model was stopped by the limit of tokens; then only free text counts.
    """
    if is_truncated and question.task not in ("ask", "describe"):
        return Reply(text=text, no_answer="the answer was cut off by the limit of tokens")
    match question.task:
        case "point":
            return _points(question, text, point_format, width, height)
        case "count":
            return _count(question, text, point_format, width, height)
        case "read_clock":
            time = answers.time_in(text)
            if isinstance(time, NoAnswer):
                return Reply(text=text, no_answer=time.message)
            return Reply(text=text, time=(time.hour, time.minute, time.second))
        case "read_gauge":
            value = answers.value_in(text)
            if isinstance(value, NoAnswer):
                return Reply(text=text, no_answer=value.message)
            return Reply(text=text, value=value.value, unit=value.unit)
        case "extract":
            return _data(question, text)
        case _:
            return Reply(text=text, no_answer=None if text else "the model said nothing")


def _points(
    question: Question, text: str, point_format: PointFormat, width: int, height: int
) -> Reply:
    points = _POINTS[point_format](text, width, height, question.text)
    if isinstance(points, NoAnswer):
        return Reply(text=text, no_answer=points.message)
    return Reply(text=text, points=points)


def _count(
    question: Question, text: str, point_format: PointFormat, width: int, height: int
) -> Reply:
    """The number that was stated, and the points if there are any; they may disagree."""
    count = answers.count_in(text)
    if isinstance(count, NoAnswer):
        return Reply(text=text, no_answer=count.message)
    if "<point" not in text:
        return Reply(text=text, count=count)
    reply = _points(question, text, point_format, width, height)
    return reply if reply.no_answer else Reply(text=text, points=reply.points, count=count)


def _data(question: Question, text: str) -> Reply:
    data = answers.json_in(text)
    if isinstance(data, NoAnswer):
        return Reply(text=text, no_answer=data.message)
    if question.schema:
        fault = schema_fault(data, question.schema)
        if fault is not None:
            return Reply(text=text, no_answer=fault)
    return Reply(text=text, data=data)

"""An answer as a chat completion, whole or as a stream of events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from molmo_node.errors import NoAnswer
from molmo_node.messages import Answer, ClockReading, GaugeReading, Point
from molmo_node.models import answers
from molmo_node.web.openai_request import ChatAsk

_SHOWN = ("task", "query", "frame", "width", "height", "count", "reading", "data", "reason")


def completion(ask: ChatAsk, answer: Answer, made_s: int) -> dict[str, Any]:
    """The body of a response that comes in one piece."""
    message = {"role": "assistant", "content": content(answer), "refusal": answer.reason}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return {**_head("chat.completion", ask, answer, made_s), "choices": [choice]}


def events(ask: ChatAsk, answer: Answer, made_s: int) -> Iterator[bytes]:
    """The same as server-sent events: the answer in one chunk, then the end."""
    head = _head("chat.completion.chunk", ask, answer, made_s)
    delta = {"role": "assistant", "content": content(answer), "refusal": answer.reason}
    for part, reason in ((delta, None), ({}, "stop")):
        choice = {"index": 0, "delta": part, "logprobs": None, "finish_reason": reason}
        yield f"data: {json.dumps({**head, 'choices': [choice]})}\n\n".encode()
    yield b"data: [DONE]\n\n"


def content(answer: Answer) -> str:
    """What a person reads: the model's own words, points as Molmo writes them."""
    if answer.reason:
        return f"no answer: {answer.reason}"
    if answer.reading is not None:
        return _reading(answer.reading)
    if answer.task == "extract":
        return json.dumps(answer.data)
    if answer.points and "<point" not in answer.text:
        return f"{answer.text} {_tags(answer)}".strip()
    return answer.text or ("" if answer.count is None else str(answer.count))


def points_of(answer: Answer) -> tuple[Point, ...]:
    """The points of an answer in pixels, also those that stand in its text only."""
    if answer.points or answer.task not in ("ask", "describe") or "<point" not in answer.text:
        return answer.points
    for parse in (answers.percent_points, answers.thousandth_points):
        found = parse(answer.text, answer.width, answer.height)
        if not isinstance(found, NoAnswer):
            return found
    return ()


def _head(kind: str, ask: ChatAsk, answer: Answer, made_s: int) -> dict[str, Any]:
    fields = msgspec.to_builtins(answer)
    ours = {name: fields[name] for name in _SHOWN}
    ours["points"] = msgspec.to_builtins(points_of(answer))
    ours |= {"timing_ms": fields["timing_ms"], "work": fields["work"], "ignored": ask.ignored}
    return {
        "id": f"chatcmpl-{answer.id}",
        "object": kind,
        "created": made_s,
        "model": answer.model or ask.model,
        "molmo_node": ours,
    }


def _tags(answer: Answer) -> str:
    def place(point: Point, number: str) -> str:
        x_pct, y_pct = 100 * point.x_px / answer.width, 100 * point.y_px / answer.height
        return f'x{number}="{x_pct:.1f}" y{number}="{y_pct:.1f}"'

    label = (answer.points[0].label or answer.query).replace('"', "'")
    if len(answer.points) == 1:
        return f'<point {place(answer.points[0], "")} alt="{label}">{label}</point>'
    places = " ".join(place(point, str(number)) for number, point in enumerate(answer.points, 1))
    return f'<points {places} alt="{label}">{label}</points>'


def _reading(reading: GaugeReading | ClockReading) -> str:
    if isinstance(reading, GaugeReading):
        return "" if reading.value is None else f"{reading.value:g} {reading.unit}".strip()
    if reading.hour is None or reading.minute is None:
        return ""
    second = "" if reading.second is None else f":{reading.second:02d}"
    return f"{reading.hour}:{reading.minute:02d}{second}"

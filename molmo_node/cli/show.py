"""Answers as a person or a program reads them."""

from __future__ import annotations

import json
import time
from typing import Any

import msgspec

from molmo_node.messages import Answer, ClockReading, GaugeReading

_EMPTY: tuple[Any, ...] = (None, "", (), [])


def as_json(answer: Answer) -> str:
    """One line with a stable schema: what does not belong to the task is left out."""
    fields = msgspec.to_builtins(answer)
    for name in ("type", "v"):
        fields.pop(name)
    optional = ("id", "watch", "count", "reading", "data", "reason")
    kept = {
        key: value for key, value in fields.items() if key not in optional or value not in _EMPTY
    }
    if answer.task not in ("point", "count"):
        kept.pop("points")
    return json.dumps(kept)


def as_text(answer: Answer) -> str:
    """One or more lines for a person: the answer, or why there is none."""
    if answer.reading is not None:
        return reading_text(answer.reading)
    if answer.reason:
        return f"no answer: {answer.reason}"
    if answer.task == "extract":
        return json.dumps(answer.data)
    if answer.task not in ("point", "count"):
        return answer.text
    lines = [f"{point.x_px:.1f} {point.y_px:.1f} {point.label}".rstrip() for point in answer.points]
    if answer.task == "count":
        lines.insert(0, str(answer.count))
    return "\n".join(lines)


def reading_text(reading: GaugeReading | ClockReading) -> str:
    """``4.21 bar (±0.03, 93 %)``, ``10:08:31``, or why there is none."""
    if isinstance(reading, ClockReading):
        if reading.hour is None or reading.minute is None:
            return f"no reading: {reading.reason or 'the hands were not found'}"
        second = "" if reading.second is None else f":{reading.second:02d}"
        return f"{reading.hour}:{reading.minute:02d}{second} ({reading.confidence:.0%})"
    if reading.value is None:
        return f"no reading: {reading.reason or 'not legible'}"
    sigma = "" if reading.sigma is None else f"±{reading.sigma:.2g}, "
    return f"{reading.value:.4g} {reading.unit} ({sigma}{reading.confidence:.0%})"


def with_frame(answer: Answer) -> str:
    """One line that names the frame and its age: what `watch`, `up` and the demo print."""
    frame = answer.frame
    age_ms = (time.time_ns() - frame.stamp_ns) / 1e6
    name = answer.watch or answer.query or answer.task
    text = as_text(answer).replace("\n", "; ")
    return f"{frame.camera} #{frame.seq} {name}: {text}  age {age_ms:.0f} ms"

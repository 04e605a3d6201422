"""An answer as one flat record: what console, CSV and MQTT say of it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from molmo_node.messages import TASKS, Answer, ClockReading, GaugeReading
from molmo_node.sinks.base import Message

_YEAR_9999_NS = 253_402_300_799 * 10**9
Value = float | int | str | None
_TASKS = "|".join(task.replace("_", "-") for task in TASKS)
_GENERATED = re.compile(rf"({_TASKS})-[0-9a-f]{{8}}")


@dataclass(frozen=True)
class Record:
    """One answer.

    Attributes:
        time: capture of the frame, ISO 8601, UTC.
        value: a dial's value, rounded to what its sigma leaves sense to; a time ``10:08:31``; a
            count; the number of points; or text. None where there is none or it is not trusted.
        status: ``ok``, ``doubtful``, ``refused`` (a reading) or ``no_answer``.
        reason: why there is no value; empty where there is one.
    """

    time: str
    camera: str
    watch: str
    task: str
    query: str
    value: Value
    unit: str
    sigma: float | None
    confidence: float | None
    status: str
    reason: str
    seq: int
    model: str


def record_of(answer: Answer, *, is_doubtful_trusted: bool = False) -> Record:
    """The record of an answer.

    Args:
        is_doubtful_trusted: whether readings that are `doubtful` count as read.
    """
    reading = answer.reading
    status = "no_answer" if answer.reason else "ok"
    reason, value = answer.reason or "", None if answer.reason else _value(answer)
    if reading is not None:
        status = reading.status
        is_trusted = status == "ok" or (status == "doubtful" and is_doubtful_trusted)
        value = _reading_value(reading) if is_trusted else None
        reason = "" if value is not None else str(reading.reason or status)
    return Record(
        time=iso(answer.frame.stamp_ns),
        camera=answer.frame.camera,
        watch=answer.watch,
        task=answer.task,
        query=answer.query,
        value=_rounded(value, reading),
        unit=reading.unit if isinstance(reading, GaugeReading) else "",
        sigma=_significant(reading.sigma, 3) if isinstance(reading, GaugeReading) else None,
        confidence=round(reading.confidence, 3) if reading is not None else None,
        status=status,
        reason=reason,
        seq=answer.frame.seq,
        model=answer.model,
    )


def iso(stamp_ns: int) -> str:
    """A wall-clock stamp as ``2026-11-25T23:17:00.123Z``; one out of all reason is moved in."""
    seconds, rest_ns = divmod(min(max(stamp_ns, 0), _YEAR_9999_NS), 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest_ns // 1_000_000:03d}Z"


def is_selected(message: Message, watches: Sequence[str]) -> bool:
    """Whether a message is an answer of a watch that `is_chosen`."""
    return isinstance(message, Answer) and is_chosen(message.watch, watches)


def is_chosen(watch: str, watches: Sequence[str]) -> bool:
    """Whether a watch is one of these; where none is named: whether it bears a name of its own.

    Watches that a command made for itself have names that nobody chose. They are left out
    unless they are asked for; so are answers of no watch.
    """
    if watches:
        return watch in watches
    return bool(watch) and not _GENERATED.fullmatch(watch)


def _rounded(value: Value, reading: object) -> Value:
    """A dial's value without the digits that mean nothing: two beyond its sigma."""
    if not isinstance(value, float) or not isinstance(reading, GaugeReading):
        return value
    if not reading.sigma or reading.sigma < 0:
        return _significant(value, 10)
    return round(value, 2 - math.floor(math.log10(reading.sigma)))


def _significant(value: float | None, digits: int) -> float | None:
    return None if value is None else float(f"{value:.{digits}g}")


def _reading_value(reading: GaugeReading | ClockReading) -> Value:
    if isinstance(reading, GaugeReading):
        return reading.value
    if reading.hour is None or reading.minute is None:
        return None
    second = "" if reading.second is None else f":{reading.second:02d}"
    return f"{reading.hour:02d}:{reading.minute:02d}{second}"


def _value(answer: Answer) -> Value:
    match answer.task:
        case "count":
            return answer.count
        case "point":
            return len(answer.points)
        case "extract":
            return msgspec.json.encode(answer.data).decode()
        case _:
            return answer.text

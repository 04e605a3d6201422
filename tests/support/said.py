"""What nodes say, for tests of those who listen."""

from __future__ import annotations

from typing import Any

import msgspec

from molmo_node.messages import (
    Answer,
    CameraHealth,
    ClockReading,
    GaugeReading,
    Point,
    Question,
    Status,
    Task,
    WatchSpec,
)
from tests.support import samples

BOILER = WatchSpec(name="boiler", question=Question.read_gauge("boiler"), camera="front")
HERTZ_10 = CameraHealth(name="front", alive=True, on_rate=True, valid=True, expected_hz=10.0)


def worker(**fields: Any) -> Status:
    """A ready worker that sees camera front and watches the boiler."""
    fields = {"cameras": (HERTZ_10,), "watches": (BOILER,), "model": "tiny", **fields}
    return msgspec.structs.replace(samples.STATUS, counters=fields.pop("counters", {}), **fields)


def camera(**fields: Any) -> Status:
    """Camera front by its own account."""
    health = fields.pop("health", HERTZ_10)
    fields = {"node": "camera.front", "kind": "camera", "last_frame_ns": 5, **fields}
    return msgspec.structs.replace(
        samples.STATUS, cameras=(health,), watches=(), counters={}, **fields
    )


def read(value: float | None, *, status: str = "ok", seq: int = 1, **fields: Any) -> Answer:
    """What the watch of the boiler gave."""
    reason = None if value is not None else "no_needle"
    told = status if value is not None else "refused"
    reading = GaugeReading(
        value=value, unit="bar", sigma=0.1, confidence=0.9, status=told, reason=reason, **fields
    )
    return Answer(
        task="read_gauge",
        query="boiler",
        watch="boiler",
        frame=msgspec.structs.replace(samples.REF, seq=seq, stamp_ns=1_700_000_000_000_000_000),
        width=1280,
        height=720,
        reading=reading,
        reason=reason,
    )


def watch(name: str, task: Task) -> WatchSpec:
    """A watch of camera front."""
    return WatchSpec(name=name, question=Question(task=task, text=name), camera="front")


def found(name: str, task: Task, count: int = 2) -> Answer:
    """What a watch that looks for things gave."""
    points = tuple(Point(x_px=10.0 * number, y_px=5.0) for number in range(count))
    return Answer(
        task=task, watch=name, query=name, frame=samples.REF, width=64, height=48, points=points,
        count=count if task == "count" else None,
    )  # fmt: skip


def clock_answer() -> Answer:
    """What a watch of a clock gave: 10:08:31."""
    return Answer(
        task="read_clock", watch="c", frame=samples.REF, width=64, height=48,
        reading=ClockReading(hour=10, minute=8, second=31, confidence=0.9),
    )  # fmt: skip


def text(name: str, words: str, reason: str | None = None) -> Answer:
    """What a watch that asks freely gave."""
    return Answer(
        task="ask", watch=name, frame=samples.REF, width=64, height=48, text=words, reason=reason
    )

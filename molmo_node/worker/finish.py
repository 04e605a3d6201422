"""The last touches on an answer before it leaves."""

from __future__ import annotations

import msgspec

from molmo_node.bus import limits, wire
from molmo_node.errors import ModelError
from molmo_node.messages import Answer

SMALL_FIELDS_BYTES = 16 * 1024  # all that is not counted below: a reading with its votes
POINT_BYTES = 64


def within_limit(answer: Answer) -> Answer | ModelError:
    """The answer, unless it is too long: sending it would cut off everybody who subscribed."""
    room_bytes = limits.ANSWER_BYTES - 2 * limits.ID_CHARS  # its id or watch comes later
    if _at_most_bytes(answer) <= room_bytes:
        return answer
    length = len(wire.encode(answer))
    if length <= room_bytes:
        return answer
    return ModelError(f"the engine's answer has {length} bytes, at most {room_bytes} are sent")


def _at_most_bytes(answer: Answer) -> int:
    """A bound that costs nothing, for all answers but very long ones."""
    if answer.data is not None:
        return limits.ANSWER_BYTES
    words = len(answer.text) + len(answer.query) + sum(len(p.label) for p in answer.points)
    return SMALL_FIELDS_BYTES + 4 * words + POINT_BYTES * len(answer.points)


def timed(answer: Answer, since_ns: int, started_ns: int, now_ns: int) -> Answer:
    """The answer with its time in the queue and in all; monotonic nanoseconds."""
    timing = msgspec.structs.replace(
        answer.timing_ms,
        wait=max(0.0, (started_ns - since_ns) / 1e6),
        total=(now_ns - since_ns) / 1e6,
    )
    return msgspec.structs.replace(answer, timing_ms=timing)

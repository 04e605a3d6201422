"""The one table of topics: what is sent, by whom, how large, how often, and what gives way.

Sockets, limits, metrics, `molmo-node topic list` and docs/PROTOCOL.md are derived from it.

On a PUB/SUB socket the first message part is the topic's key: its name and what it is about,
joined by slashes (``answer/front/read_gauge/boiler``), so that a prefix is a filter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from molmo_node.bus import limits
from molmo_node.messages import (
    Answer,
    ClientMessage,
    FrameHeader,
    Status,
    WorkerMessage,
)

Rule = Literal["keep_newest", "drop_newest_and_count", "reject_busy"]


@dataclass(frozen=True)
class Topic:
    """One row of the table.

    Attributes:
        name: the first word of the key.
        key: how the whole key is made.
        message: the type of the body (frames: of the header part).
        sender: the kind of node that sends it.
        rate_hz: what is expected while all is well; None means on demand.
        limit_bytes: the longest part a socket accepts.
        queue_length: messages a socket holds for one slow peer.
        when_full: what gives way then.
        is_recorded: whether a recording holds it.
        has_snapshot: whether a late subscriber gets the last message of each key at once.
    """

    name: str
    key: str
    message: object
    sender: str
    rate_hz: float | None
    limit_bytes: int
    queue_length: int
    when_full: Rule
    is_recorded: bool
    has_snapshot: bool = False


FRAME_RING = Topic(
    name="ring",
    key="ring/CAMERA",
    message=FrameHeader,
    sender="camera",
    rate_hz=30.0,
    limit_bytes=limits.HEADER_BYTES,
    queue_length=2,
    when_full="keep_newest",
    is_recorded=False,
)
FRAME_JPEG = Topic(
    name="jpeg",
    key="jpeg/CAMERA",
    message=FrameHeader,
    sender="camera",
    rate_hz=30.0,
    limit_bytes=limits.FRAME_BYTES,
    queue_length=2,
    when_full="keep_newest",
    is_recorded=True,
)
ANSWER = Topic(
    name="answer",
    key="answer/CAMERA/TASK/WATCH",
    message=Answer,
    sender="worker",
    rate_hz=None,
    limit_bytes=limits.ANSWER_BYTES,
    queue_length=256,
    when_full="drop_newest_and_count",
    is_recorded=True,
)
STATUS = Topic(
    name="status",
    key="status/NODE",
    message=Status,
    sender="every node",
    rate_hz=2.0,
    limit_bytes=limits.STATUS_BYTES,
    queue_length=64,
    when_full="drop_newest_and_count",
    is_recorded=True,
    has_snapshot=True,
)
QUERY = Topic(
    name="query",
    key="(request)",
    message=ClientMessage,
    sender="client",
    rate_hz=None,
    limit_bytes=limits.FRAME_BYTES,
    queue_length=limits.QUERIES_WAITING,
    when_full="reject_busy",
    is_recorded=False,
)
REPLY = Topic(
    name="reply",
    key="(reply)",
    message=WorkerMessage,
    sender="worker",
    rate_hz=None,
    limit_bytes=limits.ANSWER_BYTES,
    queue_length=256,
    when_full="drop_newest_and_count",
    is_recorded=False,
)

TOPICS: dict[str, Topic] = {
    topic.name: topic for topic in (FRAME_RING, FRAME_JPEG, ANSWER, STATUS, QUERY, REPLY)
}


def answer_key(camera: str, task: str, watch: str) -> bytes:
    """The key of an answer; one-shot answers have an empty watch."""
    return f"{ANSWER.name}/{camera}/{task}/{watch}".encode()


def status_key(node: str) -> bytes:
    """The key of a node's status."""
    return f"{STATUS.name}/{node}".encode()


def ring_key(camera: str) -> bytes:
    """The key of the notice that a camera's ring has a new frame."""
    return f"{FRAME_RING.name}/{camera}".encode()


def jpeg_key(camera: str) -> bytes:
    """The key of a camera's frames as JPEG."""
    return f"{FRAME_JPEG.name}/{camera}".encode()

"""Bytes to typed messages and back. Bad bytes raise ProtocolError and nothing else."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

from molmo_node.bus import limits
from molmo_node.errors import ProtocolError
from molmo_node.messages import (
    PROTOCOL_VERSION,
    Answer,
    ClientMessage,
    FrameHeader,
    Status,
    WorkerMessage,
)

T = TypeVar("T")
_ENCODER = msgspec.msgpack.Encoder()
# Bad UTF-8 and deep nesting are no DecodeError.
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError)


def encode(message: object) -> bytes:
    """A message as MessagePack."""
    return _ENCODER.encode(message)


class Decoder(Generic[T]):
    """Decodes one kind of message within a length limit.

    Args:
        kind: the msgspec type (or union of tagged types) that is accepted.
        limit_bytes: longer input is refused before it is looked at.
        what: what the sender calls it, for error messages.
    """

    def __init__(self, kind: Any, limit_bytes: int, what: str) -> None:
        self._decoder = msgspec.msgpack.Decoder(kind)
        self._limit_bytes = limit_bytes
        self._what = what

    def __call__(self, raw: bytes | memoryview) -> T:
        """Decode, or raise ProtocolError that says what was found, not what it held."""
        if len(raw) > self._limit_bytes:
            raise ProtocolError(
                f"{self._what} of {len(raw)} bytes, at most {self._limit_bytes} allowed"
            )
        try:
            message: T = self._decoder.decode(raw)
        except _UNREADABLE as exc:
            raise ProtocolError(f"not a {self._what}: {_first_line(exc)}") from exc
        version = getattr(message, "v", PROTOCOL_VERSION)
        if version != PROTOCOL_VERSION:
            raise ProtocolError(
                f"{self._what} of protocol {version}, this side speaks {PROTOCOL_VERSION}",
                hint="update the older side; docs/PROTOCOL.md lists the versions",
            )
        return message


class _Named(msgspec.Struct):
    id: str = ""


_NAMED = msgspec.msgpack.Decoder(_Named)


def id_of(raw: bytes) -> str:
    """The id in a message that was refused, so that its sender learns of it; empty if none."""
    try:
        return _NAMED.decode(raw).id[: limits.ID_CHARS]
    except _UNREADABLE:
        return ""


def _first_line(exc: Exception) -> str:
    if isinstance(exc, msgspec.ValidationError):
        return str(exc).splitlines()[0][:200]
    return type(exc).__name__


frame_header: Decoder[FrameHeader] = Decoder(FrameHeader, limits.HEADER_BYTES, "frame header")
client_message: Decoder[ClientMessage] = Decoder(
    ClientMessage, limits.QUERY_BYTES, "client message"
)
worker_message: Decoder[WorkerMessage] = Decoder(
    WorkerMessage, limits.STATUS_BYTES, "worker message"
)
answer: Decoder[Answer] = Decoder(Answer, limits.ANSWER_BYTES, "answer")
status: Decoder[Status] = Decoder(Status, limits.STATUS_BYTES, "status")

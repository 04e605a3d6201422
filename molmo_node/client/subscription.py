"""A stream of answers or of node states, as an iterator."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Generic, TypeVar

import zmq

from molmo_node.bus import wire
from molmo_node.bus.address import Address
from molmo_node.bus.broadcast import BROADCAST_PART
from molmo_node.bus.sockets import Transport
from molmo_node.bus.topics import ANSWER, STATUS
from molmo_node.bus.wire import Decoder
from molmo_node.errors import DeadlineExceeded, ProtocolError
from molmo_node.messages import Answer, Status

T = TypeVar("T", bound=Answer | Status)


class Stream(Generic[T]):
    """Decodes what a SUB socket gives, and drops what is no message or came before."""

    def __init__(self, decoder: Decoder[T]) -> None:
        self._decoder = decoder
        self._newest: dict[tuple[str, str], int] = {}
        self.rejected = 0

    def accept(self, parts: list[bytes]) -> T | None:
        """The message, or None if it is to be passed over."""
        try:
            if len(parts) != 2:
                raise ProtocolError(f"message of {len(parts)} parts, expected 2")
            message = self._decoder(parts[1])
        except ProtocolError:
            self.rejected += 1
            return None
        return message if self._is_new(message) else None

    def _is_new(self, message: T) -> bool:
        """A snapshot for a newcomer reaches all: the others have seen its number."""
        if not isinstance(message, Status):
            return True
        key = (message.node, message.session)
        if message.seq <= self._newest.get(key, -1):
            return False
        self._newest[key] = message.seq
        return True


def answer_stream() -> Stream[Answer]:
    """For sockets that subscribe to answers."""
    return Stream(wire.answer)


def status_stream() -> Stream[Status]:
    """For sockets that subscribe to status."""
    return Stream(wire.status)


def answer_prefix(camera: str | None, task: str | None, watch: str | None) -> bytes:
    """The longest key prefix that these filters allow; `fits` does the rest."""
    words = [ANSWER.name]
    for word in (camera, task, watch):
        if word is None:
            return ("/".join(words) + "/").encode()
        words.append(word)
    return "/".join(words).encode()


def fits(answer: Answer, camera: str | None, task: str | None, watch: str | None) -> bool:
    """Whether an answer passes the filters; None lets everything pass."""
    return (
        camera in (None, answer.frame.camera)
        and task in (None, answer.task)
        and watch in (None, answer.watch)
    )


def subscribe(transport: Transport, addresses: list[Address], prefix: bytes) -> zmq.Socket[bytes]:
    """A SUB socket that listens to the broadcasts of several nodes."""
    topic = STATUS if prefix.startswith(STATUS.name.encode()) else ANSWER
    socket = transport.connect(zmq.SUB, topic, addresses[0], BROADCAST_PART)
    for address in addresses[1:]:
        socket.connect(address.part(BROADCAST_PART))
    socket.subscribe(prefix)
    return socket


class Subscription(Generic[T]):
    """Messages as they come. Iterate in one thread; the queue is the socket's own.

    A reader that is too slow misses the newest messages (the sender drops them for it), and
    never slows the sender.

    Args:
        filters: camera, task and watch; None for any. Ignored for status.
        idle_s: iteration raises `DeadlineExceeded` after so long without a message; None
            waits for ever.
    """

    def __init__(
        self,
        socket: zmq.Socket[bytes],
        stream: Stream[T],
        filters: tuple[str | None, str | None, str | None] = (None, None, None),
        idle_s: float | None = None,
    ) -> None:
        self._socket = socket
        self._stream = stream
        self._filters = filters
        self._idle_s = idle_s

    def get(self, timeout_s: float | None = None) -> T:
        """The next message.

        Raises:
            DeadlineExceeded: none came within `timeout_s`.
        """
        until_s = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left_s = None if until_s is None else max(0.0, until_s - time.monotonic())
            if not self._socket.poll(None if left_s is None else int(left_s * 1e3)):
                raise DeadlineExceeded(f"no message came within {timeout_s} s")
            message = self._stream.accept(self._socket.recv_multipart())
            if message is not None and self._passes(message):
                return message

    def __iter__(self) -> Iterator[T]:
        while True:
            yield self.get(self._idle_s)

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()

    def __enter__(self) -> Subscription[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _passes(self, message: T) -> bool:
        return not isinstance(message, Answer) or fits(message, *self._filters)

"""A stream of answers or of node states, as an iterator."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

import zmq

from molmo_node.bus import wire
from molmo_node.bus.address import Address
from molmo_node.bus.broadcast import BROADCAST_PART
from molmo_node.bus.connection import Connection
from molmo_node.bus.poll import has_message, soonest_ms
from molmo_node.bus.sockets import Transport
from molmo_node.bus.topics import ANSWER, STATUS
from molmo_node.bus.wire import Decoder
from molmo_node.clock import SYSTEM_CLOCK, Clock
from molmo_node.errors import DeadlineExceeded, ProtocolError
from molmo_node.messages import Answer, Status

REMEMBERED = 1024
LOOK_MS = 500
T = TypeVar("T", bound=Answer | Status)


class Stream(Generic[T]):
    """Decodes what a SUB socket gives, and drops what is no message or came before.

    Attributes:
        rejected: what was no message.
        repeated: messages that had come before, or came after a newer one of their kind.
    """

    def __init__(self, decoder: Decoder[T]) -> None:
        self._decoder = decoder
        self._newest: dict[tuple[str, ...], int] = {}
        self._answered: OrderedDict[tuple[object, ...], None] = OrderedDict()
        self.rejected = 0
        self.repeated = 0

    def accept(self, parts: list[bytes]) -> T | None:
        """The message, or None if it is to be passed over."""
        try:
            if len(parts) != 2:
                raise ProtocolError(f"message of {len(parts)} parts, expected 2")
            message = self._decoder(parts[1])
        except ProtocolError:
            self.rejected += 1
            return None
        if self._is_new(message):
            return message
        self.repeated += 1
        return None

    def _is_new(self, message: T) -> bool:
        if isinstance(message, Status):
            # A snapshot for a newcomer reaches all: the others have seen its number.
            return self._is_newest((message.node, message.session), message.seq)
        frame = message.frame
        key = (message.id, message.watch, frame.camera, frame.session, frame.seq)
        if key in self._answered:
            return False
        self._answered[key] = None
        if len(self._answered) > REMEMBERED:
            self._answered.popitem(last=False)
        watched = (message.watch, frame.camera, frame.session)
        return not message.watch or self._is_newest(watched, frame.seq)

    def _is_newest(self, key: tuple[str, ...], seq: int) -> bool:
        if seq <= self._newest.get(key, -1):
            return False
        self._newest.pop(key, None)
        self._newest[key] = seq
        if len(self._newest) > REMEMBERED:
            del self._newest[next(iter(self._newest))]
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


def subscribe(transport: Transport, addresses: list[Address], prefix: bytes) -> Connection:
    """A connection to the broadcasts of several nodes.

    Args:
        addresses: all with keys, or all without: a socket speaks one of the two.
    """
    topic = STATUS if prefix.startswith(STATUS.name.encode()) else ANSWER
    connection = transport.connect_watched(zmq.SUB, topic, addresses[0], BROADCAST_PART)
    for address in addresses[1:]:
        connection.socket.connect(address.part(BROADCAST_PART))
    connection.socket.subscribe(prefix)
    return connection


class Around:
    """Connects a subscription to the nodes that start after it.

    Args:
        known: the addresses it is connected to already.
        find: gives those of all nodes that it should hear now.
    """

    def __init__(
        self,
        connection: Connection,
        known: Iterable[Address],
        find: Callable[[], list[Address]],
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._connection = connection
        self._known = set(known)
        self._find = find
        self._clock = clock
        self._looked_ns = 0

    def look(self) -> None:
        """Connect to those that are new; does nothing until `LOOK_MS` have passed."""
        now_ns = self._clock.mono_ns()
        if now_ns - self._looked_ns < LOOK_MS * 1_000_000:
            return
        self._looked_ns = now_ns
        for address in self._find():
            if address not in self._known:
                self._known.add(address)
                self._connection.socket.connect(address.part(BROADCAST_PART))


class Feed(Generic[T]):
    """What both kinds of subscription share: the connection, and what passes its filters.

    Args:
        filters: camera, task and watch; None for any. Ignored for status.
        around: looks for nodes that start later; None for a fixed set of them.
    """

    def __init__(
        self,
        connection: Connection,
        stream: Stream[T],
        filters: tuple[str | None, str | None, str | None],
        around: Around | None,
    ) -> None:
        self.connection = connection
        self._stream = stream
        self._filters = filters
        self._around = around

    def take(self) -> T | None:
        """The next message that is here already; None if there is none.

        Raises:
            NotConnected: a node refuses this process.
        """
        if self._around is not None:
            self._around.look()
        while has_message(self.connection.socket):
            message = self._stream.accept(self.connection.socket.recv_multipart(zmq.NOBLOCK))
            if message is not None and self._passes(message):
                return message
        if any(event.change == "refused" for event in self.connection.drain()):
            assert self.connection.refusal is not None
            raise self.connection.refusal
        return None

    def poll_ms(self, left_ms: float | None) -> int | None:
        """How long to wait for a message when `left_ms` are left; None: for ever."""
        if self._around is not None:
            left_ms = soonest_ms(left_ms, LOOK_MS)
        return soonest_ms(left_ms, self.connection.poll_ms())

    def _passes(self, message: T) -> bool:
        return not isinstance(message, Answer) or fits(message, *self._filters)


class Subscription(Generic[T]):
    """Messages as they come. Iterate in one thread; the queue is the socket's own.

    A reader that is too slow misses the newest messages (the sender drops them for it), and
    never slows the sender.

    Args:
        filters: camera, task and watch; None for any. Ignored for status.
        idle_s: iteration raises `DeadlineExceeded` after so long without a message; None
            waits for ever.
        around: looks for nodes that start later.
    """

    def __init__(
        self,
        connection: Connection,
        stream: Stream[T],
        filters: tuple[str | None, str | None, str | None] = (None, None, None),
        idle_s: float | None = None,
        around: Around | None = None,
    ) -> None:
        self._connection = connection
        self._feed = Feed(connection, stream, filters, around)
        self._idle_s = idle_s

    def get(self, timeout_s: float | None = None) -> T:
        """The next message.

        Raises:
            DeadlineExceeded: none came within `timeout_s`.
            NotConnected: a node refuses this process.
        """
        poller = zmq.Poller()
        for source in (self._connection.socket, self._connection.monitor):
            poller.register(source, zmq.POLLIN)
        until_s = None if timeout_s is None else time.monotonic() + timeout_s
        while (message := self._feed.take()) is None:
            left_ms = None if until_s is None else (until_s - time.monotonic()) * 1e3
            if left_ms is not None and left_ms <= 0:
                raise DeadlineExceeded(f"no message came within {timeout_s} s")
            poller.poll(self._feed.poll_ms(left_ms))
        return message

    def __iter__(self) -> Iterator[T]:
        while True:
            yield self.get(self._idle_s)

    def close(self) -> None:
        """Stop listening."""
        self._connection.close()

    def __enter__(self) -> Subscription[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

"""The queue of one-shot questions: bounded, fair between clients, with deadlines."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from molmo_node.bus import limits
from molmo_node.errors import Busy, ProtocolError
from molmo_node.messages import Encoding, Query

REMEMBERED = 1024
Image = tuple[Encoding, bytes]  # encoding, file bytes


@dataclass(eq=False)
class Asked:
    """A question in the worker's hands.

    Attributes:
        client: the ROUTER's name of who asked.
        image: the picture that came with it, for ``frame: attached``.
        arrived_ns, deadline_ns: monotonic.
        is_over: taken back, expired or answered: whatever comes for it later is dropped.
    """

    client: bytes
    query: Query
    arrived_ns: int
    deadline_ns: int
    image: Image | None = None
    is_started: bool = False
    is_over: bool = field(default=False)


class QueryQueue:
    """Waiting questions, in turns between clients. Belongs to one thread."""

    def __init__(
        self,
        most: int = limits.QUERIES_WAITING,
        most_per_client: int = limits.QUERIES_WAITING_PER_CLIENT,
    ) -> None:
        self._most = most
        self._most_per_client = most_per_client
        self._waiting: OrderedDict[bytes, deque[Asked]] = OrderedDict()
        self._seen: OrderedDict[tuple[bytes, str], None] = OrderedDict()

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._waiting.values())

    def __iter__(self) -> Iterator[Asked]:
        for queue in self._waiting.values():
            yield from queue

    def add(self, asked: Asked, wait_ms: float | None = None) -> int:
        """Take a question in.

        Args:
            wait_ms: the present estimate of the wait, passed on with `Busy`.

        Returns:
            How many wait before it.

        Raises:
            Busy: the queue, or this client's part of it, is full.
            ProtocolError: this client has used this id before.
        """
        key = (asked.client, asked.query.id)
        if key in self._seen:
            raise ProtocolError(f"query id {asked.query.id!r} was used before")
        ahead = len(self)
        if ahead >= self._most:
            raise Busy(f"{ahead} questions wait already", wait_ms=wait_ms)
        queue = self._waiting.get(asked.client, deque())
        if len(queue) >= self._most_per_client:
            raise Busy(f"{len(queue)} questions of yours wait already", wait_ms=wait_ms)
        if not queue and len(self._waiting) >= limits.CLIENTS:
            raise Busy(f"{len(self._waiting)} clients wait already", wait_ms=wait_ms)
        if self._picture_bytes() + _picture_bytes(asked) > limits.PICTURES_WAITING_BYTES:
            raise Busy("too many attached pictures wait already", wait_ms=wait_ms)
        self._waiting[asked.client] = queue
        queue.append(asked)
        self._seen[key] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return ahead

    def take(self, is_ready: Callable[[Asked], bool], most: int) -> list[Asked]:
        """Take the next batch out: one a client and round, as long as there is room.

        While several clients wait, each gets one place, so that a flood of one cannot stretch
        the batch that another's question waits for; a client alone gets all places.
        """
        taken: list[Asked] = []
        rounds = most if len(self._waiting) == 1 else 1
        for _ in range(rounds):
            for client in list(self._waiting):
                if len(taken) < most and (asked := self._next(client, is_ready)):
                    taken.append(asked)
        return taken

    def remove(self, is_gone: Callable[[Asked], bool]) -> list[Asked]:
        """Take out every question for which `is_gone` holds."""
        gone = [asked for asked in self if is_gone(asked)]
        for asked in gone:
            self._waiting[asked.client].remove(asked)
            self._forget_if_empty(asked.client)
        return gone

    def _next(self, client: bytes, is_ready: Callable[[Asked], bool]) -> Asked | None:
        queue = self._waiting.get(client, deque())
        asked = next((asked for asked in queue if is_ready(asked)), None)
        if asked is None:
            return None
        queue.remove(asked)
        self._waiting.move_to_end(client)
        self._forget_if_empty(client)
        return asked

    def _picture_bytes(self) -> int:
        return sum(_picture_bytes(asked) for asked in self)

    def _forget_if_empty(self, client: bytes) -> None:
        if not self._waiting[client]:
            del self._waiting[client]


def _picture_bytes(asked: Asked) -> int:
    return len(asked.image[1]) if asked.image else 0

"""The worker's front desk: takes questions from clients, and hands answers back."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable

import zmq

from molmo_node.bus import limits, wire
from molmo_node.bus.address import Address
from molmo_node.bus.monitor import PeerMonitor
from molmo_node.bus.poll import has_message
from molmo_node.bus.sockets import Transport
from molmo_node.bus.topics import QUERY
from molmo_node.clock import SYSTEM_CLOCK, Clock
from molmo_node.errors import (
    Busy,
    DeadlineExceeded,
    MolmoNodeError,
    ProtocolError,
    WorkerLost,
)
from molmo_node.messages import (
    Accepted,
    Answer,
    Cancel,
    ClientMessage,
    Error,
    Ping,
    Query,
    Started,
    Status,
    Unwatch,
    Watch,
    WatchSpec,
    WorkerMessage,
)
from molmo_node.worker.door import check_image, check_query, check_spec
from molmo_node.worker.queries import Asked, QueryQueue
from molmo_node.worker.watches import Watches

log = logging.getLogger(__name__)

QUERY_PART = 0
LAST_WORDS_MS = 50
RECEIVE_BATCH = 256  # then the rest of the node has its turn: a flood must not hold it up
PROBES_MS = (0, 50, 250)  # after a peer went: its route may outlive it for a moment


class Desk:
    """Owns the ROUTER socket, the queue and the watches. Belongs to one thread.

    Args:
        check: raises why a query cannot be answered here at all, or why not now (Busy).
        check_watch: raises why a watch cannot be answered here at all.
        wait_ms: estimates the wait for a place in the queue of that length.
        status: the worker's present status, for `ping`.
        queue: where questions wait.
    """

    def __init__(
        self,
        transport: Transport,
        address: Address,
        watches: Watches,
        check: Callable[[Query], None],
        check_watch: Callable[[WatchSpec], None],
        wait_ms: Callable[[int], float | None],
        status: Callable[[], Status],
        queue: QueryQueue,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._clock = clock
        self._check = check
        self._check_watch = check_watch
        self._wait_ms = wait_ms
        self._status = status
        self.watches = watches
        self.queue = queue
        self.working: list[Asked] = []
        self.counters: Counter[str] = Counter()
        self._probes_ns: list[int] = []
        self._last_words_ns: int | None = None
        self.socket = transport.bind(zmq.ROUTER, QUERY, address, QUERY_PART)
        # A client that reconnects keeps its name; one that is gone is an error, not silence.
        self.socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
        self.socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self.monitor = PeerMonitor(self.socket)

    def receive(self) -> None:
        """Take in what clients have sent, so many messages at most: the rest comes next turn."""
        for _ in range(RECEIVE_BATCH):
            if not has_message(self.socket):
                return
            parts = self.socket.recv_multipart(zmq.NOBLOCK)
            client, body = parts[0], parts[1:]
            try:
                self._handle(client, body)
            except MolmoNodeError as exc:
                self.counters["rejected" if isinstance(exc, ProtocolError) else exc.code] += 1
                self._send_error(client, wire.id_of(body[0]) if body else "", exc)

    def note_peers(self) -> None:
        """Plan to look for clients that have gone, when a connection broke."""
        changes = [event.change for event in self.monitor.drain()]
        self.counters["peers_refused"] += changes.count("refused")
        if "lost" in changes:
            now_ns = self._clock.mono_ns()
            self._probes_ns = [now_ns + delay * 1_000_000 for delay in PROBES_MS]

    def tend(self) -> None:
        """Do what time demands: expire queries and leases, drop clients that have gone."""
        now_ns = self._clock.mono_ns()
        while self._probes_ns and self._probes_ns[0] <= now_ns:
            self._probes_ns.pop(0)
            self._drop_gone_clients()
        for spec in self.watches.expire(now_ns):
            log.info("watch expired", extra={"watch": spec.name})
        for asked in self.queue.remove(lambda asked: asked.deadline_ns <= now_ns):
            self.refuse(asked, DeadlineExceeded("the deadline passed in the queue"))
        for asked in self.working:
            if not asked.is_over and asked.deadline_ns <= now_ns:
                self.refuse(asked, DeadlineExceeded("the deadline passed while the engine worked"))

    def next_event_ns(self) -> int | None:
        """When `tend` must be called next, monotonic; None if nothing waits for the time."""
        times = [asked.deadline_ns for asked in self.queue]
        times += [asked.deadline_ns for asked in self.working if not asked.is_over]
        return min(times + self._probes_ns[:1], default=None)

    def start(self, batch: list[Asked]) -> None:
        """Tell the askers that the engine works for them now."""
        self.working = batch
        for asked in batch:
            asked.is_started = True
            self._send(asked.client, Started(id=asked.query.id))

    def answer(self, asked: Asked, answer: Answer) -> None:
        """Send an answer, unless its asker has stopped waiting."""
        if asked.is_over:
            self.counters["late_answers"] += 1
            return
        asked.is_over = True
        self.counters["answered"] += 1
        self._send(asked.client, answer)

    def refuse(self, asked: Asked, error: MolmoNodeError) -> None:
        """Send why there is no answer, once."""
        if not asked.is_over:
            asked.is_over = True
            self.counters[error.code] += 1
            self._send_error(asked.client, asked.query.id, error)

    def refuse_begun(self, reason: str) -> None:
        """Refuse what is being worked on: the worker fails. The clients ask the rest again."""
        self._lose(self.working, reason)

    def refuse_all(self, reason: str) -> None:
        """Refuse what is being worked on and all that waits: the worker stops."""
        self._lose([*self.working, *self.queue.remove(lambda _: True)], reason)

    def _lose(self, lost: list[Asked], reason: str) -> None:
        for asked in lost:
            self.refuse(asked, WorkerLost(reason, hint="ask again when it is back"))

    def close(self) -> None:
        """Close after what was said is sent."""
        # Linger alone lost one in ten of the replies sent right before a close (libzmq 4.3.5).
        while (left_ms := self._grace_ms()) > 0:
            if self.socket.poll(left_ms):
                self.socket.recv_multipart()
        self.monitor.close()
        self.socket.close(linger=200)

    def _grace_ms(self) -> int:
        if self._last_words_ns is None:
            return 0
        return LAST_WORDS_MS - (self._clock.mono_ns() - self._last_words_ns) // 1_000_000

    def _handle(self, client: bytes, parts: list[bytes]) -> None:
        if not 1 <= len(parts) <= 2:
            raise ProtocolError(f"client message of {len(parts)} parts, expected 1 or 2")
        message: ClientMessage = wire.client_message(parts[0])
        match message:
            case Query():
                self._take_query(client, message, parts[1:])
            case Cancel(id=query_id):
                self._cancel(client, query_id)
            case Watch():
                self._take_watch(client, message)
            case Unwatch():
                self.watches.end(client, message.name)
                self._send(client, Accepted(id=message.id))
            case Ping():
                self._send(client, self._status())

    def _take_watch(self, client: bytes, message: Watch) -> None:
        check_spec(message.spec)
        self._check_watch(message.spec)
        lease_s = min(max(message.lease_s, limits.LEASE_MIN_S), limits.LEASE_S)
        until_ns = self._clock.mono_ns() + int(lease_s * 1e9)
        self.watches.lease(client, message.spec, until_ns)
        self._send(client, Accepted(id=message.id))

    def _take_query(self, client: bytes, query: Query, attached: list[bytes]) -> None:
        if self._holds(client, query.id):  # an error would end the question that stands
            self.counters["repeated"] += 1
            return
        self.counters["queries"] += 1
        check_query(query)
        image = check_image(attached) if query.frame == "attached" else None
        self._check(query)
        now_ns = self._clock.mono_ns()
        deadline_ns = now_ns + int(query.deadline_ms * 1e6)
        asked = Asked(client, query, now_ns, deadline_ns, image)
        wait_ms = self._wait_ms(len(self.queue))
        ahead = self.queue.add(asked, wait_ms)
        self._send(client, Accepted(id=query.id, position=ahead, wait_ms=wait_ms))

    def _holds(self, client: bytes, query_id: str) -> bool:
        standing = [*self.queue, *(asked for asked in self.working if not asked.is_over)]
        return any(one.client == client and one.query.id == query_id for one in standing)

    def _cancel(self, client: bytes, query_id: str) -> None:
        def is_it(asked: Asked) -> bool:
            return asked.client == client and asked.query.id == query_id

        for asked in [*self.queue.remove(is_it), *filter(is_it, self.working)]:
            asked.is_over = True
            self.counters["cancelled"] += 1

    def _drop_gone_clients(self) -> None:
        """Send something to every waiting client: the send fails for those that are gone."""
        waiting = {asked.client: asked for asked in self.queue}
        waiting |= {asked.client: asked for asked in self.working if not asked.is_over}
        for client, asked in waiting.items():
            probe = Started if asked.is_started else Accepted
            if not self._send(client, probe(id=asked.query.id)):
                self._drop(client)

    def _drop(self, client: bytes) -> None:
        gone = self.queue.remove(lambda asked: asked.client == client)
        gone += [asked for asked in self.working if asked.client == client]
        for asked in gone:
            asked.is_over = True
        self.counters["client_gone"] += len(gone)
        log.info("client gone", extra={"dropped": len(gone)})

    def _send_error(self, client: bytes, query_id: str, error: MolmoNodeError) -> None:
        wait_ms = error.wait_ms if isinstance(error, Busy) else None
        self._send(
            client,
            Error(
                id=query_id,
                code=error.code,
                message=error.message,
                hint=error.hint,
                wait_ms=wait_ms,
            ),
        )

    def _send(self, client: bytes, message: WorkerMessage) -> bool:
        """Send without blocking; False if the client is gone or does not read."""
        try:
            self.socket.send_multipart([client, wire.encode(message)], zmq.NOBLOCK)
        except zmq.ZMQError as exc:
            if exc.errno not in (zmq.EHOSTUNREACH, zmq.EAGAIN):
                raise
            self.counters["undeliverable"] += 1
            return False
        self._last_words_ns = self._clock.mono_ns()
        return True

"""A client's connection to the worker: one thread that owns its sockets.

Questions that the worker has not begun when it dies wait and are asked again of the next one;
one that it had begun fails with `WorkerLost` (or is asked again, if the caller said so). An
answer is handed over once, whatever arrives twice.
"""

from __future__ import annotations

import itertools
import logging
import queue
import threading
from collections.abc import Callable

import zmq

from molmo_node.bus import wire
from molmo_node.bus.address import Address
from molmo_node.bus.host import new_session
from molmo_node.bus.poll import has_message
from molmo_node.bus.sockets import Transport
from molmo_node.bus.topics import QUERY
from molmo_node.bus.wake import Wake
from molmo_node.client.request import Reply, Request, to_exception
from molmo_node.clock import SYSTEM_CLOCK, Clock
from molmo_node.errors import (
    Busy,
    DeadlineExceeded,
    MolmoNodeError,
    NotConnected,
    ProtocolError,
    WorkerLost,
)
from molmo_node.messages import (
    Accepted,
    Answer,
    Cancel,
    ClientMessage,
    Error,
    Started,
    Status,
    WorkerMessage,
)

log = logging.getLogger(__name__)

QUERY_PART = 0
TICK_MS = 500
GRACE_NS = 50_000_000  # the worker's own word on a deadline comes first
RENEW_NS = 1_000_000_000
ASK_AGAIN_NS = 200_000_000  # while the next worker loads


class Link:
    """The DEALER side of asking. Other threads call `ask`, `tell`, `keep` and `close`.

    Args:
        connect_s: how long a question waits for a first connection before it fails with
            `NotConnected`; a worker that was there once is waited for until the deadline.
    """

    def __init__(
        self,
        transport: Transport,
        address: Address,
        connect_s: float = 3.0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.address = address
        self._clock = clock
        self._connect_ns = int(connect_s * 1e9)
        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._requests: dict[str, Request] = {}
        self._kept: dict[str, Callable[[], ClientMessage]] = {}
        self._renewed_ns = 0
        self._session = new_session()
        self._numbers = itertools.count(1)  # `next` on it is atomic
        self._closing = threading.Lock()
        self._is_stopping = False
        self.is_connected = False
        self.was_connected = False
        self._wake = Wake()
        # Made here, so that missing keys are the caller's error; the thread has it from then on.
        # IMMEDIATE: nothing is queued for a worker that is not there.
        self._connection = transport.connect_watched(
            zmq.DEALER, QUERY, address, QUERY_PART, {int(zmq.IMMEDIATE): 1}, clock
        )
        self._socket = self._connection.socket
        self._thread = threading.Thread(target=self._run, name="client")
        self._thread.start()

    def new_id(self) -> str:
        """An id for a message, unique in this link's life."""
        return f"{self._session}-{next(self._numbers)}"

    def ask(self, request: Request) -> None:
        """Send a request as soon as a worker is there; its future tells the rest."""
        if not self._do(lambda: self._add(request)):
            request.fail(NotConnected("the client is closed"))

    def tell(self, message: ClientMessage) -> None:
        """Send a message that has no reply, if a worker is there."""

        def send() -> None:
            self._send([wire.encode(message)])

        self._do(send)

    def cancel(self, request: Request) -> None:
        """Take a question back."""

        def take_back() -> None:
            if self._requests.pop(request.id, None) is not None:
                self._send([wire.encode(Cancel(id=request.id))])

        self._do(take_back)

    def keep(self, name: str, make: Callable[[], ClientMessage] | None) -> None:
        """Send a message again and again, and to every new worker; None ends it (a lease)."""

        def change() -> None:
            if make is None:
                self._kept.pop(name, None)
            else:
                self._kept[name] = make

        self._do(change)

    def close(self) -> None:
        """Fail what waits, and end the thread; a second call does nothing."""
        with self._closing:
            if self._is_stopping:
                return
            self._is_stopping = True
            self._wake.set()
        self._thread.join()
        self._wake.close()

    def _do(self, command: Callable[[], None]) -> bool:
        """Have the thread do something; False if it has ended."""
        with self._closing:  # `close` frees the wake's descriptors, which others may get then
            if self._is_stopping:
                return False
            self._commands.put(command)
            self._wake.set()
            return True

    def _run(self) -> None:
        poller = zmq.Poller()
        for source in (self._socket, self._connection.monitor, self._wake):
            poller.register(source, zmq.POLLIN)
        try:
            while not self._is_stopping:
                poller.poll(self._poll_ms())
                self._wake.clear()
                self._receive()
                self._note_peers()
                self._obey()
                self._tend()
            self._obey()
        finally:
            for request in list(self._requests.values()):
                self._fail(request, NotConnected("the client was closed"))
            self._connection.close()

    def _obey(self) -> None:
        while not self._commands.empty():
            self._commands.get()()

    def _poll_ms(self) -> int:
        now_ns = self._clock.mono_ns()
        events = [request.deadline_ns + GRACE_NS for request in self._requests.values()]
        if not self.was_connected:
            events += [request.connect_until_ns for request in self._requests.values()]
        events += [r.send_after_ns for r in self._requests.values() if r.send_after_ns > now_ns]
        wait_ns = min(events, default=now_ns + TICK_MS * 1_000_000) - now_ns
        return max(0, min(TICK_MS, wait_ns // 1_000_000 + 1))

    def _add(self, request: Request) -> None:
        self._requests[request.id] = request
        request.connect_until_ns = self._clock.mono_ns() + self._connect_ns
        if self._connection.refusal is not None:
            self._fail(request, self._connection.refusal)
        else:
            self._try_send(request)

    def _try_send(self, request: Request) -> None:
        is_due = self._clock.mono_ns() >= request.send_after_ns
        if self.is_connected and not request.is_sent and is_due:
            request.is_sent = self._send(request.parts)

    def _send(self, parts: list[bytes]) -> bool:
        try:
            self._socket.send_multipart(parts, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def _note_peers(self) -> None:
        for event in self._connection.drain():
            if event.change == "connected":
                self.is_connected = self.was_connected = True
                self._renewed_ns = 0
                for request in self._requests.values():
                    self._try_send(request)
            elif event.change == "lost" and self.is_connected:
                self._on_lost()
            elif event.change == "refused" and self._connection.refusal is not None:
                for request in list(self._requests.values()):
                    self._fail(request, self._connection.refusal)

    def _on_lost(self) -> None:
        self.is_connected = False
        self._receive()  # what the worker said before it died counts
        for request in list(self._requests.values()):
            if request.is_started and not request.retries:
                self._fail(
                    request,
                    WorkerLost(
                        "the worker died or was stopped while it worked on this question",
                        hint="ask again; `molmo-node node list` shows whether it is back",
                    ),
                )
            elif request.is_sent:
                request.retries -= request.is_started
                request.is_sent = request.is_started = False
                request.is_again = True

    def _receive(self) -> None:
        while has_message(self._socket):
            try:
                self._handle(wire.worker_message(self._socket.recv(zmq.NOBLOCK)))
            except ProtocolError as exc:
                log.warning("reply rejected", extra={"why": exc.message})

    def _handle(self, message: WorkerMessage) -> None:
        if isinstance(message, Status):
            for asking in [r for r in self._requests.values() if r.awaits == "status"]:
                self._resolve(asking, message)
        elif (request := self._requests.get(message.id)) is not None:
            self._handle_reply(request, message)
        elif isinstance(message, Error):  # of a renewal, or of a message without an id
            log.warning("worker refuses", extra={"code": message.code, "why": message.message})

    def _handle_reply(self, request: Request, message: Accepted | Started | Answer | Error) -> None:
        if isinstance(message, Started):
            request.is_started = True
        elif isinstance(message, Error):
            self._handle_error(request, to_exception(message))
        elif isinstance(message, Answer) or request.awaits == "accepted":
            self._resolve(request, message)

    def _handle_error(self, request: Request, error: MolmoNodeError) -> None:
        if isinstance(error, Busy) and request.is_again:  # it waited before, and goes on to wait
            request.is_sent = False
            request.send_after_ns = self._clock.mono_ns() + ASK_AGAIN_NS
        else:
            self._fail(request, error)

    def _resolve(self, request: Request, message: Reply) -> None:
        del self._requests[request.id]
        if request.future.set_running_or_notify_cancel():
            request.future.set_result(message)

    def _fail(self, request: Request, error: MolmoNodeError) -> None:
        del self._requests[request.id]
        request.fail(error)

    def _tend(self) -> None:
        now_ns = self._clock.mono_ns()
        if self.is_connected and now_ns - self._renewed_ns >= RENEW_NS:
            self._renewed_ns = now_ns
            for make in self._kept.values():
                self._send([wire.encode(make())])
        for request in list(self._requests.values()):
            if now_ns >= request.deadline_ns + GRACE_NS:
                self._fail(request, self._overdue(request))
                if request.is_sent:
                    self._send([wire.encode(Cancel(id=request.id))])
            elif not self.was_connected and now_ns >= request.connect_until_ns:
                self._fail(request, self._unreachable())
            elif not request.is_sent:
                self._try_send(request)

    def _overdue(self, request: Request) -> MolmoNodeError:
        if not self.was_connected:
            return self._unreachable()
        where = "the worker did not answer in time" if request.is_sent else "no worker was there"
        return DeadlineExceeded(f"the deadline passed: {where}")

    def _unreachable(self) -> MolmoNodeError:
        return NotConnected(
            f"no worker at {self.address.part(QUERY_PART)}",
            hint="start one with `molmo-node up` or `molmo-node worker`",
        )

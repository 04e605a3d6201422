"""Answers and states as they come, from the worker and from nodes that start later."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

import zmq

from molmo_node.bus.address import Address, node_address
from molmo_node.bus.broadcast import status_filter
from molmo_node.bus.poll import has_message
from molmo_node.bus.rundir import default_run_dir
from molmo_node.bus.sockets import Security, Transport
from molmo_node.bus.topics import ANSWER, STATUS
from molmo_node.client.core import node_addresses
from molmo_node.client.subscription import Around, answer_stream, status_stream, subscribe
from molmo_node.clock import SYSTEM_CLOCK, Clock
from molmo_node.errors import NotConnected
from molmo_node.messages import Answer, Status

log = logging.getLogger(__name__)

POLL_MS = 200


class News:
    """One subscription to everything that nodes say of themselves, and to all answers.

    Belongs to one thread, which polls `sockets` for at most `POLL_MS` and then calls `take`
    until it gives None.

    Attributes:
        refusal: who refuses this process, if somebody does.
    """

    def __init__(
        self, transport: Transport, worker: Address, run_dir: Path, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._statuses, self._answers = status_stream(), answer_stream()
        self._connection = subscribe(transport, [worker], f"{ANSWER.name}/".encode())
        self._connection.socket.subscribe(status_filter())
        self._around = Around(
            self._connection,
            [worker],
            lambda: node_addresses(transport.security, worker, run_dir),
            clock,
        )
        self.sockets = (self._connection.socket, self._connection.monitor)
        self.refusal: NotConnected | None = None

    @property
    def rejected(self) -> int:
        """Messages that were none."""
        return self._statuses.rejected + self._answers.rejected

    def take(self) -> Answer | Status | None:
        """The next message that is here already; None if there is none."""
        self._around.look()
        while has_message(self._connection.socket):
            parts = self._connection.socket.recv_multipart(zmq.NOBLOCK)
            is_status = parts[0].startswith(f"{STATUS.name}/".encode())
            message = (self._statuses if is_status else self._answers).accept(parts)
            if message is not None:
                return message
        self._connection.drain()
        self.refusal = self._connection.refusal
        return None

    def close(self) -> None:
        """Stop listening."""
        self._connection.close()


class NewsThread:
    """`News` in a thread of its own, for programs that wait for something else.

    Args:
        on_message: called in that thread; it must not block.
        address: the worker's base address; None: this host's worker.
        run_dir: this host's sockets; None for the default.
        security: keys, when the worker is on another host.
    """

    def __init__(
        self,
        on_message: Callable[[Answer | Status], None],
        address: str | None = None,
        *,
        run_dir: Path | None = None,
        security: Security | None = None,
    ) -> None:
        self._on_message = on_message
        self._run_dir = run_dir or default_run_dir()
        self._worker = Address(address) if address else node_address(self._run_dir, "worker")
        self._transport = Transport(security)
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="news")

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def close(self) -> None:
        """Stop listening and wait for the thread."""
        self._is_stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._transport.close()

    def __enter__(self) -> NewsThread:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        news = News(self._transport, self._worker, self._run_dir)
        poller = zmq.Poller()
        for socket in news.sockets:
            poller.register(socket, zmq.POLLIN)
        try:
            while not self._is_stopping.is_set():
                poller.poll(POLL_MS)
                while (message := news.take()) is not None:
                    self._on_message(message)
        except Exception:
            log.exception("the news end here")
        finally:
            news.close()

"""A sink as a process of its own: listens on the bus, and says there how it does."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import zmq

from molmo_node.bus.address import Address, node_address
from molmo_node.bus.broadcast import Broadcaster
from molmo_node.bus.lock import NodeEntry, NodeLock
from molmo_node.bus.rundir import ensure_run_dir
from molmo_node.bus.sockets import Security, Transport
from molmo_node.bus.wake import Wake
from molmo_node.client.news import POLL_MS, News
from molmo_node.client.view import NodeView
from molmo_node.messages import NodeState
from molmo_node.sinks.base import Sink
from molmo_node.sinks.pump import Pump, PumpState

EXIT_FAILED = 1


@dataclass(frozen=True)
class SinkOptions:
    """What a sink's process needs to know.

    Attributes:
        kind: a row of `kinds.KINDS`; the node is called ``sink.KIND``.
        worker: where answers are published.
        buffer: messages that may wait for the way out.
    """

    kind: str
    worker: Address
    run_dir: Path
    buffer: int
    security: Security = field(default_factory=Security)


class SinkNode:
    """One sink. `run` blocks until `stop`.

    Args:
        make: gives the sink; called at once, so that a wrong setting is an error here.

    Raises:
        ConfigError: the same kind runs here already, or a setting cannot be used.
    """

    def __init__(self, options: SinkOptions, make: Callable[[NodeView], Sink]) -> None:
        name = f"sink.{options.kind}"
        run_dir = ensure_run_dir(options.run_dir)
        self._is_stopping = False
        self._view = NodeView()
        with ExitStack() as undo:
            address = node_address(run_dir, name)
            self._lock = NodeLock(run_dir, NodeEntry(name, "client", os.getpid(), address.text))
            undo.callback(self._lock.release)
            self._wake = Wake()
            undo.callback(self._wake.close)
            self._transport = Transport(options.security)
            undo.callback(self._transport.close)
            self._out = Broadcaster(self._transport, address, name, "client")
            undo.callback(self._out.close)
            self._news = News(self._transport, options.worker, run_dir)
            undo.callback(self._news.close)
            self._sink = make(self._view)
            undo.pop_all()
        self._pump = Pump(options.kind, self._sink, self._view, options.buffer, self._wake.set)

    def stop(self) -> None:
        """End `run` soon; safe in a signal handler and from any thread."""
        self._is_stopping = True
        self._wake.set()

    def run(self) -> int:
        """Work until stopped; returns the process's exit code: 1 if a fault of ours ended it."""
        poller = zmq.Poller()
        for source in (*self._news.sockets, self._out.socket, self._wake):
            poller.register(source, zmq.POLLIN)
        self._pump.start()
        try:
            while not self._is_stopping and self._pump.is_running:
                poller.poll(POLL_MS)
                self._wake.clear()
                self._listen()
                self._out.welcome()
                self._report()
        finally:
            self._close()
        return 0 if self._is_stopping else EXIT_FAILED

    def _listen(self) -> None:
        while (message := self._news.take()) is not None:
            self._view.note(message)
            if self._sink.wants(message):
                self._pump.put(message)

    def _report(self) -> None:
        pump = self._pump.state()
        state, detail = self._words(pump)
        if (state, detail) == (self._out.status.state, self._out.status.detail) and (
            not self._out.is_due()
        ):
            return
        counters = {
            "delivered": pump.delivered,
            "dropped": pump.dropped,
            "rejected": self._news.rejected,
        }
        self._out.report(state, detail=detail, queue_length=pump.waiting, counters=counters)

    def _words(self, pump: PumpState) -> tuple[NodeState, str]:
        if pump.error is not None:
            return "degraded", str(pump.error)
        if self._news.refusal is not None:
            return "degraded", str(self._news.refusal)
        return ("ready", "") if pump.has_worked else ("starting", "")

    def _close(self) -> None:
        self._pump.stop()
        self._news.close()
        self._out.close()
        self._transport.close()
        self._wake.close()
        self._lock.release()

"""What every node of this host said last: the supervisor's eyes."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import zmq

from molmo_node.bus.address import Address
from molmo_node.bus.broadcast import BROADCAST_PART, status_filter
from molmo_node.bus.lock import running_nodes
from molmo_node.bus.rundir import ensure_run_dir
from molmo_node.bus.sockets import Transport
from molmo_node.bus.topics import STATUS
from molmo_node.cli.session import security_of, worker_address
from molmo_node.client.subscription import status_stream

if TYPE_CHECKING:
    from molmo_node.config import Settings
    from molmo_node.messages import Status

LOOK_MS = 200
SILENT_S = 3.0
SILENT_LOADING_S = 60.0
READY = ("ready", "busy", "degraded")


class StatusBoard:
    """Listens to the status of all nodes in a run_dir, in a thread of its own.

    A process named ``worker``, ``camera-NAME`` or ``sink-KIND`` is the node ``worker``,
    ``camera.NAME`` or ``sink.KIND``.
    """

    def __init__(self, settings: Settings) -> None:
        self._run_dir = ensure_run_dir(settings.run_dir)
        self._worker = worker_address(settings)
        self._transport = Transport(security_of(settings))
        self._newest: dict[str, tuple[float, Status]] = {}
        self._pids: dict[str, int] = {}
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="status-board")

    def __enter__(self) -> StatusBoard:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_stopping.set()
        self._thread.join()
        self._transport.close()

    def is_ready(self, process: str) -> bool:
        """Whether a process has said that it serves."""
        found = self._found(process)
        return found is not None and found[1].state in READY

    def was_up(self, process: str) -> bool:
        """Whether a process of this name was ever heard of."""
        return node_of(process) in self._newest

    def hang_reason(self, process: str) -> str | None:
        """Why a process that lives is taken for hung: it has fallen silent. None if it is well."""
        found = self._found(process)
        if found is None or found[1].state in ("stopped", "failed"):
            return None
        heard_s, status = found
        limit_s = SILENT_LOADING_S if status.state == "loading" else SILENT_S
        silent_s = time.monotonic() - heard_s
        return f"silent for {silent_s:.1f} s" if silent_s > limit_s else None

    def _found(self, process: str) -> tuple[float, Status] | None:
        """When and what the living process said last; the words of a dead one do not count."""
        node = node_of(process)
        found = self._newest.get(node)
        return found if found is not None and found[1].pid == self._pids.get(node) else None

    def _run(self) -> None:
        stream = status_stream()
        socket = self._transport.connect(zmq.SUB, STATUS, self._worker, BROADCAST_PART)
        socket.subscribe(status_filter())
        known = {self._worker.text}
        while not self._is_stopping.is_set():
            entries = running_nodes(self._run_dir)
            self._pids = {entry.node: entry.pid for entry in entries}
            for entry in entries:
                if entry.address not in known:
                    known.add(entry.address)
                    socket.connect(Address(entry.address).part(BROADCAST_PART))
            while socket.poll(LOOK_MS) and not self._is_stopping.is_set():
                status = stream.accept(socket.recv_multipart())
                if status is not None:
                    self._newest[status.node] = (time.monotonic(), status)
        socket.close()


def node_of(process: str) -> str:
    """The node that a process of the launch list is."""
    for kind in ("camera", "sink"):
        if process.startswith(f"{kind}-"):
            return process.replace("-", ".", 1)
    return process

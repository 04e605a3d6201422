"""What every node said last, and what is wrong with it in a person's words."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import zmq

from molmo_node.bus.address import Address
from molmo_node.bus.broadcast import BROADCAST_PART, status_filter
from molmo_node.bus.lock import running_nodes
from molmo_node.bus.poll import has_message
from molmo_node.bus.sockets import Transport
from molmo_node.bus.topics import STATUS
from molmo_node.client.subscription import Stream, status_stream
from molmo_node.config import Settings
from molmo_node.messages import Status
from molmo_node.web.cameras import camera_address

SILENT_S = 2.0
"""A node says something twice a second; after so long without a word it counts as lost."""
FORGOTTEN_S = 600.0
MOST_NODES = 128
WORKER = "worker"


@dataclass
class Heard:
    """A node's last word, and when it came (monotonic seconds)."""

    status: Status
    at_s: float

    @property
    def silent_s(self) -> float:
        """Seconds since it said something."""
        return time.monotonic() - self.at_s

    @property
    def is_lost(self) -> bool:
        """Whether it fell silent without saying goodbye."""
        return self.silent_s > SILENT_S and self.status.state not in ("stopped", "failed")


class NodeBoard:
    """Listens to the status of the worker, of this host's nodes and of configured cameras.

    Belongs to one thread, which calls `look` often and `discover` now and then.

    Args:
        tell: is given each status as it comes.
    """

    def __init__(
        self,
        transport: Transport,
        settings: Settings,
        worker: Address,
        tell: Callable[[Status], None],
    ) -> None:
        self._tell = tell
        self._transport = transport
        self._settings = settings
        self._stream: Stream[Status] = status_stream()
        self._sockets: dict[bool, zmq.Socket[bytes]] = {}  # with keys, and without
        self._known: set[str] = set()
        self.heard: dict[str, Heard] = {}
        self._connect(worker)
        for camera in settings.cameras:
            self._connect(camera_address(settings, camera))

    @property
    def worker(self) -> Heard | None:
        """The worker's last word."""
        return self.heard.get(WORKER)

    def discover(self) -> None:
        """Listen to the nodes that came to life on this host, and forget those long gone."""
        for entry in running_nodes(self._settings.run_dir):
            self._connect(Address(entry.address))
        gone = [name for name, heard in self.heard.items() if heard.silent_s > FORGOTTEN_S]
        for name in gone:
            del self.heard[name]

    def look(self) -> bool:
        """Take in what was said; whether there was anything."""
        has_news = False
        for socket in self._sockets.values():
            while has_message(socket):
                status = self._stream.accept(socket.recv_multipart(zmq.NOBLOCK))
                if status is None:
                    continue
                self._tell(status)
                if status.node in self.heard or len(self.heard) < MOST_NODES:
                    self.heard[status.node] = Heard(status, time.monotonic())
                    has_news = True
        return has_news

    def close(self) -> None:
        """Stop listening."""
        for socket in self._sockets.values():
            socket.close()

    def _connect(self, address: Address) -> None:
        if address.text in self._known:
            return
        self._known.add(address.text)
        covered = self._transport.security.covers(address)
        socket = self._sockets.get(covered)
        if socket is None:
            socket = self._transport.connect(zmq.SUB, STATUS, address, BROADCAST_PART)
            socket.subscribe(status_filter())
            self._sockets[covered] = socket
        else:
            socket.connect(address.part(BROADCAST_PART))


def node_json(heard: Heard) -> dict[str, Any]:
    """A node as the page shows it."""
    status = heard.status
    return {
        "node": status.node,
        "kind": status.kind,
        "state": "lost" if heard.is_lost else status.state,
        "detail": status.detail,
        "pid": status.pid,
        "silent_s": round(heard.silent_s, 1),
        "counters": status.counters,
    }

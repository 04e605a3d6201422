"""Everything that the nodes around say: frames, answers, states, as they come.

For whoever passes all of it on (a recorder, a viewer): a subscriber like any other, which the
nodes do not notice. Nodes of this host are found by themselves, now and when they come.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zmq

from molmo_node.bus.address import Address
from molmo_node.bus.broadcast import BROADCAST_PART, status_filter
from molmo_node.bus.connection import Connection
from molmo_node.bus.frames import Frame
from molmo_node.bus.lock import running_nodes
from molmo_node.bus.poll import has_message
from molmo_node.bus.receiver import FrameReceiver
from molmo_node.bus.sockets import Transport
from molmo_node.bus.topics import ANSWER
from molmo_node.client.subscription import answer_prefix, answer_stream, status_stream
from molmo_node.messages import Answer, FrameHeader, Status

LOOK_S = 0.5
POLL_MS = 100
# So many messages of one node are taken in before the next one's turn.
_TURN = 256
_CAMERA_PREFIX = "camera."

News = Frame | Answer | Status


@dataclass
class _Camera:
    """A camera whose frames are taken: `shown` is the last one that was given."""

    receiver: FrameReceiver
    shown: FrameHeader | None = None


class Tap:
    """Subscribes to all nodes. Belongs to one thread.

    Args:
        run_dir: where nodes of this host are looked for.
        workers: workers known beforehand, here or on other hosts.
        cameras: cameras known beforehand, by name.
        wants: whether a camera's frames are to be taken now; asked again all the time.
    """

    def __init__(
        self,
        transport: Transport,
        run_dir: Path,
        workers: Sequence[Address],
        cameras: Mapping[str, Address],
        wants: Callable[[str], bool],
    ) -> None:
        self._transport = transport
        self._run_dir = run_dir
        self._places = dict(cameras)
        self._wants = wants
        self._nodes: dict[str, Connection] = {}
        self._cameras: dict[str, _Camera] = {}
        self._answers, self._statuses = answer_stream(), status_stream()
        self._looked_s = 0.0
        for address in (*workers, *cameras.values()):
            self._listen(address)
        self._look()

    @property
    def cameras(self) -> list[str]:
        """The cameras that are known, in the order they became known."""
        return list(self._places)

    def counters(self) -> dict[str, int]:
        """``missed``: frames that were sent and not taken; ``rejected``: what was no message.

        May be called from any thread.
        """
        stats = [camera.receiver.stats for camera in list(self._cameras.values())]
        return {
            "missed": sum(one.gaps for one in stats),
            "rejected": sum(one.rejected for one in stats)
            + self._answers.rejected
            + self._statuses.rejected,
        }

    def take(self, timeout_ms: int = POLL_MS) -> list[News]:
        """What has come; waits up to `timeout_ms` for the first."""
        self._look()
        poller = zmq.Poller()
        for socket in self._sockets():
            poller.register(socket, zmq.POLLIN)
        readable = dict(poller.poll(timeout_ms))
        news: list[News] = []
        for camera in self._cameras.values():
            camera.receiver.pump(readable)
            news.extend(_newest(camera))
        for connection in self._nodes.values():
            connection.drain()
            news.extend(self._heard(connection))
        return news

    def close(self) -> None:
        """Stop listening."""
        for camera in self._cameras.values():
            camera.receiver.close()
        for connection in self._nodes.values():
            connection.close()

    def _sockets(self) -> list[zmq.Socket[bytes]]:
        found = [socket for one in self._cameras.values() for socket in one.receiver.sockets]
        for connection in self._nodes.values():
            found += [connection.socket, connection.monitor]
        return found

    def _look(self) -> None:
        """Find nodes that are new, and take up or leave cameras as they are wanted."""
        if time.monotonic() - self._looked_s >= LOOK_S:
            self._looked_s = time.monotonic()
            for entry in running_nodes(self._run_dir):
                self._listen(Address(entry.address))
                if entry.kind == "camera":
                    name = entry.node.removeprefix(_CAMERA_PREFIX)
                    self._places.setdefault(name, Address(entry.address))
        for name, address in self._places.items():
            if self._wants(name) and name not in self._cameras:
                self._cameras[name] = _Camera(self._receiver(name, address))
            elif name in self._cameras and not self._wants(name):
                self._cameras.pop(name).receiver.close()

    def _receiver(self, name: str, address: Address) -> FrameReceiver:
        return FrameReceiver(self._transport, address, name, has_thread=False)

    def _listen(self, address: Address) -> None:
        if address.text in self._nodes:
            return
        connection = self._transport.connect_watched(zmq.SUB, ANSWER, address, BROADCAST_PART)
        connection.socket.subscribe(answer_prefix(None, None, None))
        connection.socket.subscribe(status_filter())
        self._nodes[address.text] = connection

    def _heard(self, connection: Connection) -> list[News]:
        news: list[News] = []
        for _ in range(_TURN):
            if not has_message(connection.socket):
                break
            parts: list[Any] = connection.socket.recv_multipart(zmq.NOBLOCK)
            is_status = parts[0].startswith(status_filter())
            message = (self._statuses if is_status else self._answers).accept(parts)
            if message is not None:
                news.append(message)
        return news


def _newest(camera: _Camera) -> list[Frame]:
    """The camera's newest frame, if it was not given before."""
    announced, shown = camera.receiver.newest, camera.shown
    if announced is None or (shown is not None and announced.ref == shown.ref):
        return []
    frame = camera.receiver.take()
    if frame is None or (shown is not None and frame.header.ref == shown.ref):
        return []
    camera.shown = frame.header
    return [frame]

"""Turns libzmq's socket events into the three that matter: a peer came, went, was refused."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import zmq
from zmq.utils.monitor import parse_monitor_message

from molmo_node.bus.poll import has_message

PeerChange = Literal["connected", "lost", "refused"]

_KINDS: dict[int, PeerChange] = {
    int(zmq.Event.HANDSHAKE_SUCCEEDED): "connected",
    int(zmq.Event.DISCONNECTED): "lost",
    int(zmq.Event.HANDSHAKE_FAILED_NO_DETAIL): "refused",
    int(zmq.Event.HANDSHAKE_FAILED_PROTOCOL): "refused",
    int(zmq.Event.HANDSHAKE_FAILED_AUTH): "refused",
}


BROKEN_HANDSHAKES = 3


@dataclass(frozen=True)
class PeerEvent:
    """A change of one connection. `endpoint` is as libzmq names it (the remote, if known)."""

    change: PeerChange
    endpoint: str


class PeerMonitor:
    """Watches one socket. Belongs to the socket's thread; poll `socket` for readability."""

    def __init__(self, watched: zmq.Socket[bytes]) -> None:
        self._watched = watched
        self._has_keys = watched.mechanism == zmq.CURVE
        self._broken: Counter[str] = Counter()
        events = 0
        for event in _KINDS:
            events |= event
        self.socket: zmq.Socket[bytes] = watched.get_monitor_socket(events)

    def drain(self) -> list[PeerEvent]:
        """All events since the last call, oldest first."""
        events: list[PeerEvent] = []
        while has_message(self.socket):
            fields = parse_monitor_message(self.socket.recv_multipart(zmq.NOBLOCK))
            endpoint = fields["endpoint"].decode(errors="replace")
            if change := self._change(int(fields["event"]), endpoint):
                events.append(PeerEvent(change, endpoint))
        return events

    def _change(self, event: int, endpoint: str) -> PeerChange | None:
        if event == zmq.Event.HANDSHAKE_SUCCEEDED:
            self._broken.pop(endpoint, None)
        if event == zmq.Event.HANDSHAKE_FAILED_NO_DETAIL and not self._has_keys:
            # Without keys a handshake also breaks because the peer dies in it; again and again
            # it breaks where the peer wants keys (and was faster than our reading of it).
            self._broken[endpoint] += 1
            return "refused" if self._broken[endpoint] >= BROKEN_HANDSHAKES else None
        return _KINDS.get(event)

    def close(self) -> None:
        """Stop watching; the watched socket stays open."""
        self._watched.disable_monitor()
        self.socket.close(linger=0)

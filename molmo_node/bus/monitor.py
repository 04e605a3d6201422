"""Turns libzmq's socket events into the three that matter: a peer came, went, was refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import zmq
from zmq.utils.monitor import parse_monitor_message

PeerChange = Literal["connected", "lost", "refused"]

_KINDS: dict[int, PeerChange] = {
    int(zmq.Event.HANDSHAKE_SUCCEEDED): "connected",
    int(zmq.Event.DISCONNECTED): "lost",
    int(zmq.Event.HANDSHAKE_FAILED_NO_DETAIL): "refused",
    int(zmq.Event.HANDSHAKE_FAILED_PROTOCOL): "refused",
    int(zmq.Event.HANDSHAKE_FAILED_AUTH): "refused",
}


@dataclass(frozen=True)
class PeerEvent:
    """A change of one connection. `endpoint` is as libzmq names it (the remote, if known)."""

    change: PeerChange
    endpoint: str


class PeerMonitor:
    """Watches one socket. Belongs to the socket's thread; poll `socket` for readability."""

    def __init__(self, watched: zmq.Socket[bytes]) -> None:
        self._watched = watched
        events = 0
        for event in _KINDS:
            events |= event
        self.socket: zmq.Socket[bytes] = watched.get_monitor_socket(events)

    def drain(self) -> list[PeerEvent]:
        """All events since the last call, oldest first."""
        events: list[PeerEvent] = []
        while True:
            try:
                parts = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return events
            fields = parse_monitor_message(parts)
            if change := _KINDS.get(int(fields["event"])):
                endpoint = fields["endpoint"].decode(errors="replace")
                events.append(PeerEvent(change, endpoint))

    def close(self) -> None:
        """Stop watching; the watched socket stays open."""
        self._watched.disable_monitor()

"""PUB with a memory: who joins late gets the last message of every snapshot topic at once."""

from __future__ import annotations

import os
from typing import Any, Literal

import msgspec
import zmq

from molmo_node.bus import wire
from molmo_node.bus.address import Address
from molmo_node.bus.host import host_id, new_session
from molmo_node.bus.poll import has_message
from molmo_node.bus.sockets import Transport
from molmo_node.bus.topics import ANSWER, STATUS, status_key
from molmo_node.clock import SYSTEM_CLOCK, Clock
from molmo_node.messages import Answer, NodeState, Status

BROADCAST_PART = 1
HEARTBEAT_NS = 500_000_000


class Broadcaster:
    """A node's own status, and a worker's answers, to whoever subscribes.

    Belongs to one thread, which polls `socket` and calls `welcome` when it is readable, and
    calls `report` whenever `is_due`.
    """

    def __init__(
        self,
        transport: Transport,
        address: Address,
        node: str,
        kind: Literal["camera", "worker", "supervisor", "client"],
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._clock = clock
        self.status = Status(
            node=node,
            kind=kind,
            session=new_session(),
            seq=0,
            stamp_ns=0,
            mono_ns=0,
            host=host_id(),
            pid=os.getpid(),
            state="starting",
        )
        self._snapshots: dict[bytes, bytes] = {}
        self.socket = transport.bind(zmq.XPUB, ANSWER, address, BROADCAST_PART)
        # Every subscription is told to us, not only the first of its kind.
        self.socket.setsockopt(zmq.XPUB_VERBOSE, 1)
        self.report()

    def report(self, state: NodeState | None = None, **fields: Any) -> None:
        """Change the status and publish it."""
        if state is not None:
            fields["state"] = state
        self.status = msgspec.structs.replace(
            self.status,
            seq=self.status.seq + 1,
            stamp_ns=self._clock.wall_ns(),
            mono_ns=self._clock.mono_ns(),
            **fields,
        )
        key, body = status_key(self.status.node), wire.encode(self.status)
        self._snapshots[key] = body
        self._send(key, body)

    def is_due(self) -> bool:
        """Whether nothing was said for half a second."""
        return self._clock.mono_ns() - self.status.mono_ns >= HEARTBEAT_NS

    def publish(self, key: bytes, answer: Answer) -> None:
        """Send an answer to those who subscribed to it."""
        self._send(key, wire.encode(answer))

    def welcome(self) -> None:
        """Send the snapshots that new subscribers asked for; the others see a known `seq`."""
        while has_message(self.socket):
            message = self.socket.recv(zmq.NOBLOCK)
            if message[:1] == b"\x01":
                for key, body in self._snapshots.items():
                    if key.startswith(message[1:]):
                        self._send(key, body)

    def close(self, keeps_state: bool = False) -> None:
        """Say goodbye and close; `keeps_state` leaves the last state as the last word."""
        if not keeps_state and self.status.state not in ("failed", "stopped"):
            self.report("stopped")
        self.socket.close(linger=100)

    def _send(self, key: bytes, body: bytes) -> None:
        # XPUB drops for a peer whose queue is full and never blocks; the peer sees the gap in seq.
        self.socket.send_multipart([key, body], zmq.NOBLOCK)


def status_filter(node: str = "") -> bytes:
    """What to subscribe to for the status of one node, or of all."""
    return status_key(node) if node else f"{STATUS.name}/".encode()

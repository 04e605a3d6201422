"""A worker's ROUTER in the test's hands: it says what it is told to, when it is told to."""

from __future__ import annotations

from typing import Any

import zmq

from molmo_node.bus import wire
from molmo_node.bus.address import Address
from molmo_node.bus.sockets import Transport
from molmo_node.bus.topics import QUERY
from molmo_node.messages import Answer, Query
from tests.support import samples
from tests.support.waiting import wait_for


class FakeWorker:
    """Listens at an address as a worker does."""

    def __init__(self, transport: Transport, address: Address) -> None:
        self._transport = transport
        self._address = address
        self.client = b""
        self.socket = transport.bind(zmq.ROUTER, QUERY, address)
        self.socket.setsockopt(zmq.ROUTER_MANDATORY, 1)

    def hear(self, kind: type, within_s: float = 3.0) -> Any:
        """The next message of that kind; others are passed over."""

        def heard() -> Any:
            if not self.socket.poll(50):
                return None
            self.client, body, *_ = self.socket.recv_multipart()
            message = wire.client_message(body)
            return message if isinstance(message, kind) else None

        return wait_for(heard, within_s, f"a {kind.__name__}")

    def hears_nothing(self, within_s: float = 0.1) -> bool:
        """Whether no message comes for so long."""
        return not self.socket.poll(int(within_s * 1e3))

    def say(self, message: object) -> None:
        """Send to whoever spoke last."""
        self.socket.send_multipart([self.client, wire.encode(message)])

    def die(self) -> None:
        """Close; what was heard is forgotten."""
        self.socket.close()

    def come_back(self) -> None:
        """Listen again at the same place."""
        self.__init__(self._transport, self._address)  # type: ignore[misc]


def answer_to(query: Query, text: str = "here") -> Answer:
    """An answer without content."""
    return Answer(
        id=query.id, task=query.question.task, frame=samples.REF, width=64, height=48, text=text
    )

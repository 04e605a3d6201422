"""A peer that dies in mid-handshake is no peer that refuses us, unless it does so for ever."""

from __future__ import annotations

import socket

import pytest
import zmq

from molmo_node.bus.address import Address
from molmo_node.bus.monitor import BROKEN_HANDSHAKES
from molmo_node.bus.sockets import Transport
from molmo_node.bus.topics import QUERY

pytestmark = pytest.mark.process


@pytest.mark.parametrize(
    ("times", "is_refusal"), [(BROKEN_HANDSHAKES - 1, False), (BROKEN_HANDSHAKES, True)]
)
def test_handshake_that_breaks_is_called_a_refusal_only_in_the_end(times, is_refusal) -> None:
    transport = Transport()
    changes = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = Address(f"tcp://127.0.0.1:{listener.getsockname()[1]}")
        connection = transport.connect_watched(zmq.DEALER, QUERY, address)
        for _ in range(times):  # it connects again each time
            peer, _ = listener.accept()
            peer.close()
            before = len(changes)
            while len(changes) == before and connection.monitor.poll(2_000):
                changes += [event.change for event in connection.drain()]
        while connection.monitor.poll(50):
            changes += [event.change for event in connection.drain()]
    connection.close()
    transport.close()

    assert ("refused" in changes) == is_refusal

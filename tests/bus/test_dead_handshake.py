"""A peer that dies in mid-handshake is no peer that refuses us."""

from __future__ import annotations

import socket

import pytest
import zmq

from molmo_node.bus.address import Address
from molmo_node.bus.sockets import Transport
from molmo_node.bus.topics import QUERY

pytestmark = pytest.mark.process


def test_connection_that_breaks_in_the_handshake_is_not_called_refused() -> None:
    transport = Transport()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = Address(f"tcp://127.0.0.1:{listener.getsockname()[1]}")
        connection = transport.connect_watched(zmq.DEALER, QUERY, address)
        changes = []
        for _ in range(3):  # it connects again each time
            peer, _ = listener.accept()
            peer.close()
            if connection.monitor.poll(2_000):
                changes += [event.change for event in connection.drain()]
    connection.close()
    transport.close()

    assert "lost" in changes
    assert "refused" not in changes

"""A peer that dies in mid-handshake is no peer that refuses us."""

from __future__ import annotations

import socket

import pytest
import zmq

from molmo_node.bus.address import Address
from molmo_node.bus.monitor import PeerMonitor
from molmo_node.bus.sockets import Transport
from molmo_node.bus.topics import QUERY

pytestmark = pytest.mark.process


def test_connection_that_breaks_in_the_handshake_is_not_called_refused() -> None:
    transport = Transport()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = Address(f"tcp://127.0.0.1:{listener.getsockname()[1]}")
        monitors: list[PeerMonitor] = []
        dealer = transport.connect(
            zmq.DEALER, QUERY, address, before=lambda one: monitors.append(PeerMonitor(one))
        )
        changes = []
        for _ in range(3):  # it connects again each time
            peer, _ = listener.accept()
            peer.close()
            if monitors[0].socket.poll(2_000):
                changes += [event.change for event in monitors[0].drain()]
    monitors[0].close()
    dealer.close()
    transport.close()

    assert "lost" in changes
    assert "refused" not in changes

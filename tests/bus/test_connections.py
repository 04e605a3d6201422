"""Connections are told of from the very first."""

from __future__ import annotations

from pathlib import Path

import pytest
import zmq

from molmo_node.bus.address import Address
from molmo_node.bus.poll import has_message
from molmo_node.bus.sockets import Transport
from molmo_node.bus.topics import QUERY

CONNECTIONS = 50
WITHIN_MS = 2_000


@pytest.mark.process
def test_no_connection_escapes_the_monitor_of_its_socket(tmp_path: Path) -> None:
    transport = Transport()
    address = Address(f"ipc://{tmp_path}/node")
    listener = transport.bind(zmq.ROUTER, QUERY, address)
    seen = []
    try:
        for _ in range(CONNECTIONS):
            connection = transport.connect_watched(zmq.DEALER, QUERY, address)
            assert connection.monitor.poll(WITHIN_MS), f"no event of connection {len(seen) + 1}"
            seen += [event.change for event in connection.drain()]
            connection.close()
    finally:
        listener.close()
        transport.close()

    assert seen == ["connected"] * CONNECTIONS


@pytest.mark.process
def test_a_socket_says_whether_it_has_a_message(tmp_path: Path) -> None:
    transport = Transport()
    address = Address(f"ipc://{tmp_path}/node")
    listener = transport.bind(zmq.ROUTER, QUERY, address)
    socket = transport.connect(zmq.DEALER, QUERY, address)
    try:
        before = has_message(listener)
        socket.send(b"hello")
        assert listener.poll(WITHIN_MS)
        assert (before, has_message(listener)) == (False, True)
        listener.recv_multipart()
        assert not has_message(listener)
    finally:
        socket.close()
        listener.close()
        transport.close()

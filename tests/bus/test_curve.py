"""Who has no key that the node allows gets one clear error, and does not storm."""

from __future__ import annotations

import dataclasses

import pytest
import zmq

from molmo_node.bus import connection as connections
from molmo_node.bus.address import Address
from molmo_node.bus.broadcast import BROADCAST_PART, Broadcaster
from molmo_node.bus.keys import new_key, revoke_key
from molmo_node.bus.monitor import PeerMonitor
from molmo_node.bus.sockets import Security
from molmo_node.bus.topics import STATUS
from molmo_node.client.subscription import Subscription, status_stream, subscribe
from molmo_node.errors import NotConnected
from molmo_node.messages import Status
from tests.support.clocks import FakeClock
from tests.support.frames import free_ports
from tests.support.transports import KeepingTransport
from tests.support.waiting import wait_for


@pytest.fixture
def keys_dir(tmp_path):
    for name in ("node", "robot"):
        new_key(tmp_path / "keys", name)
    return tmp_path / "keys"


@pytest.fixture
def server(keys_dir):
    """A node that demands keys; `address` is where it listens."""
    transport = KeepingTransport(Security("required", keys_dir))
    address = Address(f"tcp://127.0.0.1:{free_ports()}")
    out = Broadcaster(transport, address, "worker", "worker")
    out.address = address
    yield out
    out.close()
    transport.close()


@pytest.fixture
def open_transport():
    made = []

    def make(security):
        made.append(KeepingTransport(security))
        return made[-1]

    yield make
    for transport in made:
        transport.close()


def other_keys(tmp_path, keys_dir, case):
    """The security of somebody who must not get in."""
    robot = Security("required", keys_dir, key="robot")
    if case == "plain":
        return Security("off")
    if case == "revoked":
        stolen = tmp_path / "stolen"
        stolen.mkdir()
        for name in ("robot.key", "robot.key_secret", "node.key"):
            (stolen / name).write_bytes((keys_dir / name).read_bytes())
            (stolen / name).chmod(0o600)
        revoke_key(keys_dir, "robot")
        return dataclasses.replace(robot, keys_dir=stolen)
    new_key(tmp_path / "other", "robot")
    if case == "unknown":
        other = dataclasses.replace(robot, keys_dir=tmp_path / "other")
        return dataclasses.replace(other, server_key=keys_dir / "node.key")
    assert case == "wrong server key"
    return dataclasses.replace(robot, server_key=tmp_path / "other" / "robot.key")


def follow(transport, address, idle_s=None):
    """A subscription to all status of the node at `address`."""
    connection = subscribe(transport, [address], b"status/")
    return Subscription(connection, status_stream(), idle_s=idle_s)


def serve_until(server, condition, within_s=2.0):
    def turn():
        server.welcome()
        return condition()

    return wait_for(turn, within_s, "the other side's turn")


@pytest.mark.process
def test_an_allowed_peer_gets_in(server, keys_dir, open_transport):
    transport = open_transport(Security("required", keys_dir, key="robot"))
    with follow(transport, server.address) as statuses:
        serve_until(server, lambda: statuses._connection.socket.poll(0))
        status = statuses.get(timeout_s=1)
    assert isinstance(status, Status)


CASES = ["plain", "unknown", "revoked", "wrong server key"]


@pytest.mark.process
@pytest.mark.parametrize("case", CASES)
def test_a_refused_subscriber_learns_where_and_with_which_key(
    server, keys_dir, tmp_path, open_transport, case
):
    security = other_keys(tmp_path, keys_dir, case)
    statuses = follow(open_transport(security), server.address)
    with statuses, pytest.raises(NotConnected) as caught:
        statuses.get(timeout_s=1)
    assert server.address.part(BROADCAST_PART) in caught.value.message
    assert repr(security.key) in caught.value.message


@pytest.mark.process
@pytest.mark.parametrize("case", CASES)
def test_a_refused_peer_does_not_storm(server, keys_dir, tmp_path, open_transport, case):
    clock = FakeClock()
    transport = open_transport(other_keys(tmp_path, keys_dir, case))
    at_server = PeerMonitor(server.socket)
    knocks = []
    knocking = transport.connect_watched(
        zmq.SUB, STATUS, server.address, BROADCAST_PART, clock=clock
    )

    wait_for(lambda: [e for e in knocking.drain() if e.change == "refused"], 1.0, "a refusal")
    # Twenty times as long as libzmq waits between two tries of its own.
    until = wait_until_quiet(knocking, at_server, knocks)

    assert until == 0
    assert len(knocks) <= 5
    clock.advance(connections.RETRY_NS / 1e9)
    wait_for(lambda: [e for e in knocking.drain() if e.change == "refused"], 1.0, "a new try")
    knocking.close()
    at_server.close()


def wait_until_quiet(knocking, at_server, knocks):
    """Polls both monitors for a second of silence at the server; returns what came then."""
    while at_server.socket.poll(1000):
        knocks += [event for event in at_server.drain() if event.change == "refused"]
        knocking.drain()
        assert len(knocks) < 20, "it storms"
    return len(at_server.drain())


@pytest.mark.process
def test_the_refusal_is_over_when_the_key_is_allowed(server, keys_dir, tmp_path, open_transport):
    clock = FakeClock()
    security = other_keys(tmp_path, keys_dir, "unknown")
    transport = open_transport(security)
    knocking = transport.connect_watched(
        zmq.SUB, STATUS, server.address, BROADCAST_PART, clock=clock
    )
    wait_for(lambda: knocking.drain() and knocking.refusal, 1.0, "a refusal")

    allowed = keys_dir / "allowed" / "newcomer.key"
    allowed.write_bytes((security.keys_dir / "robot.key").read_bytes())
    clock.advance(connections.RETRY_NS / 1e9)
    assert knocking.poll_ms() == 1

    wait_for(lambda: [e for e in knocking.drain() if e.change == "connected"], 1.0, "a way in")
    assert knocking.refusal is None
    assert knocking.poll_ms() is None
    knocking.close()

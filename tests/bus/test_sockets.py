"""Every socket has its limits, and nothing goes beyond this host without keys."""

from __future__ import annotations

import socket as sockets

import pytest
import zmq

from molmo_node.bus import limits
from molmo_node.bus.address import Address
from molmo_node.bus.sockets import Security, Transport
from molmo_node.bus.topics import ANSWER, FRAME_JPEG, QUERY, REPLY, STATUS
from molmo_node.errors import ConfigError
from tests.support.frames import free_ports


@pytest.fixture
def address(run_dir):
    return Address(f"ipc://{run_dir}/n")


@pytest.mark.parametrize(
    ("kind", "topic", "sends", "receives", "part_bytes"),
    [
        (zmq.XPUB, FRAME_JPEG, FRAME_JPEG, FRAME_JPEG, limits.SUBSCRIPTION_BYTES),
        (zmq.XPUB, ANSWER, ANSWER, ANSWER, limits.SUBSCRIPTION_BYTES),
        (zmq.SUB, FRAME_JPEG, FRAME_JPEG, FRAME_JPEG, limits.FRAME_BYTES),
        (zmq.SUB, ANSWER, ANSWER, ANSWER, limits.ANSWER_BYTES),
        (zmq.SUB, STATUS, STATUS, STATUS, limits.STATUS_BYTES),
        (zmq.ROUTER, QUERY, REPLY, QUERY, limits.FRAME_BYTES),
        (zmq.DEALER, QUERY, QUERY, REPLY, limits.ANSWER_BYTES),
    ],
)
@pytest.mark.parametrize("way", ["bind", "connect"])
def test_every_socket_has_the_limits_of_its_topic(
    transport, address, kind, topic, sends, receives, part_bytes, way
):
    socket = getattr(transport, way)(kind, topic, address)
    assert socket.sndhwm == sends.queue_length
    assert socket.rcvhwm == receives.queue_length
    assert socket.maxmsgsize == part_bytes
    assert socket.linger == 0
    assert socket.getsockopt(zmq.TCP_KEEPALIVE) == 1
    assert socket.heartbeat_ivl == 0  # see bus.sockets._notice_dead_links


@pytest.mark.parametrize("text", ["tcp://0.0.0.0:5760", "tcp://*:5760", "tcp://10.1.2.3:5760"])
@pytest.mark.parametrize("way", ["bind", "connect"])
def test_nothing_goes_beyond_this_host_without_keys(transport, text, way):
    with pytest.raises(ConfigError, match="no keys"):
        getattr(transport, way)(zmq.SUB, STATUS, Address(text))


@pytest.mark.parametrize("mode", ["auto", "required"])
@pytest.mark.parametrize("way", ["bind", "connect"])
def test_keys_that_are_missing_are_a_config_error_at_once(tmp_path, mode, way):
    transport = Transport(Security(mode=mode, keys_dir=tmp_path))
    with pytest.raises(ConfigError, match="keys new"):
        getattr(transport, way)(zmq.SUB, STATUS, Address("tcp://10.1.2.3:5760"))
    transport.close()


def test_a_taken_port_is_named(transport):
    port = free_ports()
    taken = pytest.raises(ConfigError, match=f"127.0.0.1:{port}: address already in use")
    with sockets.create_server(("127.0.0.1", port)), taken:
        transport.bind(zmq.XPUB, STATUS, Address(f"tcp://127.0.0.1:{port}"))


def test_a_port_of_ip_version_6_can_be_listened_at(transport):
    socket = transport.bind(zmq.XPUB, STATUS, Address(f"tcp://[::1]:{free_ports()}"))
    assert socket.last_endpoint.startswith(b"tcp://[::1]:")


@pytest.mark.parametrize(
    ("mode", "text", "is_covered"),
    [
        ("off", "tcp://127.0.0.1:5760", False),
        ("auto", "tcp://127.0.0.1:5760", False),
        ("auto", "tcp://10.1.2.3:5760", True),
        ("required", "tcp://127.0.0.1:5760", True),
        ("required", "ipc:///run/n", False),
    ],
)
def test_the_mode_says_which_sockets_use_keys(mode, text, is_covered):
    assert Security(mode=mode).covers(Address(text)) is is_covered


def test_a_subscription_longer_than_any_key_is_cut_off(transport, address):
    publisher = transport.bind(zmq.XPUB, FRAME_JPEG, address)
    subscriber = transport.connect(zmq.SUB, FRAME_JPEG, address)
    subscriber.subscribe(b"x" * (limits.SUBSCRIPTION_BYTES + 1))
    honest = transport.connect(zmq.SUB, FRAME_JPEG, address)
    honest.subscribe(b"jpeg/front")
    assert publisher.poll(2000)
    assert publisher.recv() == b"\x01jpeg/front"

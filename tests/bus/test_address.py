"""Addresses are checked when they are made."""

from __future__ import annotations

from pathlib import Path

import pytest

from molmo_node.bus.address import IPC_PATH_BYTES, Address, node_address
from molmo_node.errors import ConfigError


@pytest.mark.parametrize(
    "text",
    [
        "",
        "front",
        "tcp://",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:",
        "tcp://127.0.0.1:0",
        "tcp://127.0.0.1:65535",
        "tcp://127.0.0.1:99999",
        "tcp://[::1:5760",
        "udp://127.0.0.1:5760",
        "ipc://",
        "ipc://relative/path",
        "ipc://@everybody",
        "ipc:///" + "x" * IPC_PATH_BYTES,
    ],
)
def test_what_is_no_address_is_a_config_error(text):
    with pytest.raises(ConfigError):
        Address(text)


@pytest.mark.parametrize(
    ("text", "is_loopback"),
    [
        ("ipc:///run/worker", True),
        ("tcp://127.0.0.1:5760", True),
        ("tcp://127.8.9.1:5760", True),
        ("tcp://localhost:5760", True),
        ("tcp://[::1]:5760", True),
        ("tcp://0.0.0.0:5760", False),
        ("tcp://*:5760", False),
        ("tcp://192.168.1.4:5760", False),
        ("tcp://[fe80::1]:5760", False),
        ("tcp://localhost.evil.example:5760", False),
        ("tcp://camera-3:5760", False),
    ],
)
def test_an_address_knows_who_can_reach_it(text, is_loopback):
    assert Address(text).is_loopback is is_loopback


def test_the_parts_of_a_node_lie_side_by_side():
    assert Address("ipc:///run/w").part(1) == "ipc:///run/w.1"
    assert Address("tcp://[::1]:5760").part(1) == "tcp://[::1]:5761"


def test_a_nodes_own_address_begins_at_the_root():
    assert node_address(Path("run"), "worker").path == str(Path("run").absolute() / "worker")

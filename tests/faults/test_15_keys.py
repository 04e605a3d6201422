"""Row 15: wrong keys, revoked keys and no keys, at a worker that requires them."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from molmo_node.bus.sockets import Security
from molmo_node.client import Client
from molmo_node.errors import MolmoNodeError, NotConnected
from tests.support.machine import within
from tests.support.relay import Relay
from tests.support.stack import Stack
from tests.support.waiting import wait_for

pytestmark = pytest.mark.process

TOLD_S = 1.0
KNOCK_S, KNOCKS = 10.0, 5


def keys(*words: str, folder: Path) -> str:
    """`molmo-node keys …` as a person runs it."""
    argv = [sys.executable, "-m", "molmo_node", "keys", *words, "--folder", str(folder)]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def is_open(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Plant:
    """A worker that requires keys, a relay before it, and the clients' keys."""

    def __init__(self, stack: Stack) -> None:
        self.keys_dir = stack.folder / "keys"
        self.other_dir = stack.folder / "other"
        for name in ("node", "robot", "fired"):
            keys("new", name, folder=self.keys_dir)
        for name in ("node", "robot"):
            keys("new", name, folder=self.other_dir)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        script = stack.file("s.yaml", "answers: [{reply: here}]")
        settings = {
            "worker": {"model": f"scripted:{script}", "endpoint": f"tcp://127.0.0.1:{port}"},
            "security": {"transport_security": "required", "keys_dir": str(self.keys_dir)},
        }
        config = stack.file("w.yaml", yaml.safe_dump(settings))
        self.worker = stack.start("worker", "worker", "-c", str(config))
        stack.camera()
        self._stack = stack
        self.relays: list[Relay] = []
        self.port = port
        wait_for(lambda: is_open(port), 15, f"a worker that listens\n{stack.output()}")

    def client(self, security: Security | None) -> Client:
        """A client through a relay of its own, so that its connections can be counted."""
        self.relays.append(Relay(self.port))
        address = f"tcp://127.0.0.1:{self.relays[-1].port}"
        return self._stack.client(security, address=address)

    def allowed(self) -> Security:
        return Security("required", self.keys_dir, key="robot")

    def refused(self) -> dict[str, Security | None]:
        """Everyone who must not get in, and why."""
        fired_dir = self._stack.folder / "fired"
        fired_dir.mkdir()
        for name in ("fired.key", "fired.key_secret", "node.key"):
            (fired_dir / name).write_bytes((self.keys_dir / name).read_bytes())
        (fired_dir / "fired.key_secret").chmod(0o600)
        keys("revoke", "fired", folder=self.keys_dir)
        node_key = self.keys_dir / "node.key"
        return {
            "unknown key": Security("required", self.other_dir, "robot", server_key=node_key),
            "revoked key": Security("required", fired_dir, "fired"),
            "wrong server key": Security(
                "required", self.keys_dir, "robot", server_key=self.other_dir / "node.key"
            ),
            "plain client": None,
        }


@pytest.fixture
def plant(stack: Stack) -> Iterator[Plant]:
    plant = Plant(stack)
    yield plant
    for relay in plant.relays:
        relay.close()


def refusal(client: Client) -> tuple[MolmoNodeError, float]:
    """What a client without entry is told, and after how long."""
    from_s = time.monotonic()
    with pytest.raises(NotConnected) as caught:
        client.point("mug", timeout_s=10)
    return caught.value, time.monotonic() - from_s


@pytest.mark.timeout(90)
def test_only_allowed_keys_get_in_and_the_others_are_told(plant: Plant) -> None:
    allowed = plant.client(plant.allowed())
    wait_for(lambda: allowed.status().state == "ready", 15, "a ready worker")
    wait_for(lambda: [one for one in allowed.status().cameras if one.alive], 10, "a camera")
    assert allowed.point("mug").text == "here"

    told_s, relays = [], {}
    from_s = time.monotonic()
    for case, security in plant.refused().items():
        client = plant.client(security)
        error, took_s = refusal(client)
        told_s.append(took_s)
        relays[case] = relay = plant.relays[-1]
        print(f"{case}: {took_s * 1e3:.0f} ms, {error}")
        assert f"tcp://127.0.0.1:{relay.port}" in error.message
        assert (security.key if security else "key") in error.message
        assert error.hint
    wait_for(lambda: time.monotonic() - from_s > KNOCK_S, KNOCK_S + 10, "ten seconds of knocking")

    knocks = {case: relay.connections for case, relay in relays.items()}
    print(f"connections in {KNOCK_S:.0f} s and more: {knocks}")
    assert max(knocks.values()) <= KNOCKS
    counters = allowed.status().counters
    assert counters["peers_refused"] >= len(knocks)
    assert allowed.point("mug").text == "here"
    within("slowest word of a refusal", max(told_s), TOLD_S)


def test_key_file_that_others_may_read_is_refused(stack: Stack) -> None:
    keys_dir = stack.folder / "keys"
    keys("new", "node", folder=keys_dir)
    secret = keys_dir / "node.key_secret"
    assert secret.stat().st_mode & 0o777 == 0o600
    secret.chmod(0o644)
    settings = {
        "worker": {"endpoint": "tcp://127.0.0.1:45999"},
        "security": {"transport_security": "required", "keys_dir": str(keys_dir)},
    }

    worker = stack.start(
        "worker", "worker", "-c", str(stack.file("w.yaml", yaml.safe_dump(settings)))
    )

    assert worker.wait(15) == 2
    assert "is open to others" in worker.output
    assert f"chmod 600 {secret}" in worker.output

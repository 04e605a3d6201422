"""A real MQTT broker on loopback, and somebody who listens to it."""

from __future__ import annotations

import getpass
import json
import shutil
import signal
import socket
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.waiting import wait_for

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
needs_mosquitto = pytest.mark.skipif(
    MOSQUITTO is None, reason="no mosquitto: apt-get install --no-install-recommends mosquitto"
)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Broker:
    """mosquitto with a port of its own that it keeps when it starts again.

    Args:
        remembers: retained messages and sessions outlive an end in order; else nothing does.
    """

    def __init__(
        self, folder: Path, extra: str = "allow_anonymous true", *, remembers: bool = False
    ) -> None:
        self.port = free_port()
        self._config = folder / f"mosquitto-{self.port}.conf"
        # As root it would become another user, who cannot read the files of a test.
        user = f"user {getpass.getuser()}"
        memory = f"persistence true\npersistence_location {folder}/" if remembers else ""
        self._config.write_text(f"listener {self.port} 127.0.0.1\n{memory}\n{user}\n{extra}\n")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        assert MOSQUITTO is not None
        self._process = subprocess.Popen(
            [MOSQUITTO, "-c", str(self._config)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_for(self._listens, 10, "a broker that listens")

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGKILL) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(20)

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False


@dataclass(frozen=True)
class Heard:
    """One message, and when it came (monotonic)."""

    topic: str
    words: str
    at_s: float

    @property
    def data(self) -> Any:
        return json.loads(self.words)


class Listener:
    """Subscribes to everything, and comes back when the broker does.

    Args:
        session: a name under which the broker keeps for it what it misses; empty: nothing.
    """

    def __init__(self, port: int, session: str = "") -> None:
        self.heard: list[Heard] = []
        self.port = port
        self._subscribed = threading.Event()
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=session, clean_session=not session
        )
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe("#", 1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._note
        self._client.connect_async("127.0.0.1", port, keepalive=60)
        self._client.loop_start()
        wait_for(self._subscribed.is_set, 10, "a subscription")

    def of(self, topic: str) -> list[Heard]:
        """Messages whose topic ends so, in the order in which they came."""
        return [heard for heard in list(self.heard) if heard.topic.endswith(topic)]

    def last(self, topic: str) -> str:
        found = self.of(topic)
        return found[-1].words if found else ""

    def wait(self, topic: str, words: str | None = None, within_s: float = 15) -> Heard:
        """The newest message of a topic, once it says that."""

        def said() -> Heard | None:
            found = self.of(topic)
            return found[-1] if found and words in (None, found[-1].words) else None

        return wait_for(said, within_s, f"{topic} {words}; heard {self._summary()}")

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _note(self, _: Any, __: Any, message: mqtt.MQTTMessage) -> None:
        self.heard.append(Heard(message.topic, message.payload.decode(), time.monotonic()))

    def _summary(self) -> list[tuple[str, str]]:
        return [(heard.topic, heard.words[:60]) for heard in self.heard[-8:]]

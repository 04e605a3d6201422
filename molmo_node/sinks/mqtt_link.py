"""One connection to a broker: opened, used and lost in the calls of one thread.

paho's own reconnecting is not used: it sends what it holds again behind our back, and refuses
the newest where we drop the oldest. A new connection gets a new client here, and what waits
lies in the sink's buffer.
"""

from __future__ import annotations

import contextlib
import logging
import socket as socket_module
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from molmo_node.sinks.base import SinkDown

log = logging.getLogger(__name__)

CONNECT_S = 3.0
ACKNOWLEDGED_S = 2.0
GOODBYE_S = 0.5
QOS = 1


@dataclass(frozen=True)
class Broker:
    """Where the broker is, and how to be let in. `password` is in no message of ours."""

    host: str
    port: int
    client_id: str
    username: str | None = None
    password: str | None = None
    tls: ssl.SSLContext | None = None
    keepalive_s: int = 10

    @property
    def place(self) -> str:
        """For people."""
        return f"{self.host}:{self.port}"


class Link:
    """Connects when it has to; every call waits some seconds at most.

    Args:
        will: topic and words that the broker publishes, retained, when we are lost.
    """

    def __init__(self, broker: Broker, will: tuple[str, str]) -> None:
        self._broker = broker
        self._will = will
        self._client: mqtt.Client | None = None
        self._connected = threading.Event()
        self._lost = threading.Event()
        self._refusal = ""

    @property
    def is_up(self) -> bool:
        """Whether a connection stands, as far as is known."""
        return self._client is not None and not self._lost.is_set()

    def ensure(self) -> bool:
        """Connect if there is no connection; says whether a new one was made.

        Raises:
            SinkDown: the broker cannot be reached, or refuses us.
        """
        if self.is_up:
            return False
        self.drop()
        client = self._make()
        try:
            client.connect(self._broker.host, self._broker.port, self._broker.keepalive_s)
        except (OSError, ValueError) as exc:  # ValueError: a host name that is none
            raise self._down(_reason(exc)) from exc
        client.loop_start()
        self._client = client
        _wait(lambda: self._connected.is_set() or self._lost.is_set(), CONNECT_S)
        if not self._connected.is_set() or self._lost.is_set():
            reason = self._refusal or "it does not answer"
            self.drop()
            raise self._down(reason)
        return True

    def publish(self, messages: Sequence[tuple[str, str]]) -> None:
        """Publish words under topics, retained, and wait until the broker has them all.

        Raises:
            SinkDown: it did not take them in time; the connection is given up.
        """
        client = self._client
        if client is None:
            raise self._down("not connected")
        sent = [client.publish(topic, words, QOS, retain=True) for topic, words in messages]
        is_taken = all(info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS for info in sent) and _wait(
            lambda: self._lost.is_set() or all(info.is_published() for info in sent),
            ACKNOWLEDGED_S,
        )
        if not is_taken or self._lost.is_set():
            reason = self._refusal or "connection lost" if self._lost.is_set() else "it is too slow"
            self.drop()
            raise self._down(reason)

    def close(self, last_words: tuple[str, str]) -> None:
        """Say goodbye in order, if there is a connection: the will is then not published."""
        if self.is_up:
            try:
                self.publish([last_words])
                assert self._client is not None
                self._client.disconnect()
                _wait(self._lost.is_set, GOODBYE_S)
            except SinkDown as exc:
                log.warning("left without goodbye", extra={"because": exc.message})
        self.drop()

    def drop(self) -> None:
        """Let go of the connection at once, whatever its state; the broker publishes the will."""
        client, self._client = self._client, None
        if client is None:
            return
        # Without this, paho's thread tries to send to a broker that does not read, and we wait.
        socket = client.socket()
        if socket is not None:
            with contextlib.suppress(OSError):
                cast("socket_module.socket", socket).shutdown(socket_module.SHUT_RDWR)
        client.loop_stop()

    def _make(self) -> mqtt.Client:
        self._connected, self._lost, self._refusal = threading.Event(), threading.Event(), ""
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._broker.client_id,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_S
        client.max_inflight_messages_set(0)  # all at once: the batch is bounded by us
        client.will_set(*self._will, qos=QOS, retain=True)
        if self._broker.username is not None:
            client.username_pw_set(self._broker.username, self._broker.password)
        if self._broker.tls is not None:
            client.tls_set_context(self._broker.tls)
        connected, lost = self._connected, self._lost

        def on_connect(_: Any, __: Any, ___: Any, reason: Any, ____: Any) -> None:
            if reason.is_failure:
                self._refusal = f"it refuses us: {reason}".lower()
                lost.set()
            else:
                connected.set()

        client.on_connect = on_connect
        client.on_disconnect = lambda *_: lost.set()
        return client

    def _down(self, reason: str) -> SinkDown:
        return SinkDown(
            f"MQTT broker {self._broker.place}: {reason}",
            hint="check host, port, user and password; readings wait and are sent then",
        )


def _reason(exc: OSError | ValueError) -> str:
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"certificate verify failed ({exc.verify_message})"
    return (getattr(exc, "strerror", None) or str(exc) or "it does not answer").lower()


def _wait(is_done: Callable[[], bool], within_s: float) -> bool:
    until_s = time.monotonic() + within_s
    while not (done := is_done()) and time.monotonic() < until_s:
        time.sleep(0.002)
    return done

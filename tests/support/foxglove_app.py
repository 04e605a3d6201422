"""A stand-in for Foxglove's app: a WebSocket client that speaks its protocol, and no more."""

from __future__ import annotations

import contextlib
import json
import struct
from dataclasses import dataclass, field
from typing import Any

from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

PROTOCOL = "foxglove.sdk.v1"
MESSAGE, CALL, REPLY = 1, 2, 3


@dataclass
class FoxgloveApp:
    """Subscribes to what it is told to, and keeps what comes.

    Attributes:
        channels: advertised ones by topic.
        messages: by topic, newest last.
        replies: of services, by call: the payload, or the text of a failure.
    """

    url: str
    channels: dict[str, dict[str, Any]] = field(default_factory=dict)
    services: dict[str, dict[str, Any]] = field(default_factory=dict)
    messages: dict[str, list[bytes]] = field(default_factory=dict)
    replies: dict[int, bytes | str] = field(default_factory=dict)
    server: dict[str, Any] = field(default_factory=dict)
    _topics: dict[int, str] = field(default_factory=dict)
    origin: str | None = None
    _socket: ClientConnection | None = None
    _closing: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def __enter__(self) -> FoxgloveApp:
        subprotocols, origin = [Subprotocol(PROTOCOL)], self.origin and Origin(self.origin)
        self._socket = self._closing.enter_context(
            connect(self.url, subprotocols=subprotocols, origin=origin or None, max_size=None)
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    @property
    def socket(self) -> ClientConnection:
        assert self._socket is not None
        return self._socket

    def subscribe(self, topic: str) -> None:
        number = len(self._topics) + 1
        self._topics[number] = topic
        self.messages.setdefault(topic, [])
        wanted = [{"id": number, "channelId": self.channels[topic]["id"]}]
        self.socket.send(json.dumps({"op": "subscribe", "subscriptions": wanted}))

    def call(self, service: str, number: int, request: bytes) -> None:
        head = struct.pack("<BIII", CALL, self.services[service]["id"], number, 4)
        self.socket.send(head + b"json" + request)

    def pump(self, timeout_s: float = 0.1) -> bool:
        """Take in one message; False if none came."""
        try:
            message = self.socket.recv(timeout_s)
        except TimeoutError:
            return False
        if isinstance(message, bytes):
            self._take_binary(message)
        else:
            self._take_text(json.loads(message))
        return True

    def _take_text(self, said: dict[str, Any]) -> None:
        if said["op"] == "serverInfo":
            self.server = said
        elif said["op"] == "advertise":
            self.channels |= {channel["topic"]: channel for channel in said["channels"]}
        elif said["op"] == "advertiseServices":
            self.services |= {service["name"]: service for service in said["services"]}
        elif said["op"] == "serviceCallFailure":
            self.replies[said["callId"]] = said["message"]

    def _take_binary(self, message: bytes) -> None:
        if message[0] == MESSAGE:
            number, _ = struct.unpack_from("<IQ", message, 1)
            self.messages[self._topics[number]].append(message[13:])
        elif message[0] == REPLY:
            _, call, encoding_bytes = struct.unpack_from("<III", message, 1)
            self.replies[call] = message[13 + encoding_bytes :]

"""Serves what the nodes say to Foxglove's app, over its own WebSocket protocol.

The channels are those of a recording (`recording.entries`), so that a layout made for one shows
the other. A camera's frames are taken, and compressed, only while somebody looks at them.
"""

from __future__ import annotations

import ipaddress
import logging
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import foxglove

from molmo_node.bus.address import Address
from molmo_node.bus.frames import Frame
from molmo_node.bus.sockets import Security, Transport
from molmo_node.client import Client
from molmo_node.client.tap import News, Tap
from molmo_node.errors import ConfigError, ProtocolError
from molmo_node.foxglove.gate import Gate, hidden_host
from molmo_node.foxglove.questions import SERVICE, Ask, answer_to
from molmo_node.messages import Answer
from molmo_node.recording.entries import (
    Channel,
    Entry,
    entries_of,
    header_channel,
    image_channel,
)
from molmo_node.recording.plain_schema import plain_schema

log = logging.getLogger(__name__)

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8765
CHANNELS = 1024
# Of each app: its oldest messages give way to newer ones when it is slow.
BACKLOG = 256
# A frame that comes after this much of a period is taken: cameras jitter.
EARLY = 0.75


@dataclass(frozen=True)
class ViewerOptions:
    """Where the nodes are, and where the app connects.

    Attributes:
        host: of this machine only: the protocol knows neither keys nor passwords.
        port: 0 takes a free one.
        allowed_origins: of web pages that may connect, beside Foxglove's own.
        fps: most frames a second of each camera.
        quality: of frames that cameras give as pixels, 1 to 100.
    """

    run_dir: Path
    workers: tuple[Address, ...]
    cameras: Mapping[str, Address] = field(default_factory=dict)
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    allowed_origins: tuple[str, ...] = ()
    fps: float = 15.0
    quality: int = 75
    security: Security = field(default_factory=Security)


class Viewer:
    """One server. `run` blocks until `stop`.

    Raises:
        ConfigError: the host is not this machine's own, or the port is taken.
    """

    def __init__(self, options: ViewerOptions) -> None:
        _check_host(options.host)
        self._options = options
        self._stop = threading.Event()
        self._channels: dict[Channel, foxglove.Channel] = {}
        self._sent_s: dict[str, float] = {}
        self._context = foxglove.Context()
        with ExitStack() as undo:  # a taken port leaves nothing behind
            self._transport = Transport(options.security)
            undo.callback(self._transport.close)
            self._client = Client(
                options.workers[0].text, run_dir=options.run_dir, security=options.security
            )
            undo.callback(self._client.close)
            self._tap = Tap(
                self._transport, options.run_dir, options.workers, options.cameras, self._is_seen
            )
            undo.callback(self._tap.close)
            hidden = hidden_host()
            self._server = self._serve(hidden)
            undo.callback(self._server.stop)
            target = (hidden, self._server.port)
            self._gate = Gate(options.host, options.port, target, options.allowed_origins)
            undo.pop_all()

    @property
    def url(self) -> str:
        """What to type into the app."""
        host = f"[{self._options.host}]" if ":" in self._options.host else self._options.host
        return f"ws://{host}:{self._gate.port}"

    def stop(self) -> None:
        """End `run` soon; safe in a signal handler and from any thread."""
        self._stop.set()

    def run(self) -> None:
        """Serve until stopped."""
        try:
            while not self._stop.is_set():
                for camera in self._tap.cameras:  # advertised before anybody can look at them
                    self._channel(image_channel(camera))
                    self._channel(header_channel(camera))
                for news in self._tap.take():
                    self._show(news)
        finally:
            self._gate.close()
            self._server.stop()
            self._tap.close()
            self._client.close()
            self._transport.close()

    def _serve(self, hidden: str) -> foxglove.websocket.WebSocketServer:
        """The library's server, behind the gate."""
        return foxglove.start_server(
            name="molmo_node",
            host=hidden,
            port=0,
            capabilities=[foxglove.Capability.Services],
            supported_encodings=["json"],
            services=[foxglove.Service(SERVICE, schema=_ask_schema(), handler=self._answer)],
            context=self._context,
            message_backlog_size=BACKLOG,
        )

    def _is_seen(self, camera: str) -> bool:
        channel = self._channels.get(image_channel(camera))
        return channel is not None and channel.has_sinks()

    def _show(self, news: News) -> None:
        for entry in self._entries(news):
            channel = self._channel(entry.channel)
            if channel is not None:
                channel.log(entry.data)

    def _entries(self, news: News) -> list[Entry]:
        if isinstance(news, Frame) and not self._is_due(news.header.ref.camera):
            return []
        try:
            return entries_of(news, self._options.quality)
        except ProtocolError as exc:
            log.debug("message passed over", extra={"why": exc.message})
            return []

    def _is_due(self, camera: str) -> bool:
        """Whether a frame of this camera is within the wanted rate."""
        now_s = time.monotonic()
        if now_s - self._sent_s.get(camera, 0.0) < EARLY / self._options.fps:
            return False
        self._sent_s[camera] = now_s
        return True

    def _channel(self, channel: Channel) -> foxglove.Channel | None:
        """The server's channel of ours; None where there are too many."""
        known = self._channels.get(channel)
        if known is None and len(self._channels) < CHANNELS:
            schema = channel.schema
            known = self._channels[channel] = foxglove.Channel(
                channel.topic,
                message_encoding=channel.message_encoding,
                schema=foxglove.Schema(
                    name=schema.name, encoding=schema.encoding, data=schema.data
                ),
                context=self._context,
            )
        return known

    def _answer(self, request: Any) -> bytes:
        """Called in a thread of the server; what is raised is shown in the app."""
        return answer_to(self._client, bytes(request.payload))


def _ask_schema() -> foxglove.ServiceSchema:
    def message(kind: type[Any]) -> foxglove.MessageSchema:
        return foxglove.MessageSchema(
            encoding="json",
            schema=foxglove.Schema(
                name=f"molmo_node.{kind.__name__}", encoding="jsonschema", data=plain_schema(kind)
            ),
        )

    return foxglove.ServiceSchema("molmo_node.Ask", request=message(Ask), response=message(Answer))


def _check_host(host: str) -> None:
    if host == "localhost":
        return
    try:
        is_own = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_own = False
    if not is_own:
        raise ConfigError(
            f"--host {host}: Foxglove's protocol knows no keys, so only this machine may connect",
            hint="from another machine: ssh -L 8765:127.0.0.1:8765 THIS-HOST, then ws://127.0.0.1:8765",
        )

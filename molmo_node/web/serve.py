"""The page's process: a node of its own that listens for browsers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys

import uvicorn

from molmo_node.bus.address import node_address
from molmo_node.bus.broadcast import Broadcaster
from molmo_node.bus.lock import NodeEntry, NodeLock
from molmo_node.bus.rundir import ensure_run_dir
from molmo_node.bus.sockets import Transport
from molmo_node.config import Settings, WebSettings
from molmo_node.errors import ConfigError
from molmo_node.web.app import make_app
from molmo_node.web.guard import access_for
from molmo_node.web.hub import Hub
from molmo_node.web.token import page_token

log = logging.getLogger(__name__)

NODE = "page"
FIRST_PORT = 8770  # 8765 is Foxglove's
PORTS_TRIED = 20
BACKLOG = 128
TICK_S = 0.1
STOP_S = 2
MESSAGE_BYTES = 4096
CONNECTIONS = 256


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        """Signals are the verb's to take."""
        yield


class PageNode:
    """The live page. `run` blocks until `stop`.

    Raises:
        ConfigError: the port is taken, the token file is wrong, or a page runs here already.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._token = page_token(settings.web)
        run_dir = ensure_run_dir(settings.run_dir)
        address = node_address(run_dir, NODE)
        with contextlib.ExitStack() as undo:
            self._lock = NodeLock(run_dir, NodeEntry(NODE, "client", os.getpid(), address.text))
            undo.callback(self._lock.release)
            self._socket = listen(settings.web)
            undo.callback(self._socket.close)
            self._transport = Transport()
            undo.callback(self._transport.close)
            self._out = Broadcaster(self._transport, address, NODE, "client")
            undo.pop_all()
        self._server: _Server | None = None
        self._is_stopping = False

    @property
    def address(self) -> str:
        """What to type into a browser, without a token."""
        host, port = self._settings.web.host, self._socket.getsockname()[1]
        if host in ("0.0.0.0", "::"):  # noqa: S104  # compared with, not bound
            host = socket.gethostname()
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def stop(self) -> None:
        """End `run` soon; safe in a signal handler and from any thread."""
        self._is_stopping = True
        if self._server is not None:
            self._server.should_exit = True

    def run(self) -> int:
        """Serve until stopped; returns the process's exit code."""
        shown = f"{self.address}/?token={self._token}" if self._token else f"{self.address}/"
        print(f"the page is at {shown}", file=sys.stderr, flush=True)  # noqa: T201
        try:
            asyncio.run(self._serve())
        finally:
            self._out.close()
            self._transport.close()
            self._socket.close()
            self._lock.release()
        return 0

    async def _serve(self) -> None:
        hub = Hub(self._settings)
        hub.asker.address, hub.asker.needs_token = self.address, self._token is not None
        web = self._settings.web
        app = make_app(hub, access_for(web.is_loopback, self._token, web.allowed_hosts))
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            ws="websockets-sansio",
            ws_max_size=MESSAGE_BYTES,
            ws_per_message_deflate=False,
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=STOP_S,
            proxy_headers=False,
        )
        self._server = _Server(config)
        self._server.should_exit = self._is_stopping
        voice = asyncio.create_task(self._speak())
        try:
            await self._server.serve([self._socket])
        finally:
            voice.cancel()
            await asyncio.gather(voice, return_exceptions=True)

    async def _speak(self) -> None:
        """Say twice a second that the page lives: a supervisor starts a silent one again."""
        while True:
            is_up = self._server is not None and self._server.started
            if is_up and self._out.status.state == "starting":
                self._out.report("ready", detail=self.address)
            self._out.welcome()
            if self._out.is_due():
                self._out.report()
            await asyncio.sleep(TICK_S)


def listen(web: WebSettings) -> socket.socket:
    """A listening socket: at the port that was set, else at the first free one.

    Raises:
        ConfigError: the port is taken, or the host is none of this machine.
    """
    ports = [web.port] if web.port is not None else range(FIRST_PORT, FIRST_PORT + PORTS_TRIED)
    host = web.host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    why = ""
    for port in ports:
        found = socket.socket(family, socket.SOCK_STREAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((host, port))
            found.listen(BACKLOG)
        except OSError as exc:
            found.close()
            why = f"port {port}: {(exc.strerror or str(exc)).lower()}"
        else:
            return found
    raise ConfigError(
        f"the page cannot listen at {web.host}, {why}",
        hint="set web.port to a free one, or stop what holds it (`ss -lptn` names it)",
    )

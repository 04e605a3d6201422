"""Metrics on a port of their own, for nodes without the page."""

from __future__ import annotations

import hmac
import logging
import socket
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from molmo_node.client.view import NodeView
from molmo_node.config.secrets import read_secret
from molmo_node.config.sinks import PrometheusSettings
from molmo_node.errors import ConfigError
from molmo_node.sinks.base import Message
from molmo_node.sinks.metrics import NodeMetrics

log = logging.getLogger(__name__)

SLOW_CLIENT_S = 5.0
CLIENTS = 8


class PrometheusSink:
    """Counts every message, and serves `/metrics`.

    Raises:
        ConfigError: the port is taken, or the token cannot be read.
    """

    def __init__(self, settings: PrometheusSettings, view: NodeView) -> None:
        self._metrics = NodeMetrics(view)
        token = read_secret(settings.token_file) if settings.token_file else ""
        try:
            self._server = _Server((settings.host, settings.port), self._metrics, token)
        except OSError as exc:
            raise ConfigError(
                f"cannot listen at {settings.host}:{settings.port} ({exc.strerror})",
                hint="set sinks.prometheus.port to another one",
            ) from exc
        self.port = self._server.server_address[1]
        log.info("metrics are served", extra={"at": f"http://{settings.host}:{self.port}/metrics"})
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics")
        self._thread.start()

    def wants(self, message: Message) -> bool:
        """Everything counts."""
        return True

    def write(self, messages: Sequence[Message]) -> None:
        """Count them."""
        for message in messages:
            self._metrics.note(message)

    def tend(self, view: NodeView) -> None:
        """Nothing."""

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True  # one that waits for a scraper that hangs must not hold up the end
    block_on_close = False

    def __init__(self, address: tuple[str, int], metrics: NodeMetrics, token: str) -> None:
        self.metrics = metrics
        self.token = token
        self._places = threading.BoundedSemaphore(CLIENTS)
        host = address[0].strip("[]")
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, address[1]), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve in a thread of its own, so many at a time; the rest is hung up on."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one client."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A scraper that hangs up is its own affair."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = SLOW_CLIENT_S
    server_version = "molmo_node"
    sys_version = ""

    def do_GET(self) -> None:
        """`/metrics`, for those who know the token."""
        if not self._is_known():
            self._reply(401, b"no token, or a wrong one\n", "text/plain")
        elif self.path.partition("?")[0] != "/metrics":
            self._reply(404, b"only /metrics is here\n", "text/plain")
        else:
            self._reply(200, *self.server.metrics.exposition(self.headers.get("Accept") or ""))

    def _is_known(self) -> bool:
        scheme, _, given = (self.headers.get("Authorization") or "").partition(" ")
        is_right = hmac.compare_digest(given.strip().encode(), self.server.token.encode())
        return not self.server.token or (scheme.lower() == "bearer" and is_right)

    def log_message(self, format: str, *args: Any) -> None:
        """Not a word a scrape."""

    def _reply(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

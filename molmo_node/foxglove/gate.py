"""Lets programs and Foxglove's own pages in, and no other web page.

Any page in a browser on this machine may open a WebSocket to it, and the library's server asks
nobody where he comes from: an advertisement could look through the camera. So the library's
server listens at an address of this machine that nobody can guess, and in front of it stands
this gate, which reads the first lines of each connection and passes on those whose ``Origin``
is allowed.
"""

from __future__ import annotations

import logging
import secrets
import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from molmo_node.errors import ConfigError

log = logging.getLogger(__name__)

HEAD_BYTES = 16 * 1024
HEAD_S = 5.0
CONNECTIONS = 16
_PIECE_BYTES = 256 * 1024
_POLL_S = 0.2
_REFUSED = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_OWN_PAGES = ("https://app.foxglove.dev", "https://studio.foxglove.dev")


def hidden_host() -> str:
    """A loopback address out of 16 million; Linux has them all."""
    return f"127.{1 + secrets.randbelow(254)}.{secrets.randbelow(256)}.{1 + secrets.randbelow(254)}"


def is_allowed(head: bytes, allowed: tuple[str, ...] = ()) -> bool:
    """Whether a request's head may pass: it has no ``Origin`` (a program), or an allowed one.

    Args:
        head: of an HTTP request, up to its empty line.
        allowed: origins of web pages beside Foxglove's own, such as ``http://localhost:8080``.
    """
    lines = head.split(b"\r\n")[1:]
    named = [line.partition(b":")[2] for line in lines if line.lower().startswith(b"origin:")]
    if not named:
        return True
    origin = named[0].strip().decode("latin-1").lower()
    is_app = origin.startswith(("file://", "foxglove://"))  # the desktop app's own pages
    return len(named) == 1 and (is_app or origin in _OWN_PAGES or origin in allowed)


class Gate:
    """Listens at host and port, and passes connections on to `target`.

    Raises:
        ConfigError: the port is taken.
    """

    def __init__(
        self, host: str, port: int, target: tuple[str, int], allowed: tuple[str, ...] = ()
    ) -> None:
        self._target, self._allowed = target, tuple(origin.lower() for origin in allowed)
        self._is_stopping = threading.Event()
        self._places = threading.BoundedSemaphore(CONNECTIONS)
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()
        try:
            self._socket = socket.create_server((host, port), family=_family(host))
        except OSError as exc:
            raise ConfigError(
                f"cannot listen at {host}:{port}: {(exc.strerror or 'unknown').lower()}",
                hint="another program holds it (`ss -lptn` names it), or choose another --port",
            ) from exc
        self._socket.settimeout(_POLL_S)
        self.port: int = self._socket.getsockname()[1]
        self._start(self._accept, "foxglove-gate")

    def close(self) -> None:
        """End all connections."""
        self._is_stopping.set()
        for one in list(self._open):
            with suppress(OSError):  # ended by itself just now
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._socket.close()

    def _start(self, body: Callable[..., None], name: str, *args: object) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=body, args=args, name=name)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._is_stopping.is_set():
            try:
                client, _ = self._socket.accept()
            except TimeoutError:
                continue
            if self._places.acquire(blocking=False):
                self._start(self._serve, "foxglove-connection", client)
            else:
                log.warning("app refused", extra={"reason": f"{CONNECTIONS} are connected"})
                client.close()

    def _serve(self, client: socket.socket) -> None:
        self._open.add(client)
        try:
            with client, suppress(OSError):
                head = _read_head(client)
                if not is_allowed(head, self._allowed):
                    log.warning("web page refused", extra={"reason": "its origin is not allowed"})
                    client.sendall(_REFUSED)
                    return
                with socket.create_connection(self._target, HEAD_S) as server:
                    server.sendall(head)
                    self._pass_on(client, server)
        finally:
            self._open.discard(client)
            self._places.release()

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        """Both ways, until one side ends. A slow app holds up only itself."""
        other = {client: server, server: client}
        for one in other:
            one.settimeout(None)
        while not self._is_stopping.is_set():
            for one in select.select(list(other), [], [], _POLL_S)[0]:
                piece = one.recv(_PIECE_BYTES)
                if not piece:
                    return
                other[one].sendall(piece)


def _read_head(client: socket.socket) -> bytes:
    """A request up to and with its empty line.

    Raises:
        OSError: it did not come whole in time, or is too long.
    """
    until_s = time.monotonic() + HEAD_S
    head = b""
    while b"\r\n\r\n" not in head:
        client.settimeout(max(0.001, until_s - time.monotonic()))
        piece = client.recv(4096)
        head += piece
        if not piece or len(head) > HEAD_BYTES:
            raise OSError("no request")
    return head


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET

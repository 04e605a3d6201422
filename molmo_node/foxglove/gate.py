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
    """Whether a request may pass: for a WebSocket, from a program (no ``Origin``), or allowed.

    Args:
        head: of an HTTP request, up to its empty line.
        allowed: origins of web pages beside Foxglove's own, such as ``http://localhost:8080``.
    """
    if not any(b"websocket" in value.lower() for value in _values(head, b"upgrade")):
        return False  # a connection that began otherwise is not looked at again
    named = _values(head, b"origin")
    if not named:
        return True
    origin = named[0].decode("latin-1").lower()
    is_app = origin.startswith(("file://", "foxglove://"))  # the desktop app's own pages
    return len(named) == 1 and (is_app or origin in _OWN_PAGES or origin in allowed)


def _values(head: bytes, name: bytes) -> list[bytes]:
    """What a request says under this name, once or several times."""
    lines = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
    return [value.strip() for found, _, value in lines if found.strip().lower() == name]


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
        self._acceptor = threading.Thread(target=self._accept, name="foxglove-gate")
        self._acceptor.start()

    def close(self) -> None:
        """End all connections."""
        self._is_stopping.set()
        self._acceptor.join()  # from here on there are no new ones
        for one in list(self._open):
            with suppress(OSError):  # ended by itself just now
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._socket.close()

    def _accept(self) -> None:
        while not self._is_stopping.is_set():
            try:
                client, _ = self._socket.accept()
            except TimeoutError:
                continue
            except OSError as exc:  # of one connection, or no descriptor is left
                log.warning("no connection", extra={"reason": exc.strerror})
                self._is_stopping.wait(_POLL_S)
                continue
            if not self._places.acquire(blocking=False):
                log.warning("app refused", extra={"reason": f"{CONNECTIONS} are connected"})
                client.close()
                continue
            self._open.add(client)
            thread = threading.Thread(target=self._serve, args=(client,), name="foxglove-app")
            self._threads = [one for one in self._threads if one.is_alive()] + [thread]
            thread.start()

    def _serve(self, client: socket.socket) -> None:
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

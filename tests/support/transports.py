"""A transport that closes what a test forgot."""

from __future__ import annotations

from typing import Any

import zmq

from molmo_node.bus.sockets import Security, Transport


class KeepingTransport(Transport):
    """Holds its sockets until it is closed; an unclosed one would be a warning, so an error."""

    def __init__(self, security: Security | None = None) -> None:
        super().__init__(security)
        self._kept: list[zmq.Socket[bytes]] = []

    def bind(self, *args: Any, **options: Any) -> zmq.Socket[bytes]:
        """As the parent's."""
        return self._keep(super().bind(*args, **options))

    def connect(self, *args: Any, **options: Any) -> zmq.Socket[bytes]:
        """As the parent's."""
        return self._keep(super().connect(*args, **options))

    def close(self) -> None:
        """Close the sockets, then as the parent's."""
        for socket in self._kept:
            socket.close()
        super().close()

    def _keep(self, socket: zmq.Socket[bytes]) -> zmq.Socket[bytes]:
        self._kept.append(socket)
        return socket

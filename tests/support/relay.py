"""A tcp middleman that counts who knocks."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading


class Relay:
    """Passes bytes between its own port and another one of this host; counts connections."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.connections = 0
        self._peers: dict[socket.socket, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="relay")
        self._thread.start()

    def close(self) -> None:
        """Break all connections."""
        self._is_stopping = True
        self._thread.join()
        for one in [self._listener, *self._peers]:
            one.close()
        self._selector.close()

    def _run(self) -> None:
        while not self._is_stopping:
            for key, _ in self._selector.select(0.05):
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj in self._peers:
                    self._pass_on(key.fileobj)  # type: ignore[arg-type]

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        self.connections += 1
        try:
            far = socket.create_connection(self._target)
        except ConnectionRefusedError:  # nobody listens there yet
            near.close()
            return
        for one, other in ((near, far), (far, near)):
            self._peers[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _pass_on(self, source: socket.socket) -> None:
        with contextlib.suppress(OSError):
            data = source.recv(65536)
            if data:
                self._peers[source].sendall(data)
                return
        for one in (source, self._peers[source]):
            self._selector.unregister(one)
            del self._peers[one]
            one.close()

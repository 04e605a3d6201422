"""A connecting socket that tells of its peers, and does not storm one that refuses it.

libzmq's own back-off begins anew with every TCP connection, so that a wrong key would knock
twenty times a second for ever; here a refused endpoint is left alone for `RETRY_NS`.
"""

from __future__ import annotations

import contextlib
import logging

import zmq

from molmo_node.bus.monitor import PeerEvent, PeerMonitor
from molmo_node.clock import SYSTEM_CLOCK, Clock
from molmo_node.errors import NotConnected

log = logging.getLogger(__name__)

RETRY_NS = 5_000_000_000


class Connection:
    """Watches a socket of `Transport.connect`. Belongs to the socket's thread.

    Call `drain` when `monitor` is readable, and after at most `poll_ms`.

    Args:
        key: the name of the key that this process shows, for messages.
    """

    def __init__(self, socket: zmq.Socket[bytes], key: str, clock: Clock = SYSTEM_CLOCK) -> None:
        self.socket = socket
        self._key = key
        self._clock = clock
        self._monitor = PeerMonitor(socket)
        self.monitor = self._monitor.socket
        self.refusal: NotConnected | None = None
        self._retry_ns: dict[str, int] = {}

    def drain(self) -> list[PeerEvent]:
        """What has happened since the last call; refused endpoints are let go and tried later.

        `refusal` then says who refuses this process, None once a connection stands.
        """
        now_ns = self._clock.mono_ns()
        events = self._monitor.drain()
        for event in events:
            if event.change == "refused":
                self._let_go(event.endpoint, now_ns)
            elif event.change == "connected":
                self.refusal = None
        for endpoint in [one for one, due_ns in self._retry_ns.items() if due_ns <= now_ns]:
            del self._retry_ns[endpoint]
            self.socket.connect(endpoint)
        return events

    def poll_ms(self) -> int | None:
        """How long a poller may wait before it calls `drain` again; None: until something comes."""
        if not self._retry_ns:
            return None
        left_ns = min(self._retry_ns.values()) - self._clock.mono_ns()
        return max(0, left_ns // 1_000_000 + 1)

    def close(self) -> None:
        """Stop watching and close the socket; a second call does nothing."""
        if self.socket.closed:
            return
        self._monitor.close()
        self.socket.close()

    def _let_go(self, endpoint: str, now_ns: int) -> None:
        self.refusal = NotConnected(
            f"{endpoint} refused the handshake of key {self._key!r}",
            hint="on the node's side, allowed/ must hold this key's public half; here, "
            "server_key must be the node's and security.transport_security the same as there",
        )
        with contextlib.suppress(zmq.ZMQError):  # let go already: a second event of one refusal
            self.socket.disconnect(endpoint)
            self._retry_ns[endpoint] = now_ns + RETRY_NS
            log.warning("handshake refused", extra={"endpoint": endpoint, "key": self._key})

"""Sockets as this project makes them: limited, watched, and closed to strangers.

`Transport` is one per process: the context, the keys and the allow-list. Every socket comes
from it, so that no socket lacks its limits.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import zmq
from zmq.auth.thread import ThreadAuthenticator

from molmo_node.bus import limits
from molmo_node.bus.address import Address
from molmo_node.bus.connection import Connection
from molmo_node.bus.keys import KeyPair, allowed_keys, load_pair, load_public
from molmo_node.bus.taken import ipc_holder, tcp_holder
from molmo_node.bus.topics import REPLY, Topic
from molmo_node.clock import SYSTEM_CLOCK, Clock
from molmo_node.errors import ConfigError

log = logging.getLogger(__name__)

DEAD_LINK_MS = 3_000
RECONNECT_MS = 50
RECONNECT_MAX_MS = 1_000
ZAP_DOMAIN = b"molmo-node"
NODE_KEY = "node"

Mode = Literal["off", "auto", "required"]


@dataclass(frozen=True)
class Security:
    """Who may connect, and how this process proves who it is.

    Attributes:
        mode: ``off`` (this host only), ``auto`` (CURVE on tcp beyond loopback), ``required``
            (CURVE on every tcp socket).
        keys_dir: the folder of `bus.keys`.
        key: the pair this process uses; nodes use "node".
        server_key: when connecting: file of the nodes' public key; default ``keys_dir/node.key``.
    """

    mode: Mode = "off"
    keys_dir: Path | None = None
    key: str = NODE_KEY
    server_key: Path | None = None

    def covers(self, address: Address) -> bool:
        """Whether a socket at this address uses CURVE. ipc is guarded by its folder."""
        if address.is_ipc or self.mode == "off":
            return False
        return self.mode == "required" or not address.is_loopback


class Transport:
    """The context, keys and authenticator of one process. Close it after its sockets."""

    def __init__(self, security: Security | None = None) -> None:
        self.security = security or Security()
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._authenticator: ThreadAuthenticator | None = None
        self._paths: list[Path] = []

    def close(self) -> None:
        """Stop the authenticator and end the context; sockets must be closed before."""
        if self._authenticator is not None:
            self._authenticator.stop()
        self.context.destroy(linger=0)
        for path in self._paths:  # libzmq leaves the files of its ipc sockets
            path.unlink(missing_ok=True)

    def bind(self, kind: int, topic: Topic, address: Address, part: int = 0) -> zmq.Socket[bytes]:
        """A listening socket.

        Raises:
            ConfigError: the address is taken, or open to other hosts without keys.
        """
        socket = self._socket(kind, topic, address)
        try:
            if self.security.covers(address):
                self._be_curve_server(socket)
            _bind(socket, address, part)
            if address.is_ipc:
                self._paths.append(Path(address.part(part).removeprefix("ipc://")))
        except ConfigError:
            socket.close()
            raise
        return socket

    def connect(
        self,
        kind: int,
        topic: Topic,
        address: Address,
        part: int = 0,
        options: dict[int, int] | None = None,
    ) -> zmq.Socket[bytes]:
        """A socket that connects, now or when the other side comes to life.

        Raises:
            ConfigError: the other side is on another host and no keys are configured, or the
                keys cannot be read.
        """
        socket = self._outgoing(kind, topic, address, options)
        socket.connect(address.part(part))
        return socket

    def connect_watched(
        self,
        kind: int,
        topic: Topic,
        address: Address,
        part: int = 0,
        options: dict[int, int] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> Connection:
        """As `connect`, watched from before it connects: no first handshake escapes."""
        socket = self._outgoing(kind, topic, address, options)
        connection = Connection(socket, self.security.key, clock)
        socket.connect(address.part(part))
        return connection

    def _outgoing(
        self, kind: int, topic: Topic, address: Address, options: dict[int, int] | None
    ) -> zmq.Socket[bytes]:
        pair = server_key = None
        if self.security.covers(address):
            pair, server_key = self._own_pair(), self._server_key()
        socket = self._socket(kind, topic, address)
        for option, value in (options or {}).items():
            socket.setsockopt(option, value)
        if pair is not None:
            socket.curve_publickey, socket.curve_secretkey = pair.public, pair.secret
            socket.curve_serverkey = server_key
        return socket

    def _socket(self, kind: int, topic: Topic, address: Address) -> zmq.Socket[bytes]:
        if not address.is_loopback and not self.security.covers(address):
            raise ConfigError(
                f"{address.text} goes beyond this host, and no keys are configured",
                hint="use ipc or 127.0.0.1, or `molmo-node keys new` and "
                "security.transport_security: required",
            )
        sends = REPLY if kind == zmq.ROUTER else topic
        receives = REPLY if kind == zmq.DEALER else topic
        socket = self.context.socket(kind)
        socket.linger = 0
        socket.sndhwm = sends.queue_length
        socket.rcvhwm = receives.queue_length
        # A publisher takes in nothing but subscriptions.
        is_publisher = kind == zmq.XPUB
        socket.maxmsgsize = limits.SUBSCRIPTION_BYTES if is_publisher else receives.limit_bytes
        socket.ipv6 = ":" in address.host
        _notice_dead_links(socket)
        socket.reconnect_ivl = RECONNECT_MS
        socket.reconnect_ivl_max = RECONNECT_MAX_MS
        return socket

    def _be_curve_server(self, socket: zmq.Socket[bytes]) -> None:
        pair = self._own_pair()
        if self._authenticator is None:
            self._authenticator = ThreadAuthenticator(self.context, log=log)
            self._authenticator.start()
            self._authenticator.configure_curve_callback(
                domain=ZAP_DOMAIN.decode(), credentials_provider=_AllowList(self._keys_dir)
            )
        # A socket with a named domain is served only by the entry of that very name.
        socket.zap_domain = ZAP_DOMAIN
        socket.curve_publickey, socket.curve_secretkey = pair.public, pair.secret
        socket.curve_server = True

    def _own_pair(self) -> KeyPair:
        return load_pair(self._keys_dir(), self.security.key)

    def _server_key(self) -> bytes:
        path = self.security.server_key or self._keys_dir() / f"{NODE_KEY}.key"
        return load_public(path)

    def _keys_dir(self) -> Path:
        if self.security.keys_dir is None:
            raise ConfigError(
                "security.keys_dir is not set, and this socket needs CURVE keys",
                hint="`molmo-node keys new node` makes the folder and the first pair",
            )
        return self.security.keys_dir


class _AllowList:
    """Answers ZAP: is this public key one of ``allowed/``? Read afresh, so a revoke is at once."""

    def __init__(self, keys_dir: Callable[[], Path]) -> None:
        self._keys_dir = keys_dir

    def callback(self, domain: str, key: bytes) -> bool:
        name = allowed_keys(self._keys_dir()).get(key)
        if name is None:
            log.warning("peer refused", extra={"reason": "its key is not in allowed/"})
        return name is not None


def _notice_dead_links(socket: zmq.Socket[bytes]) -> None:
    """Have the kernel break a tcp connection whose other end is silent; ipc tells at once.

    ZMTP heartbeats are off: libzmq 4.3.5 aborts the process ("Assertion failed: !_io_error",
    stream_engine_base.cpp) when one is due on a connection that broke while its input waited
    for a full queue, as after SIGSTOP. tests/faults/test_09 tells when they can come back.
    """
    socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
    socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, DEAD_LINK_MS // 3_000)
    socket.setsockopt(zmq.TCP_KEEPALIVE_INTVL, DEAD_LINK_MS // 3_000)
    socket.setsockopt(zmq.TCP_KEEPALIVE_CNT, 2)
    socket.setsockopt(zmq.TCP_MAXRT, DEAD_LINK_MS)


def _bind(socket: zmq.Socket[bytes], address: Address, part: int) -> None:
    endpoint = address.part(part)
    pid = ipc_holder(endpoint.removeprefix("ipc://")) if address.is_ipc else None
    # Our own: a socket that was closed a moment ago, which libzmq does in its own time.
    if pid is not None and pid != os.getpid():
        raise _taken(endpoint, "address already in use", pid)
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as exc:
        is_in_use = exc.errno == zmq.EADDRINUSE and not address.is_ipc
        pid = tcp_holder(int(endpoint.rpartition(":")[2])) if is_in_use else None
        raise _taken(endpoint, os.strerror(exc.errno or 0).lower(), pid) from exc


def _taken(endpoint: str, why: str, pid: int | None) -> ConfigError:
    if pid is None:
        hint = "another program holds it (`ss -lptn` names it), or choose another endpoint"
        return ConfigError(f"cannot listen at {endpoint}: {why}", hint=hint)
    return ConfigError(
        f"cannot listen at {endpoint}: {why} (pid {pid})",
        hint=f"stop that process (kill {pid}), or choose another endpoint",
    )

"""What both clients share: where the node is, and how a question becomes a request."""

from __future__ import annotations

import uuid
from pathlib import Path

from molmo_node.bus import limits, wire
from molmo_node.bus.address import Address, node_address
from molmo_node.bus.broadcast import status_filter
from molmo_node.bus.connection import Connection
from molmo_node.bus.lock import running_nodes
from molmo_node.bus.rundir import default_run_dir
from molmo_node.bus.sockets import Security, Transport
from molmo_node.client.link import Link
from molmo_node.client.request import Request
from molmo_node.client.subscription import Around, subscribe
from molmo_node.clock import SYSTEM_CLOCK
from molmo_node.errors import MolmoNodeError, ProtocolError
from molmo_node.messages import (
    FrameChoice,
    Ping,
    Query,
    Question,
    Unwatch,
    Watch,
    WatchSpec,
)

LEASE_S = 5.0
REPLY_S = 5.0


class Core:
    """One connection to one worker, and the addresses of the nodes around it.

    Args:
        address: the worker's base address; None for the one of this host.
        run_dir: this host's sockets; None for the default.
        security: keys, when the worker is on another host.
        retries: how often a question is asked again when a worker died while working on it.
        connect_s: how long to wait for a worker that was never there.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        run_dir: Path | str | None = None,
        security: Security | None = None,
        retries: int = 0,
        connect_s: float = 3.0,
    ) -> None:
        self.run_dir = Path(run_dir) if run_dir else default_run_dir()
        self.address = Address(address) if address else node_address(self.run_dir, "worker")
        self.retries = retries
        self.transport = Transport(security)
        try:
            self.link = Link(self.transport, self.address, connect_s)
        except MolmoNodeError:
            self.transport.close()
            raise

    def close(self) -> None:
        """Close the connection and everything opened through it."""
        self.link.close()
        self.transport.close()

    def ask(
        self,
        question: Question,
        camera: str,
        frame: FrameChoice,
        max_age_ms: float | None,
        timeout_s: float,
        image: bytes | None,
    ) -> Request:
        """Send a question; a picture of the asker's own makes it about that picture.

        Raises:
            ProtocolError: the picture is too large to be sent: the worker's socket would only
                break the connection, again and again.
        """
        if image is not None and len(image) > limits.FRAME_BYTES:
            raise ProtocolError(
                f"picture of {len(image)} bytes, at most {limits.FRAME_BYTES} allowed",
                hint="send it smaller, or compressed",
            )
        query = Query(
            id=self.link.new_id(),
            question=question,
            camera=camera,
            frame="attached" if image is not None else frame,
            max_age_ms=max_age_ms,
            deadline_ms=timeout_s * 1e3,
        )
        parts = [wire.encode(query)] + ([image] if image is not None else [])
        request = Request(query.id, parts, _deadline_ns(timeout_s), self.retries)
        self.link.ask(request)
        return request

    def ping(self) -> Request:
        """Ask for the worker's status."""
        ping = Ping(id=self.link.new_id())
        request = Request(ping.id, [wire.encode(ping)], _deadline_ns(REPLY_S), 1, awaits="status")
        self.link.ask(request)
        return request

    def lease(self, spec: WatchSpec) -> Request:
        """Ask for a watch; call `keep_lease` once the request is accepted."""
        watch = self._watch(spec)
        request = Request(
            watch.id, [wire.encode(watch)], _deadline_ns(REPLY_S), 1, awaits="accepted"
        )
        self.link.ask(request)
        return request

    def keep_lease(self, spec: WatchSpec) -> None:
        """Renew a watch that was accepted, and make it again at every new worker.

        One that was refused must not be kept: its name may stand for another of this client.
        """
        self.link.keep(spec.name, lambda: self._watch(spec))

    def end_lease(self, name: str) -> None:
        """End a watch at once instead of at its lease's end."""
        self.link.keep(name, None)
        self.link.tell(Unwatch(id=self.link.new_id(), name=name))

    def _watch(self, spec: WatchSpec) -> Watch:
        return Watch(id=self.link.new_id(), spec=spec, lease_s=LEASE_S)

    def node_addresses(self) -> list[Address]:
        """The worker, and the nodes of this host that are reached as it is: with keys, or not."""
        return node_addresses(self.transport.security, self.address, self.run_dir)

    def statuses(self) -> tuple[Connection, Around]:
        """A subscription to what all nodes say of themselves, and what finds later ones."""
        known = self.node_addresses()
        connection = subscribe(self.transport, known, status_filter())
        return connection, Around(connection, known, self.node_addresses)


def node_addresses(security: Security, worker: Address, run_dir: Path) -> list[Address]:
    """A worker, and the nodes of this host that one socket can reach beside it.

    A socket speaks with keys or without: nodes that are reached the other way are left out.
    """
    others = [Address(entry.address) for entry in running_nodes(run_dir)]
    fit = (one for one in others if security.covers(one) == security.covers(worker))
    return [worker, *(one for one in fit if one != worker)]


def watch_spec(
    question: Question,
    *,
    name: str,
    camera: str,
    rate_hz: float,
    max_age_ms: float | None,
) -> WatchSpec:
    """A watch; without a name it gets one that no other has."""
    task = question.task.replace("_", "-")
    return WatchSpec(
        name=name or f"{task}-{uuid.uuid4().hex[:8]}",
        question=question,
        camera=camera,
        rate_hz=rate_hz,
        max_age_ms=max_age_ms,
    )


def _deadline_ns(timeout_s: float) -> int:
    return SYSTEM_CLOCK.mono_ns() + int(timeout_s * 1e9)

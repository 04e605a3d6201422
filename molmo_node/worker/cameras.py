"""The cameras a worker looks at: those it was told of, and those that live on this host."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zmq

from molmo_node.bus.address import Address
from molmo_node.bus.lock import running_nodes
from molmo_node.bus.receiver import FrameReceiver
from molmo_node.bus.sockets import Transport
from molmo_node.clock import SYSTEM_CLOCK, Clock
from molmo_node.errors import MolmoNodeError, NoAnswer
from molmo_node.messages import CameraHealth
from molmo_node.worker.health import alive_within_ns, camera_health

log = logging.getLogger(__name__)

CAMERA_PREFIX = "camera."


@dataclass(frozen=True)
class CameraPlace:
    """Where a camera's frames come from. `rate_hz` None means: no rate is promised."""

    name: str
    address: Address
    rate_hz: float | None = None


class Cameras:
    """Receivers of all known cameras. Belongs to the worker's main thread.

    Args:
        places: cameras that are known beforehand, here or on other hosts.
        run_dir: where cameras of this host are looked for; None to take only `places`.
    """

    def __init__(
        self,
        transport: Transport,
        places: list[CameraPlace],
        run_dir: Path | None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._transport = transport
        self._run_dir = run_dir
        self._clock = clock
        self._rates: dict[str, float | None] = {}
        self._receivers: dict[str, FrameReceiver] = {}
        try:
            for place in places:
                self._add(place)
            self.discover()
        except MolmoNodeError:
            self.close()
            raise

    @property
    def names(self) -> list[str]:
        """All cameras, in the order they became known."""
        return list(self._receivers)

    def sockets(self) -> list[zmq.Socket[bytes]]:
        """What the worker's poller watches for `pump`."""
        return [socket for receiver in self._receivers.values() for socket in receiver.sockets]

    def pump(self, readable: Mapping[Any, int]) -> None:
        """Take in the frames that have come, with what a poller found."""
        for receiver in self._receivers.values():
            receiver.pump(readable)

    def receiver(self, name: str) -> FrameReceiver:
        """The receiver of a known camera."""
        return self._receivers[name]

    def discover(self) -> None:
        """Take in the cameras that came to life on this host since the last call."""
        if self._run_dir is None:
            return
        for entry in running_nodes(self._run_dir):
            name = entry.node.removeprefix(CAMERA_PREFIX)
            if entry.kind == "camera" and name not in self._receivers:
                self._add(CameraPlace(name, Address(entry.address)))

    def resolve(self, name: str) -> str:
        """The camera a question is for; an empty name means the only one.

        Raises:
            NoAnswer: no such camera, or the choice is not clear.
        """
        if name in self._receivers or (not name and len(self._receivers) == 1):
            return name or self.names[0]
        known = ", ".join(self.names) or "none yet"
        found = f"no camera is named {name!r}" if name else "which camera is meant?"
        raise NoAnswer(found, hint=f"known cameras: {known}")

    def alive_within_ns(self, name: str) -> int:
        """How old the newest frame of this camera may be before the camera counts as lost."""
        return alive_within_ns(self._rates[name])

    def health(self) -> tuple[CameraHealth, ...]:
        """The state of every camera now."""
        now_ns = self._clock.mono_ns()
        return tuple(
            camera_health(name, receiver.stats, receiver.newest, self._rates[name], now_ns)
            for name, receiver in self._receivers.items()
        )

    def close(self) -> None:
        """Stop all receivers."""
        for receiver in self._receivers.values():
            receiver.close()

    def _add(self, place: CameraPlace) -> None:
        log.info("camera known", extra={"camera": place.name, "address": place.address.text})
        self._rates[place.name] = place.rate_hz
        self._receivers[place.name] = FrameReceiver(
            self._transport, place.address, place.name, has_thread=False, clock=self._clock
        )

"""The cameras that the page shows: those of the settings, and those that live on this host."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from molmo_node.bus.address import Address, node_address
from molmo_node.bus.lock import running_nodes
from molmo_node.bus.sockets import Transport
from molmo_node.config import CameraSettings, Settings
from molmo_node.errors import NoAnswer
from molmo_node.web.feed import CameraFeed
from molmo_node.worker.cameras import CAMERA_PREFIX, CameraPlace

MOST_CAMERAS = 64


class Feeds:
    """The feed of every known camera, by name. Belongs to the event loop's thread."""

    def __init__(self, transport: Transport, settings: Settings) -> None:
        self._transport = transport
        self._settings = settings
        self._feeds: dict[str, CameraFeed] = {}
        for camera in settings.cameras:
            self._add(CameraPlace(camera.name, camera_address(settings, camera), camera.fps))

    def __iter__(self) -> Iterator[CameraFeed]:
        return iter(list(self._feeds.values()))

    @property
    def names(self) -> list[str]:
        """All cameras, in the order they became known."""
        return list(self._feeds)

    def discover(self) -> None:
        """Take in the cameras that came to life on this host since the last call."""
        for entry in running_nodes(self._settings.run_dir):
            name = entry.node.removeprefix(CAMERA_PREFIX)
            if entry.kind == "camera" and name not in self._feeds:
                self._add(CameraPlace(name, Address(entry.address)))

    def get(self, name: str) -> CameraFeed:
        """The feed of a camera; an empty name means the only one.

        Raises:
            NoAnswer: no such camera, or the choice is not clear.
        """
        if not name and len(self._feeds) == 1:
            return next(iter(self._feeds.values()))
        if name in self._feeds:
            return self._feeds[name]
        found = f"no camera is named {name!r}" if name else "which camera is meant?"
        raise NoAnswer(found, hint=f"known cameras: {', '.join(self._feeds) or 'none yet'}")

    async def close(self) -> None:
        """End all feeds."""
        await asyncio.gather(*(feed.close() for feed in self._feeds.values()))

    def _add(self, place: CameraPlace) -> None:
        if len(self._feeds) < MOST_CAMERAS:
            fps = self._settings.web.max_fps
            self._feeds[place.name] = CameraFeed(self._transport, place, fps)


def camera_address(settings: Settings, camera: CameraSettings) -> Address:
    """Where a configured camera publishes."""
    if camera.endpoint:
        return Address(camera.endpoint)
    return node_address(settings.run_dir, f"camera.{camera.name}")

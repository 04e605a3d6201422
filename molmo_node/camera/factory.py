"""Makes the same camera again and again, also after a re-plug gave it another number."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from molmo_node.camera import devices
from molmo_node.camera.base import Source, make_source
from molmo_node.camera.spec import SourceSpec
from molmo_node.clock import SYSTEM_CLOCK, Clock

log = logging.getLogger(__name__)


class SourceFactory:
    """A new source of one spec at every call.

    A V4L2 device is held to its stable name as soon as one is known: ``/dev/video0`` may be
    another camera, or none, after a re-plug.

    Args:
        stable_id: finds the stable name of a device path.
    """

    def __init__(
        self,
        spec: SourceSpec,
        clock: Clock = SYSTEM_CLOCK,
        stable_id: Callable[[Path], str] = devices.stable_id,
    ) -> None:
        self._spec = spec
        self._clock = clock
        self._stable_id = stable_id

    def __call__(self) -> Source:
        """Make it, not yet opened."""
        if self._spec.kind == "v4l2":
            self._pin()
        return make_source(self._spec, self._clock)

    def _pin(self) -> None:
        name = self._stable_id(Path(self._spec.target))
        if name != self._spec.target:
            log.info("camera pinned", extra={"device": self._spec.target, "stable_id": name})
            self._spec = replace(self._spec, target=name)

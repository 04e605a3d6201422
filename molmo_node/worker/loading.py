"""From settings to something that answers: the engine and the gauges."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from molmo_node.messages import GaugeReading
from molmo_node.worker.answering import Answerer
from molmo_node.worker.dials import Gauges, NoGauges

if TYPE_CHECKING:
    from molmo_node.config import Settings
    from molmo_node.gauge_profiles import ProfileStore
    from molmo_node.instruments import SteadyReading


log = logging.getLogger(__name__)


class StoredGauges:
    """The gauges of a profile folder, read by `instruments`."""

    def __init__(self, store: ProfileStore) -> None:
        self.store = store

    def names(self) -> list[str]:
        """The gauges that can be read, sorted."""
        return sorted(self.store.names())

    def read(self, name: str, image_hwc: NDArray[np.uint8]) -> GaugeReading:
        """Read one gauge, in pixels of the image given."""
        from molmo_node.instruments import read_gauge

        return read_gauge(image_hwc, self.store.get(name))

    def steady(self, name: str) -> SteadyReading:
        """A filter with the highest rate that the gauge's profile believes."""
        from molmo_node.instruments import SteadyReading

        name = name or self.names()[0]
        rate = self.store.get(name).highest_rate_per_s if name in self.names() else None
        return SteadyReading(window=1, highest_rate_per_s=rate)


def make_gauges(settings: Settings) -> Gauges:
    """The gauges of the settings' folder; none without one."""
    if settings.gauges.folder is None:
        return NoGauges()
    from molmo_node.gauge_profiles import ProfileStore

    folder = settings.gauges.folder
    if not folder.is_dir():  # it may come later: the store looks again and again
        log.warning("folder of gauge profiles is missing", extra={"folder": str(folder)})
    return StoredGauges(ProfileStore(folder))


def make_answerer(
    settings: Settings,
    gauges: Gauges | None = None,
    progress: Callable[[float], None] | None = None,
) -> Answerer:
    """Load the engine that the settings name.

    Args:
        gauges: taken instead of the settings' own.
        progress: is told how much is loaded, in percent.

    Raises:
        MolmoNodeError: there is no such engine, or it cannot be loaded.
    """
    from molmo_node.models.registry import load_engine

    worker = settings.worker
    engine = None
    if worker.model != "none":
        engine = load_engine(
            worker.model,
            device=worker.device,
            dtype=worker.dtype,
            max_crops=worker.max_crops,
            progress=progress,
        )
    return Answerer(engine, make_gauges(settings) if gauges is None else gauges)

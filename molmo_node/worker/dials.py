"""Gauges and clocks: pixels first, and the engine's word as a second opinion."""

from __future__ import annotations

from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from molmo_node.errors import NoAnswer
from molmo_node.instruments import (
    SteadyReading,
    fuse_clocks,
    fuse_gauges,
    read_clocks,
    read_gauges,
)
from molmo_node.messages import ClockReading, GaugeReading, Question, Reading, Vote
from molmo_node.models.engine import Engine, Reply
from molmo_node.worker.eyes import Asker, can_point, hint_in, point_at_gauge

ImageHWC = NDArray[np.uint8]

DIAL_TASKS = ("read_gauge", "read_clock")
ENGINE_CONFIDENCE = 0.6
"""How far an engine's reading is trusted where the engine does not say (`dial_confidence`):
Molmo-7B-D reads 68 % of clocks in the wild exactly (Molmo paper, table 10)."""
TRUSTED = 0.5
"""Below this an engine neither overrules pixels nor stands in for them: it only votes."""


def trust_in(engine: Engine) -> float:
    """How far an engine's own reading of a dial is trusted, 0..1."""
    return float(getattr(engine, "dial_confidence", ENGINE_CONFIDENCE))


class Gauges(Protocol):
    """Calibrated dials by name: what the worker needs of a profile store."""

    def names(self) -> list[str]:
        """The gauges that can be read, sorted."""
        ...

    def read(self, name: str, image_hwc: ImageHWC) -> GaugeReading:
        """Read one gauge, in pixels of the image given."""
        ...

    def steady(self, name: str) -> SteadyReading:
        """A new filter over time for one gauge's readings."""
        ...


class NoGauges:
    """A worker without profiles."""

    def names(self) -> list[str]:
        """None."""
        return []

    def read(self, name: str, image_hwc: ImageHWC) -> GaugeReading:
        """Never called: there are no names."""
        raise NoAnswer(f"no gauge is named {name!r}")

    def steady(self, name: str) -> SteadyReading:
        """A filter that lets every change pass."""
        return SteadyReading(window=1)


def unknown_gauge(name: str, gauges: Gauges) -> NoAnswer | None:
    """Why a gauge of that name cannot be read; None if it can. No name: the only one, or any."""
    names = gauges.names()
    if name in names or (not name and len(names) <= 1):
        return None
    if not names:
        return NoAnswer(
            f"no gauge is named {name!r}: there are no calibration profiles",
            hint="`molmo-node gauge new` makes one; without a name any dial is looked for",
        )
    found = f"no gauge is named {name!r}" if name else f"which of {len(names)} gauges?"
    return NoAnswer(found, hint=f"known are: {', '.join(names)}")


def read_dial(image_hwc: ImageHWC, question: Question, gauges: Gauges) -> Reading:
    """What pixels alone say: by profile where there is one, else the surest dial in the picture.

    Args:
        image_hwc: ``(H, W, 3) uint8, rgb8``.
        question: read_gauge or read_clock; a gauge that `unknown_gauge` lets pass.
    """
    name = question.text
    if question.task == "read_clock":
        refused = ClockReading(hour=None, status="refused", reason="no_dial", method="hands")
        return msgspec.structs.replace(next(iter(read_clocks(image_hwc)), refused), name=name)
    if gauges.names():
        return gauges.read(name or gauges.names()[0], image_hwc)
    return read_gauges(image_hwc)[0]


def wants_engine(reading: Reading, engine: Engine) -> bool:
    """Whether a second opinion is of use: for every clock, and for gauges that were not read."""
    if isinstance(reading, ClockReading):
        return reading.hour is None or trust_in(engine) >= TRUSTED
    return reading.value is None and not reading.name


def see_gauge(
    image_hwc: ImageHWC, reading: GaugeReading, reply: Reply, engine: Engine, ask: Asker
) -> GaugeReading:
    """A gauge that pixels alone did not read, read again where the engine points.

    Args:
        reading: the refused one; it stays where the engine sees no gauge.
        reply: the engine's answer to the same question.
        ask: asks the engine about the same picture.
    """
    trust = trust_in(engine)
    hint, pointed = hint_in(reply.points, engine.name, trust), None
    if hint is None and trust >= TRUSTED and can_point(engine):
        hint, pointed = point_at_gauge(image_hwc, ask, engine.name, trust)
    if hint is None:
        return reading
    again = read_gauges(image_hwc, hints=[hint])[0]
    if pointed is None:
        return again
    fused = fuse_gauges([again, pointed])
    is_alone = again.value is None and fused.value is not None
    return msgspec.structs.replace(fused, status="doubtful") if is_alone else fused


def with_engine(reading: Reading, reply: Reply, engine: Engine) -> Reading:
    """The reading after the engine's word. An engine alone is `doubtful`, never `ok`."""
    confidence = trust_in(engine)
    if isinstance(reading, ClockReading):
        return fuse_clocks(reading, reply.time, engine.name, confidence)
    vote = Vote(method=engine.name, value=reply.value, confidence=confidence)
    if reply.value is None or reading.value is not None or confidence < TRUSTED:
        return msgspec.structs.replace(reading, votes=(*reading.votes, vote))
    return msgspec.structs.replace(
        reading, value=reply.value, unit=reply.unit, status="doubtful", reason=None,
        method=engine.name, confidence=confidence, votes=(*reading.votes, vote),
    )  # fmt: skip

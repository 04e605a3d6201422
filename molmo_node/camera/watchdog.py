"""Whether a source is late or hangs: a decision table on the monotonic clock."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Phase = Literal["idle", "opening", "reading", "closing"]
Verdict = Literal["fine", "late", "hung"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Longest times allowed, in seconds, beyond the period in which a frame is expected.

    `late_s` leaves 0.5 s of the promised 2 s for the watchdog's own rhythm. Sources with timeouts
    of their own (network streams) give up before `read_hang_s` and `open_hang_s`.
    """

    late_s: float = 1.5
    read_hang_s: float = 4.0
    open_hang_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Pulse:
    """What the capture thread is at. Replaced as a whole, so that a reader sees one moment.

    Attributes:
        since_ns: when this phase began, monotonic.
        good_ns: when the last good frame came, or the source was opened; None while it is not.
        period_s: time between frames that the source is expected to keep.
    """

    phase: Phase
    since_ns: int
    good_ns: int | None = None
    period_s: float = 0.0


def verdict(pulse: Pulse, now_ns: int, limits: Limits, awake_ns: int = 0) -> Verdict:
    """Judge a pulse: ``hung`` when a call does not return, ``late`` when no good frame comes.

    Args:
        awake_ns: when this process last woke from being stopped or suspended; time before it
            is nobody's fault.
    """
    in_phase_s = (now_ns - max(pulse.since_ns, awake_ns)) / 1e9
    if in_phase_s > _longest_s(pulse, limits):
        return "hung"
    if pulse.good_ns is None:
        return "fine"
    silent_s = (now_ns - max(pulse.good_ns, awake_ns)) / 1e9
    return "late" if silent_s > limits.late_s + pulse.period_s else "fine"


def _longest_s(pulse: Pulse, limits: Limits) -> float:
    """How long one call of this phase may take."""
    if pulse.phase == "idle":
        return math.inf
    if pulse.phase == "opening":
        return limits.open_hang_s
    return limits.read_hang_s + pulse.period_s

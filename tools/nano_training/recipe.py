"""The one recipe: what is trained, in which order, at which rates.

Stages follow shared/reference measurements and docs/nano.md: small pictures first (four times
cheaper; things keep their size in pixels, so the step to large ones loses nothing), dense labels
throughout, dials by their key points, then full pictures of every kind, then the decay.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from molmo_node.sim.scene import Kind
from tools.nano_training.optimizer import Rates

_SMALL: dict[Kind, float] = {"objects": 0.55, "clock": 0.2, "gauge": 0.2, "mixed": 0.05}
_FULL: dict[Kind, float] = {"objects": 0.45, "clock": 0.2, "gauge": 0.17, "mixed": 0.18}
WARMUP_STEPS = 100
PEAK = Rates(muon=0.01, adam=0.002)


@dataclass(frozen=True)
class Stage:
    """A stretch of training at one picture size. `decays`: the rate falls to zero in it."""

    name: str
    steps: int
    side_px: int
    pictures: int
    mix: dict[Kind, float]
    dense: float
    questions: int = 8
    decays: bool = False


STAGES: tuple[Stage, ...] = (
    Stage("small", 12_000, 168, 24, _SMALL, 0.5, questions=6),
    Stage("full", 24_000, 336, 16, _FULL, 0.5),
    Stage("settle", 6_000, 336, 16, _FULL, 0.25, decays=True),
)


def stage_at(step: int) -> tuple[Stage, int]:
    """The stage of a step (counted from 0), and the steps done in it; the last goes on for ever."""
    for stage in STAGES[:-1]:
        if step < stage.steps:
            return stage, step
        step -= stage.steps
    return STAGES[-1], step


def rates_at(step: int) -> Rates:
    """Warm-up, then constant, then down to 2 % over the last stage."""
    stage, inside = stage_at(step)
    gain = min(1.0, (step + 1) / WARMUP_STEPS)
    if stage.decays:
        gain *= 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, inside / stage.steps)))
    return Rates(PEAK.muon * gain, PEAK.adam * gain)


def total_steps() -> int:
    """Steps of the whole recipe."""
    return sum(stage.steps for stage in STAGES)

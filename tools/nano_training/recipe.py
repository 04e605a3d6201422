"""The recipes: what is trained, in which order, at which rates.

The order follows what was measured (docs/nano.md): small pictures first, four times cheaper,
in which things keep their size in pixels; dense labels throughout; dials by their key points;
then full pictures of every kind; then the decay.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from molmo_node.sim.scene import Kind
from tools.nano_training.optimizer import Rates

_SMALL: dict[Kind, float] = {"objects": 0.55, "clock": 0.2, "gauge": 0.2, "mixed": 0.05}
_FULL: dict[Kind, float] = {"objects": 0.45, "clock": 0.2, "gauge": 0.17, "mixed": 0.18}


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


@dataclass(frozen=True)
class Recipe:
    """Stages in order, the highest rates, and the steps of warm-up."""

    stages: tuple[Stage, ...]
    peak: Rates
    warmup_steps: int = 100

    def stage_at(self, step: int) -> tuple[Stage, int]:
        """The stage of a step (counted from 0) and the steps done in it; the last never ends."""
        for stage in self.stages[:-1]:
            if step < stage.steps:
                return stage, step
            step -= stage.steps
        return self.stages[-1], step

    def rates_at(self, step: int) -> Rates:
        """Warm-up, then constant, then down to 2 % over a stage that decays."""
        stage, inside = self.stage_at(step)
        gain = min(1.0, (step + 1) / self.warmup_steps)
        if stage.decays:
            gain *= 0.02 + 0.49 * (1 + math.cos(math.pi * min(1.0, inside / stage.steps)))
        return Rates(self.peak.muon * gain, self.peak.adam * gain)

    @property
    def total_steps(self) -> int:
        """Steps of all stages."""
        return sum(stage.steps for stage in self.stages)


FROM_NOTHING = Recipe(
    stages=(
        Stage("small", 8_000, 168, 24, _SMALL, 0.5, questions=6),
        Stage("full", 24_000, 336, 16, _FULL, 0.5),
        Stage("settle", 6_000, 336, 16, _FULL, 0.25, decays=True),
    ),
    peak=Rates(muon=0.01, adam=0.002),
)
FINE_TUNING = Recipe(
    stages=(Stage("own pictures", 600, 336, 8, _FULL, 0.0, decays=True),),
    peak=Rates(muon=0.002, adam=0.0004),
    warmup_steps=20,
)

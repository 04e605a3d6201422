"""The recipes: what is trained, in which order, at which rates.

The order follows what was measured (docs/nano.md): small pictures first, four times cheaper,
in which things keep their size in pixels; dense labels throughout; then full pictures of
everything in turns with small ones of dials, because dials are read from small cut-outs; then
two of dials for one of everything, because dials are learned last; then the decay, and a short
one more for tables on which more things stand than before; then the highest rate and the decay
once more, with rooms that are cluttered; then once more with collages of rendered things.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from molmo_node.sim.scene import Kind
from tools.nano_training.optimizer import Rates


@dataclass(frozen=True)
class Turn:
    """What one step draws: how many pictures of which size and kinds, with how many questions;
    a share of them are `collages` of rendered things instead of drawings."""

    side_px: int
    pictures: int
    mix: dict[Kind, float]
    questions: int = 8
    collages: float = 0.0


@dataclass(frozen=True)
class Stage:
    """A stretch of training whose steps take turns. `decays`: the rate falls to zero in it;
    `gain`: at which share of the highest rate it begins."""

    name: str
    steps: int
    turns: tuple[Turn, ...]
    dense: float
    decays: bool = False
    gain: float = 1.0

    def turn_at(self, inside: int) -> Turn:
        """The turn of a step that is `inside` steps into the stage."""
        return self.turns[inside % len(self.turns)]


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
        gain = stage.gain * min(1.0, (step + 1) / self.warmup_steps)
        if stage.decays:
            gain *= 0.02 + 0.49 * (1 + math.cos(math.pi * min(1.0, inside / stage.steps)))
        return Rates(self.peak.muon * gain, self.peak.adam * gain)

    @property
    def total_steps(self) -> int:
        """Steps of all stages."""
        return sum(stage.steps for stage in self.stages)


_SMALL = Turn(168, 24, {"objects": 0.55, "clock": 0.2, "gauge": 0.2, "mixed": 0.05}, questions=6)
_DIALS = Turn(168, 24, {"objects": 0.15, "clock": 0.45, "gauge": 0.35, "mixed": 0.05}, questions=6)
_FULL = Turn(
    336, 16, {"objects": 0.42, "clock": 0.1, "gauge": 0.1, "mixed": 0.2, "cluttered": 0.18}
)
_ROOMS = Turn(
    336, 16, {"objects": 0.34, "clock": 0.1, "gauge": 0.1, "mixed": 0.16, "cluttered": 0.3}
)
_RENDERED = Turn(
    336, 16, {"objects": 0.4, "clock": 0.1, "gauge": 0.1, "mixed": 0.2, "cluttered": 0.2},
    collages=0.55,
)  # fmt: skip

FROM_NOTHING = Recipe(
    stages=(
        Stage("small", 800, (_SMALL,), 0.5),
        Stage("full", 4_300, (_FULL, _DIALS), 0.5),
        Stage("dials", 2_100, (_FULL, _DIALS, _DIALS), 0.5),
        Stage("settle", 2_900, (_FULL, _DIALS), 0.25, decays=True),
        Stage("crowds", 700, (_FULL, _FULL, _DIALS), 0.25, decays=True, gain=0.25),
        Stage("again", 4_200, (_FULL, _FULL, _DIALS), 0.5),
        Stage("finish", 4_700, (_ROOMS, _DIALS), 0.25, decays=True),
        Stage("rendered", 4_000, (_RENDERED, _RENDERED, _DIALS), 0.5, gain=0.6),
        Stage("last", 3_207, (_RENDERED, _RENDERED, _DIALS), 0.25, decays=True, gain=0.6),
        Stage("hung", 1_900, (_RENDERED, _DIALS), 0.25, decays=True, gain=0.2),
        Stage("tips", 700, (_RENDERED, _DIALS, _DIALS), 0.1, decays=True, gain=0.15),
    ),
    peak=Rates(muon=0.01, adam=0.002),
)
FINE_TUNING = Recipe(
    stages=(Stage("own pictures", 600, (_FULL, _DIALS), 0.0, decays=True),),
    peak=Rates(muon=0.002, adam=0.0004),
    warmup_steps=20,
)

"""What a step draws. A batch is a pure function of the run's seed and the step."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import cv2

from molmo_node.errors import ConfigError
from molmo_node.sim.scene import Scene, make_scene
from tools.nano_training.batches import Batch, collate
from tools.nano_training.collage import Library, make_collage
from tools.nano_training.cutouts import load
from tools.nano_training.questions import Asked, questions_about
from tools.nano_training.recipe import FROM_NOTHING, Turn

_SHAPES = ((1.0, 1.0), (1.0, 1.0), (1.0, 0.75), (1.0, 0.67), (1.0, 0.57), (0.75, 1.0))


def _draw_scene(rng: random.Random, seed: int, turn: Turn, library: Library | None) -> Scene:
    kind = rng.choices(list(turn.mix), list(turn.mix.values()))[0]
    across, down = (int(turn.side_px * share) for share in rng.choice(_SHAPES))
    if library is not None and rng.random() < turn.collages:
        return make_collage(seed, library, across, down)
    return make_scene(seed, kind, across, down)


def draw_pairs(
    rng: random.Random, turn: Turn, count: int, library: Library | None = None
) -> list[tuple[Scene, list[Asked]]]:
    """Draw `count` scenes and ask about each; collages only where there is a library."""
    pairs = []
    for _ in range(count):
        scene = _draw_scene(rng, rng.getrandbits(48), turn, library)
        pairs.append((scene, questions_about(rng, scene, turn.questions)))
    return pairs


def make_batch(seed: int, turn: Turn, library: Library | None = None) -> Batch:
    """The batch of one turn; the same for the same arguments."""
    rng = random.Random(seed)
    return collate(rng, draw_pairs(rng, turn, turn.pictures, library), turn.side_px)


@dataclass(frozen=True)
class RecipeBatches:
    """The batch of a step of `FROM_NOTHING`: a pure function, but for the file of cut-outs."""

    cutouts: Path | None = None

    def __call__(self, seed: int, step: int) -> Batch:
        cv2.setNumThreads(1)
        stage, inside = FROM_NOTHING.stage_at(step)
        turn = stage.turn_at(inside)
        library = None
        if turn.collages:
            if self.cutouts is None:
                raise ConfigError(
                    f"step {step} is of the stage {stage.name!r}, which needs rendered things",
                    hint="make them with `python -m tools.make_cutouts`, then give --cutouts FILE",
                )
            library = load(self.cutouts)
        return make_batch(seed * 1_000_003 + step, turn, library)

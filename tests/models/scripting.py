"""Scripted answers on random weights: all compute is real, the greedy answer is given."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from molmo_node.models.molmo_engine import MolmoEngine

# Far above any logit, so that the scripted token is always the model's choice.
LEAD = 1e4


class Script:
    """A logits hook that makes the model say one given answer, row by row the same."""

    def __init__(self, ids: Sequence[int], end_id: int) -> None:
        self.ids = [*ids, end_id]

    def __call__(self, logits: Tensor, _rows: Tensor, places: Tensor) -> Tensor:
        logits = logits.clone()
        for number, place in enumerate(places.tolist()):
            logits[number, self.ids[min(place, len(self.ids) - 1)]] += LEAD
        return logits


def say(engine: MolmoEngine, text: str) -> None:
    """Let the engine's next answers be this text."""
    family = engine.family
    engine.hook = Script(family.answer_ids(text), min(family.end_ids))


def noise(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    """A picture that no other seed gives."""
    shape = (height, width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def percent_answer(points: Sequence[tuple[float, float]], label: str) -> str:
    """Molmo v1's answer with these points."""
    if len(points) == 1:
        x, y = points[0]
        return f' <point x="{x:.1f}" y="{y:.1f}" alt="{label}">{label}</point>'
    pairs = " ".join(f'x{n}="{x:.1f}" y{n}="{y:.1f}"' for n, (x, y) in enumerate(points, start=1))
    return f' <points {pairs} alt="{label}">{label}</points>'


def thousandth_answer(points: Sequence[tuple[float, float]], label: str) -> str:
    """Molmo2's answer with these points, given in percent."""
    fields = " ".join(
        f"{n} {round(x * 10):03d} {round(y * 10):03d}" for n, (x, y) in enumerate(points, start=1)
    )
    return f'<points coords="1 {fields}">{label}</points>'

"""The training loss: patches, cells and offsets of points, the stop key, and dense labels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor

from molmo_node.models.nano.network import Encoded, Nano, Text
from molmo_node.models.nano.vocabulary import ASK_READ
from tools.nano_training.batches import Batch, Targets


@dataclass(frozen=True)
class LossWeights:
    """How much each part counts. The stop key has its own, see docs/nano.md."""

    patch: float = 1.0
    stop: float = 1.0
    cell: float = 0.3
    offset: float = 0.5
    dense: float = 0.5


def as_input(images: Tensor) -> Tensor:
    """``(batch, side, side, 3) uint8`` → ``(batch, 3, side, side) float`` in -1..1."""
    return images.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def text_mask(question: Tensor, image_tokens: int) -> Tensor:
    """Every token sees the picture and the earlier tokens of its own question."""
    batch, tokens = question.shape
    same = question[:, :, None] == question[:, None, :]
    earlier = torch.ones(tokens, tokens, dtype=torch.bool, device=question.device).tril()
    picture = same.new_ones(batch, tokens, image_tokens)
    return torch.cat((picture, same & earlier), 2).unsqueeze(1)


def losses(model: Nano, batch: Batch, weights: LossWeights) -> dict[str, Tensor]:
    """The parts of the loss, weighted; their sum is what training lowers."""
    seen = model.encode(as_input(batch.images))
    mask = text_mask(batch.question, seen.past[0][0].shape[2])
    text = Text(batch.ids, batch.steps, batch.chosen, mask)
    hidden, _ = model.decode(seen, seen.past, text)
    goal = batch.targets
    belonging = model.belonging(seen, batch.chosen)
    logits = model.patch_logits(hidden, seen.patches, _before(batch) @ belonging)
    out = {"stop": weights.stop * _stop_loss(model, hidden, logits, goal)}
    out.update(_point_losses(model, seen, hidden, logits, goal, weights))
    out.update(_dense_losses(model, seen, goal, weights.dense))
    return out


def _before(batch: Batch) -> Tensor:
    """Which points were named before each token of a pointing answer: ``(batch, t, t) float``.

    Key points hold nothing back: two hands may end in one patch.
    """
    visible = text_mask(batch.question, 0)[:, 0]
    reads = (visible & (batch.ids == ASK_READ)[:, None]).any(-1, keepdim=True)
    return (visible & (batch.chosen >= 0)[:, None] & ~reads).float()


def _stop_loss(model: Nano, hidden: Tensor, logits: Tensor, goal: Targets) -> Tensor:
    picture, token = goal.stop_rows.unbind(1)
    score = model.stop_logit(hidden[picture, token], logits[picture, token])
    return functional.binary_cross_entropy_with_logits(score, goal.is_stop)


def _point_losses(
    model: Nano, seen: Encoded, hidden: Tensor, logits: Tensor, goal: Targets, weights: LossWeights
) -> dict[str, Tensor]:
    picture, token = goal.point_rows.unbind(1)
    total = goal.weight.sum().clamp(min=1)

    def mean(rows: Tensor) -> Tensor:
        return (rows * goal.weight).sum() / total

    state, patch = hidden[picture, token], seen.patches[picture, goal.patch]
    cells = seen.cells[picture, goal.patch]
    right_cell = cells[torch.arange(len(cells), device=cells.device), goal.cell]
    cell_logits = model.cell_logits(state, patch, cells).float()
    offset = model.cell_offset(state, patch, right_cell).float()
    by_patch = functional.cross_entropy(logits[picture, token], goal.patch, reduction="none")
    by_cell = functional.cross_entropy(cell_logits, goal.cell, reduction="none")
    return {
        "patch": weights.patch * mean(by_patch),
        "cell": weights.cell * mean(by_cell),
        "offset": weights.offset * mean((offset - goal.offset_xy).abs().sum(1)),
    }


def _dense_losses(model: Nano, seen: Encoded, goal: Targets, weight: float) -> dict[str, Tensor]:
    """What each patch shows; empty patches, the many, count a sixth."""
    if weight == 0:
        return {}
    scores = model.dense(seen.patches).float().split(model.dense_sizes, -1)
    labels = {"nouns": goal.nouns, "colors": goal.colors, "parts": goal.parts}
    out = {}
    for (name, label), score in zip(labels.items(), scores, strict=True):
        balance = torch.ones(score.shape[-1], device=score.device)
        balance[0] = 0.15
        out[name] = weight * functional.cross_entropy(
            score.transpose(1, 2), label, weight=balance, ignore_index=-1
        )
    return out

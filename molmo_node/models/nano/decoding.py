"""Answering: from questions to points, all questions of a picture in one batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from molmo_node.models.nano import vocabulary
from molmo_node.models.nano.network import CELL_PX, Encoded, Nano, Text

Tokens = tuple[int, int, int]
STOP_ABOVE = 0.5  # probability of "no more points" that ends an answer
NO_DIAL_ABOVE = 0.98  # that by which a dial is taken not to be there without a closer look
DOUBT_BELOW = 0.1  # the mean of the closer looks' that outweighs a first look's doubt


@dataclass
class Pointed:
    """Points in pixels of the network's picture.

    `stop_p` is the probability of "no more points" before each point and at the end;
    `patch_p` that of each chosen patch among all.
    """

    points_xy: list[tuple[float, float]] = field(default_factory=list)
    stop_p: list[float] = field(default_factory=list)
    patch_p: list[float] = field(default_factory=list)
    is_done: bool = False


def point(
    model: Nano,
    seen: Encoded,
    questions: Sequence[Tokens],
    is_cancelled: Callable[[int], bool] = lambda index: False,
    stop_above: float = STOP_ABOVE,
    favor: Tensor | None = None,
    no_dial_above: float = STOP_ABOVE,
) -> tuple[list[Pointed], int]:
    """Answer questions about one encoded picture (its batch is 1).

    Args:
        stop_above: probability of "no more points" that ends an answer of points.
        no_dial_above: that by which there is no dial to read.
        favor: what is added to the patches' scores, ``(questions, patches)``; see `tint`.

    Returns:
        An answer for each question, and how many forwards of the decoder it took.
    """
    answers = [Pointed() for _ in questions]
    ids = torch.tensor(questions, dtype=torch.long)
    seen = _repeated(seen, len(questions))
    text = Text(ids, torch.zeros_like(ids), torch.full_like(ids, -1), _question_mask(seen))
    hidden, past = model.decode(seen, seen.past, text)
    is_reading = [tokens[0] == vocabulary.ASK_READ for tokens in questions]
    reads = torch.tensor(is_reading).unsqueeze(1)
    limits = [no_dial_above if reading else stop_above for reading in is_reading]
    named = torch.zeros(seen.patches.shape[:2])
    favor = named if favor is None else favor
    for step in range(vocabulary.MAX_POINTS):
        logits = model.patch_logits(hidden[:, -1:], seen.patches, named.unsqueeze(1))[:, 0] + favor
        chosen = _next_points(model, seen, hidden[:, -1], logits, is_reading, answers, limits)
        for index, answer in enumerate(answers):
            answer.is_done = answer.is_done or is_cancelled(index)
        if all(answer.is_done for answer in answers):
            return answers, step + 1
        if step + 1 == vocabulary.MAX_POINTS:
            break
        row = chosen.unsqueeze(1)
        named = named + model.belonging(seen, row)[:, 0].masked_fill(reads, 0.0)
        text = Text(torch.full_like(row, vocabulary.POINT), torch.full_like(row, step), row, None)
        hidden, past = model.decode(seen, past, text)
    return answers, vocabulary.MAX_POINTS


def _repeated(seen: Encoded, count: int) -> Encoded:
    """The same picture for each question; no memory is copied."""
    past = [(k.expand(count, -1, -1, -1), v.expand(count, -1, -1, -1)) for k, v in seen.past]
    patches = seen.patches.expand(count, -1, -1)
    return Encoded(patches, seen.cells.expand(count, -1, -1, -1), past, seen.columns)


def _question_mask(seen: Encoded) -> Tensor:
    """A question's three words see the picture and the words before them."""
    image_tokens = seen.past[0][0].shape[2]
    words = torch.ones(3, 3, dtype=torch.bool).tril()
    return torch.cat((words.new_ones(3, image_tokens), words), 1)[None, None]


def _next_points(model: Nano, seen: Encoded, hidden: Tensor, logits: Tensor,
                 is_reading: list[bool], answers: list[Pointed],
                 limits: list[float]) -> Tensor:  # fmt: skip
    """Enter one point, or the end, into each answer that is not done; the chosen patches."""
    stop_p = model.stop_logit(hidden, logits).sigmoid()
    patch_p, chosen = logits.softmax(-1).max(-1)
    xy = _places(model, seen, hidden, chosen)
    for index, answer in enumerate(answers):
        if answer.is_done:
            continue
        given = len(answer.points_xy)
        if given == 0 or not is_reading[index]:
            answer.stop_p.append(float(stop_p[index]))
            if answer.stop_p[-1] > limits[index]:
                answer.is_done = True
                continue
        answer.points_xy.append((float(xy[index, 0]), float(xy[index, 1])))
        answer.patch_p.append(float(patch_p[index]))
        answer.is_done = is_reading[index] and given + 1 == vocabulary.KEY_POINTS
    return chosen


def _places(model: Nano, seen: Encoded, hidden: Tensor, chosen: Tensor) -> Tensor:
    """Pixels of chosen patches: the best cell inside, and the offset inside the cell."""
    row = torch.arange(len(chosen))
    patch, cells = seen.patches[row, chosen], seen.cells[row, chosen]
    cell = model.cell_logits(hidden, patch, cells).argmax(-1)
    offset = model.cell_offset(hidden, patch, cells[row, cell]).float()
    column = chosen % seen.columns * 2 + cell % 2
    line = chosen // seen.columns * 2 + cell // 2
    return (torch.stack((column, line), 1) + 0.5 + offset) * CELL_PX

"""Scenes and questions as tensors."""

from __future__ import annotations

import random
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from molmo_node.models.nano import vocabulary
from molmo_node.models.nano.network import CELL_PX, PATCH_PX
from molmo_node.sim.scene import Scene
from tools.nano_training.questions import Asked

_PARTS = ("background", "face", "hour", "minute", "needle")


@dataclass(frozen=True)
class Targets:
    """What the network should answer; rows index ``(picture, text token)``.

    `stop_rows` ``(s, 2)``, `is_stop` ``(s,)``; `point_rows` ``(p, 2)`` with `patch`, `cell`,
    `offset_xy` (in cells) and `weight` (the targets of one step share 1).
    `nouns`, `colors`, `parts` ``(batch, patches)``, -1 where not known.
    """

    stop_rows: Tensor
    is_stop: Tensor
    point_rows: Tensor
    patch: Tensor
    cell: Tensor
    offset_xy: Tensor
    weight: Tensor
    nouns: Tensor
    colors: Tensor
    parts: Tensor


@dataclass(frozen=True)
class Batch:
    """Pictures ``(batch, side, side, 3) uint8``, their text tokens ``(batch, tokens)`` with the
    number of the question each belongs to (-1 for padding), and the targets."""

    images: Tensor
    ids: Tensor
    steps: Tensor
    chosen: Tensor
    question: Tensor
    targets: Targets


def patch_of(point_xy: NDArray[np.float32], columns: int) -> tuple[int, int, float, float]:
    """Patch, cell in the patch, and offset from the cell's middle in cells, of a point."""
    edge = 2 * columns * CELL_PX - 0.01
    x, y = (min(edge, max(0.0, float(v))) for v in point_xy)
    column, row = int(x / CELL_PX), int(y / CELL_PX)
    patch = row // 2 * columns + column // 2
    cell = row % 2 * 2 + column % 2
    return patch, cell, x / CELL_PX - column - 0.5, y / CELL_PX - row - 0.5


class _Rows:
    """Grows the text and the targets of one batch."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.text: list[list[tuple[int, int, int, int]]] = []  # id, step, chosen, question
        self.stops: list[tuple[int, int, float]] = []
        self.points: list[tuple[int, int, int, int, float, float, float]] = []

    def add(self, picture: int, number: int, asked: Asked, order: list[int]) -> None:
        """One question: its words, then its points in `order`."""
        row = self.text[picture]
        for token in vocabulary.question_tokens(asked.task, asked.phrase):
            row.append((token, 0, -1, number))
        places = [patch_of(asked.points_xy[index], self.columns) for index in order]
        for step in range(len(places) + 1):
            at = len(row) - 1
            if step == 0 or not asked.is_ordered:
                self.stops.append((picture, at, float(step == len(places))))
            left = places[step : step + 1] if asked.is_ordered else places[step:]
            self.points += [(picture, at, *place, 1 / len(left)) for place in left]
            if step < len(places) - asked.is_ordered:  # after the last key point nothing is asked
                row.append((vocabulary.POINT, step, places[step][0], number))

    def text_arrays(self) -> NDArray[np.int64]:
        """``(batch, tokens, 4)``, padded."""
        longest = max(len(row) for row in self.text)
        out = np.zeros((len(self.text), longest, 4), np.int64)
        out[:, :, 2:] = -1
        for index, row in enumerate(self.text):
            out[index, : len(row)] = np.array(row, np.int64).reshape(-1, 4)
        return out


def letterboxed(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The picture in the top left corner of a grey square."""
    out = np.full((side, side, 3), 127, np.uint8)
    out[: image.shape[0], : image.shape[1]] = image
    return out


def _majority(labels_hw: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Each patch's median of nine samples, row by row."""
    full = np.zeros((side, side), np.uint8)
    full[: labels_hw.shape[0], : labels_hw.shape[1]] = labels_hw
    grid = side // PATCH_PX
    split = full.reshape(grid, PATCH_PX, grid, PATCH_PX)[:, 3:12:4, :, 3:12:4]
    return np.sort(split.transpose(0, 2, 1, 3).reshape(grid * grid, 9), 1)[:, 4]


def _part_labels(scene: Scene, side: int) -> NDArray[np.int64]:
    """What part of a dial each patch shows, an index into `_PARTS`; a thin hand wins with 6 px."""
    parts = np.zeros((side, side), np.uint8)
    for dial in [truth.dial for truth in (*scene.clocks, *scene.gauges)]:
        cv2.fillPoly(parts, [np.round(dial.case_xy).astype(np.int32)], 1)
    lines = [(c.dial.keys_xy[0], c.dial.keys_xy[4], 2) for c in scene.clocks]
    lines += [(c.dial.keys_xy[0], c.dial.keys_xy[3], 3) for c in scene.clocks]
    lines += [(g.dial.keys_xy[0], g.dial.keys_xy[4], 4) for g in scene.gauges]
    for start, end, part in lines:
        ends = [tuple(round(float(v)) for v in point) for point in (start, end)]
        cv2.line(parts, ends[0], ends[1], part, 3)
    grid = side // PATCH_PX
    split = parts.reshape(grid, PATCH_PX, grid, PATCH_PX).transpose(0, 2, 1, 3)
    split = split.reshape(grid * grid, PATCH_PX**2)
    count = np.stack([(split == part).sum(1) for part in range(len(_PARTS))], 1)
    hands = np.where(count[:, 2:].max(1) >= 6, count[:, 2:].argmax(1) + 2, 0)
    return np.where(hands > 0, hands, (count[:, 1] > PATCH_PX**2 // 2).astype(np.int64))


def _dense_labels(scene: Scene, side: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Noun and colour of each patch: 0 nothing, else 1 + index; -1 where not fair to say."""
    nouns, colors = np.zeros(256, np.int64), np.zeros(256, np.int64)
    for thing in scene.things:
        named = thing.is_clear and thing.noun in vocabulary.NOUNS
        nouns[thing.number] = vocabulary.NOUNS.index(thing.noun) + 1 if named else -1
        colors[thing.number] = vocabulary.COLORS.index(thing.color) + 1 if thing.color else -1
    patch = _majority(scene.instance_hw, side)
    return nouns[patch], colors[patch]


def collate(rng: random.Random, pairs: list[tuple[Scene, list[Asked]]], side: int) -> Batch:
    """Scenes with their questions as one batch; points of unordered answers are shuffled."""
    rows = _Rows(side // PATCH_PX)
    for picture, (_, questions) in enumerate(pairs):
        rows.text.append([])
        for number, asked in enumerate(questions):
            order = list(range(len(asked.points_xy)))
            if not asked.is_ordered:
                rng.shuffle(order)
            rows.add(picture, number, asked, order)
    scenes = [scene for scene, _ in pairs]
    dense = [_dense_labels(scene, side) for scene in scenes]
    text = torch.from_numpy(rows.text_arrays())
    images = np.stack([letterboxed(scene.image_hwc, side) for scene in scenes])
    return Batch(
        images=torch.from_numpy(images),
        ids=text[..., 0],
        steps=text[..., 1],
        chosen=text[..., 2],
        question=text[..., 3],
        targets=_targets(rows, dense, [_part_labels(scene, side) for scene in scenes]),
    )


def _targets(
    rows: _Rows,
    dense: list[tuple[NDArray[np.int64], NDArray[np.int64]]],
    parts: list[NDArray[np.int64]],
) -> Targets:
    stops = torch.tensor(rows.stops, dtype=torch.float64).view(-1, 3)
    points = torch.tensor(rows.points, dtype=torch.float64).view(-1, 7)
    return Targets(
        stop_rows=stops[:, :2].long(),
        is_stop=stops[:, 2].float(),
        point_rows=points[:, :2].long(),
        patch=points[:, 2].long(),
        cell=points[:, 3].long(),
        offset_xy=points[:, 4:6].float(),
        weight=points[:, 6].float(),
        nouns=torch.from_numpy(np.stack([nouns for nouns, _ in dense])),
        colors=torch.from_numpy(np.stack([colors for _, colors in dense])),
        parts=torch.from_numpy(np.stack(parts)),
    )

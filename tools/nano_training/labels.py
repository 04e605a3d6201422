"""A user's own labelled pictures: the file's format, its checks, and batches from it.

The format is written down in docs/nano.md.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from molmo_node.errors import ConfigError
from molmo_node.models.nano.vocabulary import ASK_POINT, ASK_READ, MAX_POINTS
from molmo_node.models.nano.words import Phrase, parse_phrase, what_can_be_asked
from molmo_node.sim.photometry import photograph
from molmo_node.sim.scene import Scene
from tools.nano_training.batches import Batch, collate
from tools.nano_training.drawing import draw_pairs
from tools.nano_training.questions import Asked
from tools.nano_training.recipe import Stage

PointXY = tuple[float, float]


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class PointsLabel(_Strict):
    """Where all things are that a phrase names; an empty list: none is in the picture."""

    query: str
    at: list[PointXY]


class ClockLabel(_Strict):
    """A clock's key points: pivot, the marks at 12 and 3, the ends of both hands."""

    center: PointXY
    twelve: PointXY
    three: PointXY
    minute_tip: PointXY
    hour_tip: PointXY


class GaugeLabel(_Strict):
    """A gauge's key points: pivot, the scale's first, middle and last mark, the needle's end."""

    center: PointXY
    first_mark: PointXY
    middle_mark: PointXY
    last_mark: PointXY
    needle_tip: PointXY


class Item(_Strict):
    """One picture (path relative to the labels file) with what is known about it."""

    image: str
    points: list[PointsLabel] = []
    clock: ClockLabel | None = None
    gauge: GaugeLabel | None = None


class LabelFile(_Strict):
    """The whole file; `version` is 1."""

    version: int
    items: list[Item]


@dataclass(frozen=True)
class OwnPicture:
    """A checked item: pixels ``(H, W, 3) uint8, rgb8`` and its questions with answers."""

    image_hwc: NDArray[np.uint8]
    questions: tuple[Asked, ...]


def read_labels(path: Path) -> list[OwnPicture]:
    """Read and check a labels file and its pictures.

    Raises:
        ConfigError: what is wrong, in which item, and what was expected.
    """
    try:
        file = msgspec.json.decode(path.read_bytes(), type=LabelFile)
    except OSError as exc:
        raise ConfigError(f"{path}: the labels cannot be read ({exc.strerror})") from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ConfigError(
            f"{path}: not a labels file: {exc}", hint="docs/nano.md shows the format"
        ) from exc
    if file.version != 1:
        raise ConfigError(f"{path}: version {file.version}, expected 1")
    if not file.items:
        raise ConfigError(f"{path}: no items, at least one labelled picture is needed")
    return [
        _checked(path.parent, item, f"{path}: items[{index}] ({item.image})")
        for index, item in enumerate(file.items)
    ]


def _checked(folder: Path, item: Item, where: str) -> OwnPicture:
    raw = cv2.imread(str(folder / item.image), cv2.IMREAD_COLOR)
    if raw is None:
        raise ConfigError(f"{where}: the picture is missing or cannot be read")
    image = np.asarray(raw, np.uint8)[..., ::-1]
    questions = [_asked_points(label, where) for label in item.points]
    for noun, label in (("clock", item.clock), ("gauge", item.gauge)):
        if label is not None:
            keys = np.array(msgspec.structs.astuple(label), np.float32)
            questions.append(Asked(ASK_READ, Phrase("", noun), keys, True))
    if not questions:
        raise ConfigError(f"{where}: nothing is labelled: give points, clock or gauge")
    height, width = image.shape[:2]
    for asked in questions:
        outside = [p for p in asked.points_xy.tolist() if not _is_inside(p, width, height)]
        if outside:
            raise ConfigError(f"{where}: {outside[0]} lies outside {width} x {height} px")
    return OwnPicture(np.ascontiguousarray(image), tuple(questions))


def _is_inside(point: list[float], width: int, height: int) -> bool:
    return 0 <= point[0] <= width and 0 <= point[1] <= height


def _asked_points(label: PointsLabel, where: str) -> Asked:
    phrase = parse_phrase(label.query)
    if not isinstance(phrase, Phrase):
        raise ConfigError(
            f"{where}: {label.query!r} cannot be said in molmo-nano's words",
            hint=what_can_be_asked(),
        )
    if len(label.at) >= MAX_POINTS:
        raise ConfigError(f"{where}: {len(label.at)} points, at most {MAX_POINTS - 1} are learned")
    points = np.array(label.at, np.float32).reshape(-1, 2)
    return Asked(ASK_POINT, phrase, points, False)


def _varied(rng: random.Random, own: OwnPicture, side: int) -> tuple[Scene, list[Asked]]:
    """The picture cut a little (never a labelled point), resized to fit, and photographed."""
    height, width = own.image_hwc.shape[:2]
    labelled = np.concatenate([asked.points_xy for asked in own.questions])
    low = labelled.min(0) if len(labelled) else np.array((width / 2, height / 2))
    high = labelled.max(0) if len(labelled) else low
    left, top = (int(rng.uniform(0, min(0.25 * s, v))) for s, v in zip((width, height), low,
                                                                        strict=True))  # fmt: skip
    right, bottom = (
        int(rng.uniform(max(0.75 * s, v), s)) + 1
        for s, v in zip((width - 1, height - 1), high, strict=True)
    )
    cut = own.image_hwc[top:bottom, left:right]
    scale = side / max(cut.shape[:2]) * rng.uniform(0.75, 1.0)
    size = max(1, int(cut.shape[1] * scale)), max(1, int(cut.shape[0] * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    image = photograph(rng, np.asarray(cv2.resize(cut, size, interpolation=how), np.uint8))
    questions = [
        Asked(
            asked.task,
            asked.phrase,
            ((asked.points_xy - (left, top)) * scale).astype(np.float32),
            asked.is_ordered,
        )
        for asked in own.questions
    ]
    return Scene(image, np.zeros(image.shape[:2], np.uint8)), questions


@dataclass(frozen=True)
class OwnBatches:
    """Makes batches of which half are own pictures and half drawn scenes, so that what was
    learned before is not forgotten. A batch is a pure function of seed and step."""

    pictures: Sequence[OwnPicture]
    stage: Stage

    def __call__(self, seed: int, step: int) -> Batch:
        rng = random.Random(seed * 1_000_003 + step)
        turn = self.stage.turn_at(step)
        half = turn.pictures // 2
        own = [_varied(rng, rng.choice(self.pictures), turn.side_px) for _ in range(half)]
        drawn = draw_pairs(rng, turn, turn.pictures - half)
        return collate(rng, own + drawn, turn.side_px)

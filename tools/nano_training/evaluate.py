"""Figures on fixed simulated scenes that training never draws."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from molmo_node.models.nano.decoding import Pointed, point
from molmo_node.models.nano.dials import clock_time, gauge_fraction
from molmo_node.models.nano.network import Nano
from molmo_node.models.nano.vocabulary import ASK_READ, question_tokens
from molmo_node.sim.scene import Kind, Scene, make_scene
from tools.nano_training.batches import letterboxed
from tools.nano_training.losses import as_input
from tools.nano_training.questions import Asked, pointing_questions, reading_questions

FIRST_SEED = 1 << 60  # training draws its seeds below 2**48
KINDS: tuple[Kind, ...] = ("objects", "objects", "mixed", "clock", "gauge")


@dataclass(frozen=True)
class Scored:
    """One question, its answer, and what came of it: figures by name, and a loss for ranking."""

    scene: Scene
    asked: Asked
    answer: Pointed
    figures: dict[str, float]
    badness: float


def fixed_scenes(count: int, kinds: tuple[Kind, ...] = KINDS, side: int = 336) -> Iterable[Scene]:
    """The first `count` evaluation scenes: kinds take turns."""
    for index in range(count):
        yield make_scene(FIRST_SEED + index, kinds[index % len(kinds)], side, side)


def _numbers_at(scene: Scene, points: list[tuple[float, float]]) -> list[int]:
    height, width = scene.instance_hw.shape
    return [
        int(scene.instance_hw[int(y), int(x)]) if 0 <= x < width and 0 <= y < height else 0
        for x, y in points
    ]


def f1(found: list[int], wanted: tuple[int, ...]) -> float:
    """PixMo-Points' F1: a point counts for the thing whose mask it lies in, once."""
    if not found or not wanted:
        return float(not found and not wanted)
    hits = len(set(found) & set(wanted))
    return 2 * hits / (len(found) + len(wanted))


def _score_pointing(scene: Scene, asked: Asked, answer: Pointed) -> tuple[dict[str, float], float]:
    found = _numbers_at(scene, answer.points_xy)
    if not asked.numbers:
        return {"absent": float(not found)}, float(len(found))
    figures = {"wrong_abstention": float(not found)}
    hit = float(bool(found) and found[0] in asked.numbers)
    if asked.phrase.color and not asked.phrase.noun:
        figures["color_only_hit"] = hit
    if asked.phrase.noun and not asked.phrase.color:
        figures["noun_only_hit"] = hit
    if len(asked.numbers) == 1:
        figures["single_hit"] = hit
    else:
        figures["multi_f1"] = f1(found, asked.numbers)
    if len(asked.numbers) <= 5:
        figures["count_1_to_5"] = float(len(found) == len(asked.numbers))
    return figures, 1 - f1(found, asked.numbers)


def minutes_apart(first: tuple[int, int], second: tuple[int, int]) -> int:
    """Between two times on a dial of 12 hours, at most 360."""
    apart = abs(first[0] * 60 + first[1] - second[0] * 60 - second[1]) % 720
    return min(apart, 720 - apart)


def _score_reading(scene: Scene, asked: Asked, answer: Pointed) -> tuple[dict[str, float], float]:
    if len(asked.points_xy) == 0:
        return {"absent_dial": float(not answer.points_xy)}, float(bool(answer.points_xy))
    small = "mixed_" if len(scene.things) > 1 else ""
    name = asked.phrase.noun
    if len(answer.points_xy) != 5:
        within = "1_min" if name == "clock" else "2_pct"
        return {f"{small}{name}_within_{within}": 0.0, "wrong_abstention": 1.0}, 1000.0
    keys = np.array(answer.points_xy)
    reach_px = float(np.median(np.linalg.norm(keys - asked.points_xy, axis=1)))
    figures = {f"{small}{name}_key_px": reach_px, "wrong_abstention": 0.0}
    if name == "clock":
        time, truth = clock_time(keys), scene.clocks[0].time
        apart = minutes_apart((truth.hour, truth.minute), time[:2]) if time else 360
        figures[f"{small}clock_within_1_min"] = float(apart <= 1)
        return figures, float(apart)
    fraction = gauge_fraction(keys)
    error_pct = 100 * abs(fraction - scene.gauges[0].fraction) if fraction is not None else 100.0
    figures[f"{small}gauge_within_2_pct"] = float(error_pct <= 2)
    return figures, error_pct


def score_scene(
    model: Nano, scene: Scene, questions: list[Asked], side: int, stop_above: float
) -> list[Scored]:
    """Ask the questions and score the answers."""
    image = torch.from_numpy(letterboxed(scene.image_hwc, side))
    with torch.inference_mode():
        seen = model.encode(as_input(image[None]))
        tokens = [question_tokens(asked.task, asked.phrase) for asked in questions]
        answers, _ = point(model, seen, tokens, stop_above=stop_above)
    scored = []
    for asked, answer in zip(questions, answers, strict=True):
        score = _score_reading if asked.task == ASK_READ else _score_pointing
        figures, badness = score(scene, asked, answer)
        scored.append(Scored(scene, asked, answer, figures, badness))
    return scored


def evaluation_questions(scene: Scene, index: int, count: int) -> list[Asked]:
    """The fixed questions about a fixed scene."""
    rng = random.Random(index)
    return reading_questions(scene) + pointing_questions(rng, scene, count)


def evaluate(
    model: Nano, count: int, side: int = 336, kinds: tuple[Kind, ...] = KINDS,
    stop_above: float = 0.5, questions: int = 8,
) -> list[Scored]:  # fmt: skip
    """All questions on the first `count` fixed scenes, with their scores."""
    rows = []
    for index, scene in enumerate(fixed_scenes(count, kinds, side)):
        asked = evaluation_questions(scene, index, questions)
        rows += score_scene(model, scene, asked, side, stop_above)
    return rows


def summary(rows: list[Scored]) -> dict[str, tuple[float, int]]:
    """Each figure's mean (key points: median) and how many questions it stands on."""
    values: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row.figures.items():
            values.setdefault(name, []).append(value)
    return {
        name: (float(np.median(v) if name.endswith("_px") else np.mean(v)), len(v))
        for name, v in sorted(values.items())
    }


def picture_of(row: Scored) -> NDArray[np.uint8]:
    """A scored answer drawn: truth green, answer red with numbers, the question below; rgb8."""
    image = row.scene.image_hwc.copy()
    for x, y in row.asked.points_xy:
        cv2.circle(image, (int(x), int(y)), 5, (0, 220, 0), 1, cv2.LINE_AA)
    for number, (x, y) in enumerate(row.answer.points_xy, 1):
        cv2.circle(image, (int(x), int(y)), 3, (255, 30, 30), -1, cv2.LINE_AA)
        at = (int(x) + 4, int(y) - 4)
        cv2.putText(image, str(number), at, 0, 0.4, (255, 30, 30), 1, cv2.LINE_AA)
    verb = "read the" if row.asked.task == ASK_READ else "point to"
    text = f"{verb} {row.asked.phrase.color} {row.asked.phrase.noun or 'objects'}"
    bar = np.zeros((22, image.shape[1], 3), np.uint8)
    cv2.putText(bar, text, (4, 15), 0, 0.42, (255, 255, 255), 1, cv2.LINE_AA)
    return np.concatenate((image, bar))

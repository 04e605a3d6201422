"""Figures on fixed simulated scenes that training never draws."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from molmo_node.messages import Question
from molmo_node.models.engine import Reply
from molmo_node.models.nano.engine import NanoEngine
from molmo_node.models.nano.vocabulary import ASK_READ, KEY_POINTS
from molmo_node.sim.scene import Kind, Scene, make_scene
from tools.nano_training.questions import Asked, pointing_questions, reading_questions

Points = list[tuple[float, float]]

FIRST_SEED = 1 << 60  # training draws its seeds below 2**48
KINDS: tuple[Kind, ...] = ("objects", "objects", "mixed", "clock", "gauge")


@dataclass(frozen=True)
class Scored:
    """One question, its answer, and what came of it: figures by name, and a loss for ranking."""

    scene: Scene
    asked: Asked
    points_xy: Points
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


def _score_pointing(
    scene: Scene, asked: Asked, reply: Reply, points: Points
) -> tuple[dict[str, float], float]:
    found = _numbers_at(scene, points)
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


def _score_reading(
    scene: Scene, asked: Asked, reply: Reply, points: Points
) -> tuple[dict[str, float], float]:
    if len(asked.points_xy) == 0:
        return {"absent_dial": float(not points)}, float(bool(points))
    noun = asked.phrase.noun
    name = f"mixed_{noun}" if len(scene.things) > 1 else noun
    within = "within_1_min" if noun == "clock" else "within_2_pct"
    if len(points) != KEY_POINTS:
        return {f"{name}_{within}": 0.0, "wrong_abstention": 1.0}, 1000.0
    away = np.linalg.norm(np.array(points) - asked.points_xy, axis=1)
    figures = {f"{name}_key_px": float(np.median(away)), "wrong_abstention": 0.0}
    if noun == "clock":
        truth = scene.clocks[0].time
        shown = (truth.hour, truth.minute)
        error = float(minutes_apart(shown, reply.time[:2])) if reply.time else 360.0
        return figures | {f"{name}_{within}": float(error <= 1)}, error
    gauge = scene.gauges[0]
    error = abs(reply.value - 100 * gauge.fraction) if reply.value is not None else 100.0
    if gauge.scale.is_register and reply.value is not None:
        error = min(error, 100 - error)
    return figures | {f"{name}_{within}": float(error <= 2)}, error


def _question(asked: Asked) -> Question:
    if asked.task == ASK_READ:
        return Question.read_clock() if asked.phrase.noun == "clock" else Question.read_gauge()
    return Question.count(f"{asked.phrase.color} {asked.phrase.noun or 'objects'}".strip())


def score_scene(engine: NanoEngine, scene: Scene, questions: list[Asked]) -> list[Scored]:
    """Ask the engine the questions and score its replies."""
    frame = engine.encode(scene.image_hwc)
    replies = engine.ask(frame, [_question(asked) for asked in questions])
    scored = []
    for asked, reply in zip(questions, replies, strict=True):
        score = _score_reading if asked.task == ASK_READ else _score_pointing
        points = [(p.x_px, p.y_px) for p in reply.points]
        figures, badness = score(scene, asked, reply, points)
        scored.append(Scored(scene, asked, points, figures, badness))
    return scored


def evaluation_questions(scene: Scene, index: int, count: int) -> list[Asked]:
    """The fixed questions about a fixed scene."""
    rng = random.Random(index)
    return reading_questions(scene) + pointing_questions(rng, scene, count)


def evaluate(
    engine: NanoEngine, count: int, kinds: tuple[Kind, ...] = KINDS, questions: int = 8
) -> list[Scored]:
    """All questions on the first `count` fixed scenes of the engine's size, with their scores."""
    rows = []
    for index, scene in enumerate(fixed_scenes(count, kinds, engine.side_px)):
        rows += score_scene(engine, scene, evaluation_questions(scene, index, questions))
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
    for number, (x, y) in enumerate(row.points_xy, 1):
        cv2.circle(image, (int(x), int(y)), 3, (255, 30, 30), -1, cv2.LINE_AA)
        at = (int(x) + 4, int(y) - 4)
        cv2.putText(image, str(number), at, 0, 0.4, (255, 30, 30), 1, cv2.LINE_AA)
    verb = "read the" if row.asked.task == ASK_READ else "point to"
    text = f"{verb} {row.asked.phrase.color} {row.asked.phrase.noun or 'objects'}"
    bar = np.zeros((22, image.shape[1], 3), np.uint8)
    cv2.putText(bar, text, (4, 15), 0, 0.42, (255, 255, 255), 1, cv2.LINE_AA)
    return np.concatenate((image, bar))

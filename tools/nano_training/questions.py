"""Questions about simulated scenes, with their exact answers."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from molmo_node.models.nano.vocabulary import ASK_POINT, ASK_READ, MAX_POINTS
from molmo_node.models.nano.words import COLORS, NOUNS, Phrase
from molmo_node.sim.scene import Scene, Thing, matching


@dataclass(frozen=True)
class Asked:
    """One question and its answer.

    `points_xy` is ``(n, 2) float32`` in pixels of the picture: any order where `is_ordered` is
    false; n is 0 where nothing is there. `numbers` are the things' values in the instance mask.
    """

    task: int
    phrase: Phrase
    points_xy: NDArray[np.float32]
    is_ordered: bool
    numbers: tuple[int, ...] = ()


def _pointing(scene: Scene, phrase: Phrase) -> Asked | None:
    things = matching(scene, phrase.color, phrase.noun)
    if things is None or len(things) >= MAX_POINTS:
        return None
    points = np.array([(t.x_px, t.y_px) for t in things], np.float32).reshape(-1, 2)
    return Asked(ASK_POINT, phrase, points, False, tuple(t.number for t in things))


def _random_phrase(rng: random.Random, things: list[Thing]) -> Phrase:
    """Of something there (two in three), of something half right, or of anything."""
    color, noun = rng.choice(COLORS), rng.choice(NOUNS)
    chance = rng.random()
    if things and chance < 0.9:
        there = rng.choice(things)
        named = there.noun if there.noun in NOUNS else noun
        if chance < 0.78:
            color, noun = there.color, named
        elif chance < 0.84:
            color = there.color
        else:
            noun = named
    kind = rng.random()
    if kind < 0.45:
        return Phrase(color if noun not in ("clock", "gauge") else "", noun)
    if kind < 0.73:
        return Phrase("", noun)
    return Phrase(color, "") if kind < 0.94 else Phrase("", "")


def pointing_questions(rng: random.Random, scene: Scene, count: int) -> list[Asked]:
    """Up to `count` different pointing questions, about a third of them on absent things."""
    asked: dict[Phrase, Asked] = {}
    for _ in range(3 * count):
        question = _pointing(scene, _random_phrase(rng, scene.things))
        if question is not None:
            asked.setdefault(question.phrase, question)
        if len(asked) == count:
            break
    return list(asked.values())


def reading_questions(scene: Scene) -> list[Asked]:
    """Read the clock, read the gauge; without points where there is none, and not asked where
    there are two or one whose time is not known."""
    questions = []
    for noun, dials in (("clock", scene.clocks), ("gauge", scene.gauges)):
        if len(dials) == 1 or not any(thing.noun == noun for thing in scene.things):
            keys = dials[0].dial.keys_xy if dials else np.zeros((0, 2), np.float32)
            questions.append(Asked(ASK_READ, Phrase("", noun), keys, True))
    return questions


def questions_about(rng: random.Random, scene: Scene, count: int) -> list[Asked]:
    """A picture's questions for training: readings first, then pointing."""
    readings = reading_questions(scene)
    if not scene.clocks and not scene.gauges:
        readings = readings if rng.random() < 0.1 else []
    few = count if len(scene.things) > 1 else min(count, 4)
    return readings + pointing_questions(rng, scene, few - len(readings))

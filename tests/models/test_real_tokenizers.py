"""Forwards counted with the published tokenizers, which split numbers in three different ways."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from molmo_node.messages import Question
from molmo_node.models.family import MolmoFamily
from molmo_node.models.molmo import (
    MolmoConfig,
    MolmoForConditionalGeneration,
    MolmoImageProcessor,
    MolmoProcessor,
)
from molmo_node.models.molmo_engine import MolmoEngine
from tests.models.scripting import noise, percent_answer, say
from tools.make_tiny_molmo import config_keys, random_tensors

pytestmark = pytest.mark.model

EMBEDDING = {"7b-d": 152064, "7b-o": 100352, "moe-1b": 50304}


@pytest.fixture(scope="module", params=EMBEDDING)
def engine(request, golden: Path) -> MolmoEngine:
    """One decoder layer under a real vocabulary."""
    keys = config_keys("7b-d", 1, 32, EMBEDDING[request.param])
    config = MolmoConfig.from_dict(keys)
    model = MolmoForConditionalGeneration.from_pretrained(
        None, config=config, state_dict=random_tensors(config, 0)
    )
    tokenizer = AutoTokenizer.from_pretrained(golden / "tokenizers" / request.param)
    family = MolmoFamily(model, MolmoProcessor(MolmoImageProcessor(), tokenizer))
    return MolmoEngine(family, request.param, max_crops=1)


def forwards(engine: MolmoEngine, text: str, question: Question, draft: str | None = None) -> int:
    say(engine, text)
    frame = engine.encode(noise(100, 100))
    frame.replies.clear()
    reply = engine.ask(frame, [question], [draft])[0]
    assert reply.no_answer is None, reply
    if draft is None:
        assert forwards(engine, text, question, reply.text) == 0
    return reply.work.decode_forwards


def test_one_point_takes_at_most_5_forwards(engine: MolmoEngine) -> None:
    rng = random.Random(0)
    for label in ("red mug", 'the 2" pipe', "Größe 5µm", "the valve on the left of the pump"):
        for _ in range(5):
            point = (rng.randint(0, 999) / 10, rng.randint(0, 999) / 10)
            text = percent_answer([point], label.lower().replace('"', ""))
            assert forwards(engine, text, Question.point(label)) <= 5


@pytest.mark.parametrize("count", [3, 10])
def test_n_points_take_at_most_6n_plus_1_forwards(engine: MolmoEngine, count: int) -> None:
    points = [(9.7 * n, 99.9 - 9.9 * n) for n in range(count)]
    text = percent_answer(points, "bolts")
    assert forwards(engine, text, Question.point("bolts")) <= 6 * count + 1
    counted = " Counting the" + text + f" shows a total of {count}."
    assert forwards(engine, counted, Question.count("bolts")) <= 6 * count + 2


@pytest.mark.parametrize("time", ["10:15:30 AM", "9:05 PM", "12:00", "3:59:59"])
def test_a_clock_takes_at_most_5_forwards(engine: MolmoEngine, time: str) -> None:
    assert forwards(engine, f" The time shown is {time}", Question.read_clock()) <= 5


def test_a_second_question_costs_at_most_32_tokens(engine: MolmoEngine) -> None:
    say(engine, percent_answer([(43.1, 55.0)], "red mug"))
    frame = engine.encode(noise(100, 100, seed=2))
    replies = engine.ask(frame, [Question.point("red mug"), Question.point("blue valve")])
    assert replies[1].work.vision_forwards == 0
    assert replies[1].work.lm_tokens_computed <= 32

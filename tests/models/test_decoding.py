"""Draft and verify says what plain greedy decoding says, token for token."""

from __future__ import annotations

import random

import pytest
import torch

from molmo_node.models.decoding import NoDraft, Row, Verifier, decode
from molmo_node.models.family import Look
from molmo_node.models.static_kv import Arena, round_up
from tests.models.scripting import noise

pytestmark = pytest.mark.model

FLAVOURS = ["7b-d", "7b-o", "e-1b", "molmo2"]
CORRUPTION = [0.0, 0.2, 0.6, 1.0]
PROMPTS = 200
NEW_TOKENS = 10
BATCH = 25


class CorruptDraft:
    """Drafts the true answer with some tokens replaced."""

    def __init__(self, truth: list[int], rate: float, rng: random.Random, vocabulary: int) -> None:
        self.ids = [rng.randrange(vocabulary) if rng.random() < rate else i for i in truth]

    def propose(self, said) -> list[int]:
        return self.ids[len(said) :]


@pytest.fixture(scope="module")
def looks() -> dict[str, Look]:
    return {}


def look_of(family, flavour: str, looks: dict[str, Look]):
    if flavour not in looks:
        pixels = torch.from_numpy(noise(336, 336))
        looks[flavour] = family.look(family.cut(pixels, 1))
    return looks[flavour]


def run(family, look: Look, questions, drafters) -> list[Row]:
    rows = [
        Row(question, drafter, frozenset(), NEW_TOKENS)
        for question, drafter in zip(questions, drafters, strict=True)
    ]
    longest = max(len(question) for question in questions)
    columns = round_up(look.prefix.length + longest + 2 * NEW_TOKENS)
    arena = Arena(look.prefix, len(rows), columns)
    arena.load(look.prefix, len(rows))
    decode(Verifier(family.language, arena), rows)
    return rows


def random_questions(family, count: int, seed: int) -> list[list[int]]:
    rng = random.Random(seed)
    words = ["red", "mug", "gauge", "bolt", "where", "how many", "cable", "12", "?", "é", "time"]
    prompts = [" ".join(rng.choices(words, k=rng.randint(1, 6))) for _ in range(count)]
    return [family.question_ids(prompt) for prompt in prompts]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_drafted_tokens_equal_greedy_ones_whatever_the_draft(family, looks, flavour: str) -> None:
    fam = family(flavour)
    look = look_of(fam, flavour, looks)
    questions = random_questions(fam, PROMPTS, seed=1)
    rng = random.Random(2)
    margins, forwards = [], dict.fromkeys(CORRUPTION, 0)

    for first in range(0, PROMPTS, BATCH):
        part = questions[first : first + BATCH]
        plain = run(fam, look, part, [NoDraft()] * len(part))
        for rate in CORRUPTION:
            drafts = [CorruptDraft(row.said, rate, rng, fam.language.vocabulary) for row in plain]
            drafted = run(fam, look, part, drafts)
            for want, got in zip(plain, drafted, strict=True):
                assert got.said == want.said, f"smallest top-2 margin {want.min_margin:.2e}"
                assert got.forwards <= want.forwards
                forwards[rate] += got.forwards
        margins += [row.min_margin for row in plain]

    assert forwards[0.0] == 0  # a true draft is verified within the prefill
    assert 0 < forwards[0.2] < forwards[0.6] < forwards[1.0]
    assert min(margins) > 0


@pytest.mark.parametrize("flavour", [*FLAVOURS, "molmo2-o"])
def test_shared_image_blocks_and_batches_equal_the_librarys_generate(family, flavour: str) -> None:
    fam = family(flavour)
    picture = noise(320, 240, seed=3)
    pixels = torch.from_numpy(picture)
    look = fam.look(fam.cut(pixels, 2))
    prompts = ["Point to the red mug.", "How many bolts?", "x"]

    rows = run(fam, look, [fam.question_ids(p) for p in prompts], [NoDraft()] * 3)

    for prompt, row in zip(prompts, rows, strict=True):
        if flavour.startswith("molmo2"):
            before, after = fam._chat(prompt)
            text = before + "<|image|>" + after
            images_kwargs = {"max_crops": 2}
            inputs = fam.processor(
                images=[pixels.permute(2, 0, 1)],
                text=[text],
                images_kwargs=images_kwargs,
                return_tensors="pt",
            )
        else:
            inputs = fam.processor(images=[picture], text=prompt, max_crops=2)
        said = fam.model.generate(
            **inputs,
            max_new_tokens=NEW_TOKENS,
            do_sample=False,
            eos_token_id=None,
            suppress_tokens=_beyond(fam) or None,
        )
        assert said[0, inputs["input_ids"].shape[1] :].tolist() == row.said


def _beyond(fam) -> list[int]:
    """Head rows that no token of the tokenizer has."""
    head = fam.model.get_output_embeddings().weight.shape[0]
    return list(range(fam.language.vocabulary, head))


def test_rows_of_the_head_beyond_the_tokenizer_are_never_produced(family) -> None:
    fam = family("7b-o")
    known = fam.language.vocabulary
    assert known < fam.model.config.embedding_size
    logits = fam.language.logits(torch.randn(5, fam.model.config.hidden_size))
    assert logits.shape == (5, known)


def test_rows_that_end_leave_the_others_undisturbed(family, looks) -> None:
    fam = family("7b-d")
    look = look_of(fam, "7b-d", looks)
    questions = random_questions(fam, 6, seed=4)
    alone = [run(fam, look, [q], [NoDraft()])[0] for q in questions]
    # A true draft lets every second row end within the prefill.
    drafters = [
        CorruptDraft(row.said, 0.0, random.Random(0), 1) if number % 2 else NoDraft()
        for number, row in enumerate(alone)
    ]

    together = run(fam, look, questions, drafters)

    assert [row.said for row in together] == [row.said for row in alone]
    assert [row.forwards for row in together] == [9, 0, 9, 0, 9, 0]


def test_a_cancelled_row_costs_nothing_more(family, looks) -> None:
    fam = family("7b-d")
    look = look_of(fam, "7b-d", looks)
    questions = random_questions(fam, 2, seed=5)
    rows = [Row(q, NoDraft(), frozenset(), NEW_TOKENS) for q in questions]
    arena = Arena(look.prefix, 2, round_up(look.prefix.length + 100))
    arena.load(look.prefix, 2)

    decode(Verifier(fam.language, arena), rows, lambda number: number == 0 and rows[0].forwards > 1)

    assert rows[0].forwards == 2
    assert not rows[0].is_finished
    assert rows[1].forwards == NEW_TOKENS - 1
    assert rows[1].said == run(fam, look, [questions[1]], [NoDraft()])[0].said


def test_the_limit_of_tokens_is_kept_and_said(family, looks) -> None:
    fam = family("7b-d")
    look = look_of(fam, "7b-d", looks)
    question = fam.question_ids("Describe this image.")

    row = run(fam, look, [question], [CorruptDraft([7] * 50, 0.0, random.Random(0), 1)])[0]

    assert len(row.said) == NEW_TOKENS
    assert row.is_truncated
    assert not row.has_ended

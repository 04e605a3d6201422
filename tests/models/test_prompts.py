"""The wordings that the models were trained on."""

from __future__ import annotations

import pytest

from molmo_node.errors import ConfigError
from molmo_node.messages import TASKS, Question
from molmo_node.models.prompts import prompt_for


@pytest.mark.parametrize(
    ("question", "percent", "thousandths"),
    [
        (Question.point("the red  mug"), "Point to the red mug.", "Point to the red mug."),
        (Question.count("bolts"), "How many bolts are there?", "Point and count the bolts."),
        (
            Question.read_clock(),
            "clocks: What time is being shown?",
            "What time is being shown?",
        ),
        (Question.describe(), "Describe this image.", "Describe this image."),
        (Question.ask("what is it?"), "what is it?", "what is it?"),
    ],
)
def test_wordings(question: Question, percent: str, thousandths: str) -> None:
    assert prompt_for(question, "percent") == percent
    assert prompt_for(question, "thousandths") == thousandths


@pytest.mark.parametrize("point_format", ["percent", "thousandths"])
def test_every_task_has_a_wording(point_format: str) -> None:
    for task in TASKS:
        assert prompt_for(Question(task=task, text="gauge 3"), point_format)


def test_a_schema_is_part_of_the_request() -> None:
    assert '{"type": "object"}' in prompt_for(Question.extract('{"type": "object"}'), "percent")
    assert "JSON" in prompt_for(Question.extract(), "thousandths")


@pytest.mark.parametrize("task", ["point", "count", "ask"])
def test_a_question_without_words_is_refused(task: str) -> None:
    with pytest.raises(ConfigError):
        prompt_for(Question(task=task, text="  "), "percent")

"""The figures are what they say: a perfect answerer gets all, a silent one only the absent."""

from __future__ import annotations

import pytest

from molmo_node.messages import Point
from molmo_node.models.engine import Reply

pytestmark = pytest.mark.model
pytest.importorskip("torch")
from tools.nano_training.evaluate import (  # noqa: E402
    Scored,
    evaluation_questions,
    f1,
    fixed_scenes,
    minutes_apart,
    picture_of,
    score_scene,
    summary,
)


class Silent:
    """Sees nothing."""

    def encode(self, image_hwc):
        return image_hwc

    def ask(self, frame, questions):
        return [Reply(no_answer="nothing") for _ in questions]


class Perfect(Silent):
    """Answers with the truth it was given."""

    def __init__(self, scene, asked) -> None:
        self.scene, self.asked = scene, asked

    def ask(self, frame, questions):
        return [self._reply(asked) for asked in self.asked]

    def _reply(self, asked) -> Reply:
        points = tuple(Point(x_px=float(x), y_px=float(y)) for x, y in asked.points_xy)
        if not asked.is_ordered or not points:
            return Reply(points=points)
        if asked.phrase.noun == "clock":
            time = self.scene.clocks[0].time
            return Reply(points=points, time=(time.hour, time.minute, None))
        return Reply(points=points, value=100 * self.scene.gauges[0].fraction)


def scored(answerer) -> list[Scored]:
    rows = []
    for index, scene in enumerate(fixed_scenes(30)):
        asked = evaluation_questions(scene, index, 8)
        engine = answerer(scene, asked) if answerer is Perfect else answerer()
        rows += score_scene(engine, scene, asked)
    return rows


def test_the_truth_itself_scores_full_marks():
    figures = summary(scored(Perfect))

    assert figures.pop("wrong_abstention")[0] == 0
    for name, (value, count) in figures.items():
        assert value == (0 if name.endswith("_px") else 1), name
        assert count >= 2, name


def test_silence_is_right_only_where_nothing_is_there():
    figures = {name: value for name, (value, _) in summary(scored(Silent)).items()}

    assert figures["absent"] == figures["absent_dial"] == figures["wrong_abstention"] == 1
    assert figures["single_hit"] == figures["multi_f1"] == figures["clock_within_1_min"] == 0


def test_f1_counts_each_thing_once():
    assert f1([3, 3], (3,)) == pytest.approx(2 / 3)
    assert f1([3, 0, 5], (3, 5)) == pytest.approx(0.8)
    assert f1([], ()) == 1
    assert f1([0], ()) == 0


def test_times_are_compared_around_the_dial():
    assert minutes_apart((11, 59), (0, 1)) == 2
    assert minutes_apart((3, 0), (9, 0)) == 360


def test_the_fixed_scenes_and_questions_stay_fixed():
    first, second = (
        [evaluation_questions(s, i, 8) for i, s in enumerate(fixed_scenes(10))] for _ in range(2)
    )

    assert [[q.phrase for q in row] for row in first] == [[q.phrase for q in row] for row in second]


def test_a_miss_is_drawn_with_its_question_below():
    picture = picture_of(scored(Silent)[0])

    assert picture.shape == (358, 336, 3)

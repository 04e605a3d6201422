"""Questions on a picture become answers in its pixels, or say why not."""

from __future__ import annotations

import numpy as np
import pytest

from molmo_node.errors import ModelError, NoAnswer, ProtocolError
from molmo_node.messages import Answer, GaugeReading, Geometry, Point, Question, Roi
from molmo_node.models.engine import Reply
from molmo_node.models.scripted import ScriptedEngine, ScriptedFrame
from molmo_node.worker.answering import Answerer
from molmo_node.worker.dials import NoGauges
from molmo_node.worker.refine import LOOKS
from tests.support.samples import REF

IMAGE = np.zeros((480, 640, 3), np.uint8)
ROI = Roi(x_px=100, y_px=50, width_px=200, height_px=100)


class Dials:
    """One gauge whose needle points at 10,20 of whatever picture it gets."""

    def names(self):
        return ["boiler"]

    def read(self, name, image_hwc):
        geometry = Geometry(center=(10.0, 20.0), needle_tip=(11.0, 21.0))
        return GaugeReading(value=4.0, unit="bar", name=name, geometry=geometry)


class Engine:
    """Answers with what it is told, and notes what it was shown."""

    name = "told"
    tasks = frozenset({"point", "read_clock"})

    def __init__(self, *replies):
        self.replies = list(replies)
        self.shown = []

    def encode(self, image_hwc):
        self.shown.append(image_hwc.shape[:2])
        return ScriptedFrame(image_hwc.shape[1], image_hwc.shape[0])

    def ask(self, frame, questions, drafts=(), is_cancelled=lambda index: False):
        replies, self.replies = self.replies[: len(questions)], self.replies[len(questions) :]
        if isinstance(replies[0], Exception):
            raise replies[0]
        return replies

    def close(self):
        pass


def pointing(x_px, y_px):
    return Reply(points=(Point(x_px=x_px, y_px=y_px),), text="there")


def ask(engine, *questions, gauges=None):
    return Answerer(engine, gauges or NoGauges()).answer(IMAGE, REF, questions)


def test_an_answer_names_its_frame_its_question_and_its_model():
    (answer,) = ask(Engine(pointing(1.0, 2.0)), Question.point("mug"))
    assert (answer.frame, answer.width, answer.height) == (REF, 640, 480)
    assert (answer.query, answer.model, answer.task) == ("mug", "told", "point")


def test_points_of_a_region_come_back_in_the_frame():
    (answer,) = ask(Engine(pointing(1.0, 2.0)), Question.point("mug", roi=ROI))
    assert (answer.points[0].x_px, answer.points[0].y_px) == (101.0, 52.0)


def test_questions_on_one_region_share_one_look():
    engine = Engine(*[pointing(1.0, number) for number in range(3)])
    questions = [Question.point("a"), Question.point("b", roi=ROI), Question.point("c")]
    answers = ask(engine, *questions)
    assert sorted(engine.shown) == [(100, 200), (480, 640)]
    assert [answer.query for answer in answers] == ["a", "b", "c"]


def test_a_region_outside_the_frame_spoils_only_its_own_question():
    engine = Engine(pointing(1.0, 2.0))
    outside = Roi(x_px=600, y_px=0, width_px=64, height_px=64)
    refused, answer = ask(engine, Question.point("a", roi=outside), Question.point("b"))
    assert isinstance(refused, ProtocolError)
    assert isinstance(answer, Answer)


def test_a_dials_geometry_comes_back_in_the_frame():
    (answer,) = ask(None, Question.read_gauge("boiler", roi=ROI), gauges=Dials())
    assert answer.reading.geometry.center == (110.0, 70.0)
    assert answer.reading.geometry.needle_tip == (111.0, 71.0)
    assert answer.model == "instruments"


@pytest.mark.parametrize("xy", [(-0.1, 5.0), (641.0, 5.0), (5.0, float("nan")), (float("inf"), 1)])
def test_a_point_outside_the_picture_is_an_error_and_never_moved(xy):
    wrong, right = ask(Engine(pointing(*xy), pointing(640.0, 480.0)), *[Question.point("a")] * 2)
    assert isinstance(wrong, ModelError)
    assert isinstance(right, Answer)


def test_an_engines_own_words_on_a_failure_stay_in_the_log(caplog):
    secret = ValueError("heap at 0xdeadbeef")
    (failure,) = ask(Engine(secret), Question.point("a"))
    assert isinstance(failure, ModelError)
    assert "deadbeef" not in str(failure)
    assert "deadbeef" in caplog.text


def test_an_engine_that_answers_too_little_fails_the_questions(caplog):
    results = ask(Engine(pointing(1.0, 1.0)), Question.point("a"), Question.point("b"))
    assert all(isinstance(result, ModelError) for result in results)


def test_a_second_look_moves_the_point():
    engine = Engine(pointing(320.0, 240.0), pointing(170.0, 160.0))
    (answer,) = ask(engine, Question.point("mug", refine=True))
    assert (answer.points[0].x_px, answer.points[0].y_px) == (322.0, 232.0)
    assert engine.shown[1] == (336, 336)


def test_a_second_look_that_shows_nothing_moves_nothing():
    (answer,) = ask(Engine(pointing(320.0, 240.0), Reply()), Question.point("m", refine=True))
    assert (answer.points[0].x_px, answer.points[0].y_px) == (320.0, 240.0)


def test_only_so_many_points_get_a_second_look():
    many = Reply(points=tuple(Point(x_px=float(x), y_px=1.0) for x in range(500)))
    engine = Engine(many, *[Reply()] * LOOKS)
    (answer,) = ask(engine, Question.point("m", refine=True))
    assert len(answer.points) == 500
    assert len(engine.shown) == 1 + LOOKS


@pytest.mark.parametrize(
    ("engine", "gauges", "question", "words"),
    [
        (Engine(), NoGauges(), Question.ask("why"), "'told'.*point, read_clock"),
        (None, NoGauges(), Question.point("a"), "'none'.*read_clock, read_gauge"),
        (None, Dials(), Question.point("a"), "read_gauge"),
        (None, NoGauges(), Question.read_gauge("pump"), "calibration profile"),
        (None, Dials(), Question.read_gauge("pump"), "'pump'.*boiler"),
    ],
)
def test_what_cannot_be_answered_is_said_with_what_can(engine, gauges, question, words):
    refusal = Answerer(engine, gauges).refusal(question)
    assert isinstance(refusal, NoAnswer)
    with pytest.raises(NoAnswer, match=words):
        raise refusal


def test_the_only_gauge_needs_no_name():
    assert Answerer(None, Dials()).refusal(Question.read_gauge()) is None
    (answer,) = ask(None, Question.read_gauge(), gauges=Dials())
    assert answer.reading.name == "boiler"


@pytest.mark.parametrize("change", [{"fault": "boredom"}, {"delay_s": -1.0}, {"colour": "red"}])
def test_a_script_with_a_wrong_key_or_value_is_a_config_error(change):
    from molmo_node.errors import ConfigError

    with pytest.raises(ConfigError, match="script"):
        ScriptedEngine({"answers": [{"task": "point", **change}]})


def test_a_picture_without_a_clock_is_a_refused_reading_with_its_reason():
    (answer,) = ask(Engine(Reply(no_answer="no clock")), Question.read_clock())
    assert (answer.reading.hour, answer.reading.status) == (None, "refused")
    assert answer.reason == "no_dial"


def test_a_time_that_only_the_engine_saw_is_doubtful():
    (answer,) = ask(Engine(Reply(time=(10, 8, None))), Question.read_clock())
    assert (answer.reading.hour, answer.reading.minute) == (10, 8)
    assert answer.reading.status == "doubtful"
    assert answer.model == "instruments+told"


def test_a_gauge_without_a_profile_is_looked_for():
    (answer,) = ask(None, Question.read_gauge())
    assert (answer.reading.value, answer.reason) == (None, "no_dial")


def test_an_engine_that_is_not_trusted_with_dials_only_votes():
    engine = Engine(Reply(time=(10, 8, None)))
    engine.dial_confidence = 0.3

    (answer,) = ask(engine, Question.read_clock())

    assert (answer.reading.hour, answer.reading.status) == (None, "refused")
    assert [vote.method for vote in answer.reading.votes] == ["told"]

"""A gauge that pixels cannot read is read where the engine points."""

from __future__ import annotations

import pytest

from molmo_node.messages import FrameRef, Point, Question
from molmo_node.models.engine import Reply
from molmo_node.models.scripted import ScriptedFrame
from molmo_node.worker import eyes
from molmo_node.worker.answering import Answerer
from molmo_node.worker.dials import NoGauges
from tests.instruments.pictures import plain_gauge, point_at

SIDE_PX = 480
CENTER = (SIDE_PX / 2, SIDE_PX / 2)
VALUE = 6.2
REF = FrameRef(camera="front", session="s", seq=1, stamp_ns=1, mono_ns=1)
OFF_DEG = 4.0
"""A model's point is not quite where it should be."""


def at(value: float, share: float) -> tuple[float, float]:
    return point_at(CENTER, -135 + 27 * value, share * 0.38 * SIDE_PX)


class Pointer:
    """Answers as Molmo does, from a table of recorded answers: points in pixels, or a text."""

    name = "molmo"
    tasks = frozenset({"point", "ask", "read_gauge"})

    def __init__(self, answers: dict[str, object]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def encode(self, image_hwc):
        return ScriptedFrame(image_hwc.shape[1], image_hwc.shape[0])

    def ask(self, frame, questions, drafts=(), is_cancelled=lambda index: False):
        self.asked += [question.text for question in questions]
        return [self.reply(question) for question in questions]

    def reply(self, question):
        answer = self.answers.get(question.text)
        if isinstance(answer, str):
            return Reply(text=answer)
        if answer is None:
            return Reply(no_answer="There are none.")
        return Reply(points=(Point(x_px=answer[0], y_px=answer[1]),))

    def close(self):
        pass


def recorded(**changes: object) -> dict[str, object]:
    answers: dict[str, object] = {
        eyes.CENTER: (CENTER[0] + 2, CENTER[1] - 1),
        eyes.TIP: at(VALUE + OFF_DEG / 27, 0.8),
        eyes.NUMBERS: "0, 2, 4, 6, 8 and 10",
    }
    for number in range(0, 11, 2):
        answers[eyes.MARK.format(number=f"{number}")] = at(number, 0.9)
    return answers | changes


@pytest.fixture(autouse=True)
def without_ocr(monkeypatch):
    monkeypatch.setattr("molmo_node.instruments.uncalibrated.text_reader", lambda: None)


def read(engine):
    picture = plain_gauge(-135 + 27 * VALUE, side_px=SIDE_PX)
    (answer,) = Answerer(engine, NoGauges()).answer(picture, REF, [Question.read_gauge()])
    return answer.reading


def test_engine_that_points_at_marks_gives_the_value_that_pixels_show_there():
    reading = read(Pointer(recorded()))

    assert reading.value == pytest.approx(VALUE, abs=0.1)  # the tip was 4° off: 0.15
    assert reading.status == "doubtful"
    assert "vlm_points" in {vote.method for vote in reading.votes}


def test_engine_that_sees_no_needle_leaves_the_refusal():
    answers = recorded()
    del answers[eyes.TIP]

    reading = read(Pointer(answers))

    assert (reading.value, reading.reason) == (None, "scale_unread")


def test_one_mark_is_no_scale():
    reading = read(Pointer(recorded(**{eyes.NUMBERS: "10"})))

    assert (reading.value, reading.reason) == (None, "scale_unread")


def test_marks_that_cannot_be_a_scale_are_not_read():
    same = {eyes.MARK.format(number=f"{number}"): at(5, 0.9) for number in range(0, 11, 2)}

    assert read(Pointer(recorded(**same))).value is None


def test_key_points_of_a_reading_are_a_hint_and_nothing_more_is_asked():
    points = (
        Point(x_px=CENTER[0], y_px=CENTER[1], label="center"),
        Point(x_px=at(0, 0.9)[0], y_px=at(0, 0.9)[1], label="first mark"),
        Point(x_px=at(VALUE, 0.8)[0], y_px=at(VALUE, 0.8)[1], label="needle"),
    )
    engine = Pointer({})
    engine.reply = lambda question: Reply(points=points, value=62.0, unit="% of scale")
    engine.dial_confidence = 0.3

    reading = read(engine)

    assert engine.asked == [""]
    assert reading.value is None
    hint = eyes.hint_in(points, "molmo", 0.3)
    assert hint is not None
    assert hint.tip == at(VALUE, 0.8)
    assert len(hint.marks) == 1


def test_points_without_a_needle_are_no_hint():
    assert eyes.hint_in((Point(x_px=1.0, y_px=1.0, label="center"),), "molmo", 0.5) is None

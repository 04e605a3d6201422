"""The engine keeps the seam's promises, whatever its weights are."""

from __future__ import annotations

import numpy as np
import pytest

from molmo_node.errors import ModelError
from molmo_node.messages import Point, Question
from molmo_node.models.answers import count_in, percent_points, time_in
from molmo_node.models.engine import Engine, never_cancelled

pytestmark = pytest.mark.model
torch = pytest.importorskip("torch")
from molmo_node.models.nano import NanoEngine  # noqa: E402
from molmo_node.models.nano.network import Nano  # noqa: E402
from molmo_node.models.nano.text import count_text, point_text  # noqa: E402
from molmo_node.models.nano.vocabulary import ASK_READ, question_tokens  # noqa: E402
from molmo_node.models.nano.words import Phrase  # noqa: E402

PICTURE = np.random.default_rng(4).integers(0, 255, (120, 200, 3), np.uint8)


@pytest.fixture(scope="module")
def engine():
    torch.manual_seed(0)
    model = Nano().eval()
    with torch.no_grad():
        model.stop.bias.fill_(-3.0)  # untrained: rather point than stop
    return NanoEngine(model)


def test_it_is_an_engine_that_names_itself(engine):
    assert isinstance(engine, Engine)
    assert engine.name == "molmo-nano"
    assert engine.tasks == {"point", "count", "read_gauge", "read_clock"}


def test_all_questions_are_answered_in_order_from_one_look(engine):
    questions = [
        Question.count("mugs"),
        Question.point("the quick brown fox"),
        Question.point("the red mug"),
        Question.read_clock(),
        Question.read_gauge("boiler"),
    ]

    count, unknown, red, clock, gauge = engine.ask(engine.encode(PICTURE), questions)

    assert count.count == len(count.points) > 0
    assert "quick" in unknown.no_answer
    assert unknown.points == ()
    assert "mug" in unknown.no_answer
    assert red.points
    assert (len(clock.points) == 5) != bool(clock.no_answer)
    assert (len(gauge.points) == 5) != bool(gauge.no_answer)


def test_points_are_pixels_inside_the_picture(engine):
    for shape in ((120, 200, 3), (500, 90, 3), (33, 33, 3)):
        reply = engine.ask(engine.encode(np.zeros(shape, np.uint8)), [Question.count("objects")])[0]
        assert reply.points
        assert all(0 <= p.x_px <= shape[1] and 0 <= p.y_px <= shape[0] for p in reply.points)


def test_a_question_is_answered_the_same_alone_and_among_others(engine):
    frame = engine.encode(PICTURE)
    questions = [Question.point("the red mug"), Question.count("blue balls")]

    together = engine.ask(frame, questions)
    alone = [engine.ask(frame, [question])[0] for question in questions]

    for one, other in zip(together, alone, strict=True):
        assert [p.label for p in one.points] == [p.label for p in other.points]
        for first, second in zip(one.points, other.points, strict=True):
            assert first.x_px == pytest.approx(second.x_px, abs=0.05)
            assert first.y_px == pytest.approx(second.y_px, abs=0.05)


def test_the_shared_parser_reads_the_text_back(engine):
    count, clock = engine.ask(
        engine.encode(PICTURE), [Question.count("objects"), Question.read_clock()]
    )

    for reply in [reply for reply in (count, clock) if not reply.no_answer]:
        read = percent_points(reply.text, 200, 120)
        assert len(read) == len(reply.points)
        for first, second in zip(read, reply.points, strict=True):
            assert first.x_px == pytest.approx(second.x_px, abs=0.11)
            assert first.y_px == pytest.approx(second.y_px, abs=0.07)
    assert count_in(count.text) == count.count
    if clock.time:
        read_time = time_in(clock.text)
        assert (read_time.hour, read_time.minute, read_time.second) == clock.time


def test_the_picture_is_not_changed_and_a_wrong_one_is_refused(engine):
    before = PICTURE.copy()
    engine.ask(engine.encode(PICTURE), [Question.point("mug")])

    assert np.array_equal(before, PICTURE)
    with pytest.raises(ModelError, match="expected"):
        engine.encode(np.zeros((10, 10), np.uint8))
    with pytest.raises(ModelError, match="another engine"):
        engine.ask(object(), [Question.point("mug")])


def test_a_cancelled_question_ends_early(engine):
    frame, asked = engine.encode(PICTURE), [Question.count("objects"), Question.count("mugs")]

    whole = engine.ask(frame, asked)
    cut = engine.ask(frame, asked, is_cancelled=lambda index: True)

    assert cut[0].work.decode_forwards == 1 < whole[0].work.decode_forwards


def test_text_of_one_point_many_points_and_none():
    one, two = Point(x_px=50, y_px=25), Point(x_px=100, y_px=100)

    assert point_text([one], 100, 100, "mug") == '<point x="50.0" y="25.0" alt="mug">mug</point>'
    assert count_text([one, two], 100, 100, "mugs") == (
        'Counting the <points x1="50.0" y1="25.0" x2="100.0" y2="100.0" alt="mugs">mugs</points>'
        " shows a total of 2."
    )
    assert count_text([], 100, 100, "mugs") == "There are none."


def test_what_was_named_is_held_back_near_it_and_not_far_away():
    torch.manual_seed(1)
    model = Nano().eval()
    seen = model.encode(torch.zeros(1, 3, 168, 168))

    belonging = model.belonging(seen, torch.tensor([[0]]))[0, 0].view(12, 12)

    assert belonging[0, 0] > belonging[0, 4] > belonging[11, 11]
    assert belonging[11, 11] < 0.01


@pytest.mark.parametrize(
    ("no_dial_p", "closer_bias", "is_read"),
    [
        (0.1, 50.0, True),  # the first look is sure of a dial: the closer ones only measure it
        (0.9, -50.0, True),  # the first look doubts it, the closer ones see it
        (0.9, 50.0, False),  # the first doubts it, the closer ones do not see it
        (0.9, None, False),  # the first doubts it, and the closer ones do so, too
        (0.99, -50.0, False),  # the first is sure that there is none
    ],
)
def test_a_dial_that_is_doubted_is_looked_at_closer(engine, no_dial_p, closer_bias, is_read):
    stop, look, frame = engine._model.stop.bias, engine._look_closer, engine.encode(PICTURE)
    (answer,), _ = engine._point(
        frame, [question_tokens(ASK_READ, Phrase("", "gauge"))], never_cancelled
    )
    shift = np.log(no_dial_p / (1 - no_dial_p)) - np.log(answer.stop_p[0] / (1 - answer.stop_p[0]))
    before = stop.data.clone()

    def closer(*args):
        if closer_bias is not None:
            stop.data.fill_(closer_bias)
        return look(*args)

    engine._look_closer = closer
    try:
        stop.data += float(shift)
        reply = engine.ask(frame, [Question.read_gauge()])[0]
    finally:
        stop.data.copy_(before)
        del engine._look_closer

    # untrained key points make no scale, but they were given
    assert ("do not make a scale" in reply.no_answer) is is_read
    assert ("sees no gauge" in reply.no_answer) is not is_read

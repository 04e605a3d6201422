"""The deterministic acceptance table of the performance study, row by row, by counting."""

from __future__ import annotations

import random

import pytest

from molmo_node.messages import Question
from molmo_node.models.molmo_engine import MolmoEngine
from tests.models.scripting import noise, percent_answer, say, thousandth_answer

pytestmark = pytest.mark.model

WIDTH, HEIGHT = 320, 240
LABEL = "red mug"
POINT = Question.point(LABEL)


@pytest.fixture(scope="module")
def engines(family):
    made: dict[tuple[str, bool], MolmoEngine] = {}

    def get(flavour: str = "7b-d", *, full_text: bool = False) -> MolmoEngine:
        key = (flavour, full_text)
        if key not in made:
            made[key] = MolmoEngine(family(flavour), flavour, max_crops=1, full_text=full_text)
        return made[key]

    return get


def answer(engine: MolmoEngine, text: str, question: Question, draft: str | None = None):
    """One scripted answer on a picture whose image block is computed, but not this question."""
    say(engine, text)
    frame = engine.encode(noise(WIDTH, HEIGHT))
    frame.replies.clear()
    return engine.ask(frame, [question], [draft])[0]


def test_one_point_takes_at_most_5_forwards_to_its_coordinates(engines) -> None:
    engine, rng = engines(), random.Random(0)
    corners = [(0.0, 0.0), (99.9, 99.9), (9.9, 10.0), (50.0, 0.1), (0.1, 99.9)]
    points = corners + [(rng.randint(0, 999) / 10, rng.randint(0, 999) / 10) for _ in range(60)]
    for x, y in points:
        reply = answer(engine, percent_answer([(x, y)], LABEL), POINT)
        assert reply.work.decode_forwards <= 5
        assert reply.points[0].x_px == pytest.approx(x / 100 * WIDTH)
        assert reply.points[0].y_px == pytest.approx(y / 100 * HEIGHT)


def test_exactly_100_costs_two_forwards_more_an_axis(engines) -> None:
    engine = engines()
    one = answer(engine, percent_answer([(100.0, 50.0)], LABEL), POINT)
    both = answer(engine, percent_answer([(100.0, 100.0)], LABEL), POINT)
    assert one.work.decode_forwards <= 7
    assert both.work.decode_forwards <= 9
    assert (both.points[0].x_px, both.points[0].y_px) == (WIDTH, HEIGHT)


def test_one_point_takes_at_most_6_forwards_to_the_end_of_its_text(engines) -> None:
    engine = engines(full_text=True)
    text = percent_answer([(43.1, 55.0)], LABEL)
    reply = answer(engine, text, POINT)
    assert reply.work.decode_forwards <= 6
    assert reply.text == text.strip()


def test_plain_greedy_takes_a_forward_a_token(family) -> None:
    engine = MolmoEngine(family("7b-d"), "greedy", max_crops=1, full_text=True, is_drafting=False)
    text = percent_answer([(43.1, 55.0)], LABEL)
    reply = answer(engine, text, POINT)
    assert reply.work.decode_forwards == 26 == len(engine.family.answer_ids(text))


def test_one_point_of_molmo2_takes_at_most_6_forwards(engines) -> None:
    engine, rng = engines("molmo2"), random.Random(1)
    points = [(0.0, 0.0), (99.9, 99.9)]
    points += [(rng.randint(0, 999) / 10, rng.randint(0, 999) / 10) for _ in range(25)]
    for x, y in points:
        reply = answer(engine, thousandth_answer([(x, y)], LABEL), POINT)
        assert reply.work.decode_forwards <= 6
        assert reply.points[0].x_px == pytest.approx(x / 100 * WIDTH)


@pytest.mark.parametrize("flavour", ["7b-d", "molmo2"])
@pytest.mark.parametrize("count", [2, 3, 10])
def test_n_points_take_at_most_6n_plus_1_forwards(engines, flavour: str, count: int) -> None:
    rng = random.Random(count)
    points = [(rng.randint(0, 999) / 10, rng.randint(0, 999) / 10) for _ in range(count)]
    write = thousandth_answer if flavour == "molmo2" else percent_answer
    reply = answer(engines(flavour), write(points, LABEL), POINT)
    assert len(reply.points) == count
    assert reply.work.decode_forwards <= 6 * count + 1


@pytest.mark.parametrize("count", [1, 2, 10])
def test_a_count_takes_the_forwards_of_its_points_and_two(engines, count: int) -> None:
    points = [(10.0 + n, 20.0 + n) for n in range(count)]
    text = " Counting the" + percent_answer(points, "bolts") + f" shows a total of {count}."
    reply = answer(engines(), text, Question.count("bolts"))
    assert (reply.count, len(reply.points)) == (count, count)
    assert reply.work.decode_forwards <= 6 * count + 2


@pytest.mark.parametrize("flavour", ["7b-d", "molmo2"])
def test_an_unchanged_target_takes_no_forward(engines, flavour: str) -> None:
    engine = engines(flavour)
    write = thousandth_answer if flavour == "molmo2" else percent_answer
    for points in ([(43.1, 55.0)], [(10.0, 20.0), (30.0, 40.0), (50.0, 60.0)]):
        first = answer(engine, write(points, LABEL), POINT)
        again = answer(engine, write(points, LABEL), POINT, first.text)
        assert again.work.decode_forwards == 0
        assert again.points == first.points


def test_a_target_that_moves_half_a_percent_takes_2_forwards_on_average(engines) -> None:
    engine, rng = engines(), random.Random(7)
    x, y, forwards = 50.0, 50.0, []
    previous = None
    for _ in range(401):
        reply = answer(engine, percent_answer([(x, y)], LABEL), POINT, previous)
        assert reply.points[0].x_px == pytest.approx(round(x, 1) / 100 * WIDTH)
        forwards.append(reply.work.decode_forwards)
        previous = reply.text
        x = min(max(x + rng.gauss(0, 0.5), 0.0), 99.9)
        y = min(max(y + rng.gauss(0, 0.5), 0.0), 99.9)
    mean = sum(forwards[1:]) / 400
    assert mean <= 2.0, mean


@pytest.mark.parametrize(
    "text",
    [
        " This isn't in the image.",
        " There are none.",
        " The red cable lies next to 3 bolts, left of the mug.",
        " 42",
        " <html> point x y",
        "",
    ],
)
@pytest.mark.parametrize("question", [POINT, Question.ask("what is it?"), Question.describe()])
def test_refusals_and_free_text_are_never_worse_than_greedy(engines, text, question) -> None:
    engine = engines()
    reply = answer(engine, text, question)
    greedy = len(engine.family.answer_ids(text))  # one forward a token; the end comes with it
    assert reply.work.decode_forwards <= greedy
    assert reply.text == text.strip()


@pytest.mark.parametrize(
    ("text", "time"),
    [
        (" The time shown is 10:15:30 AM", (10, 15, 30)),
        (" The time shown is 9:05 PM", (9, 5, None)),
        (" The time shown on the clock is 10:08.", (10, 8, None)),
        (" The time shown is 12:00", (0, 0, None)),
        (" The time shown is 12:59:59", (0, 59, 59)),
    ],
)
def test_a_clock_takes_at_most_5_forwards(engines, text: str, time) -> None:
    reply = answer(engines(), text, Question.read_clock())
    assert reply.time == time
    assert reply.work.decode_forwards <= 5


def test_a_further_question_costs_its_words_only(engines) -> None:
    engine = engines()
    say(engine, percent_answer([(43.1, 55.0)], LABEL))
    frame = engine.encode(noise(WIDTH, HEIGHT, seed=11))

    first = engine.ask(frame, [POINT])[0].work
    second = engine.ask(frame, [Question.point("blue valve")])[0].work

    assert (first.vision_forwards, first.crops, first.lm_tokens_reused) == (1, 2, 0)
    assert first.lm_tokens_computed > frame.look.prefix.length
    assert (second.vision_forwards, second.crops, second.h2d_bytes) == (0, 0, 0)
    assert second.lm_tokens_computed <= 32
    assert second.lm_tokens_reused == frame.look.prefix.length


def test_eight_questions_share_one_look_and_7_forwards(engines) -> None:
    engine = engines()
    say(engine, percent_answer([(43.1, 55.0)], LABEL))
    things = ["red mug", "blue valve", "cup", "bolt", "gauge", "green cable", "screws", "gauges"]

    replies = engine.ask(
        engine.encode(noise(WIDTH, HEIGHT, seed=12)), [Question.point(thing) for thing in things]
    )

    assert sum(reply.work.vision_forwards for reply in replies) == 1
    assert max(reply.work.decode_forwards for reply in replies) <= 7
    assert all(reply.work.lm_tokens_computed <= 32 for reply in replies[1:])
    assert len({reply.points[0].x_px for reply in replies}) == 1


def test_a_byte_equal_frame_with_the_same_question_takes_nothing(engines) -> None:
    engine = engines()
    say(engine, percent_answer([(12.3, 45.6)], LABEL))
    first = engine.ask(engine.encode(noise(WIDTH, HEIGHT, seed=13)), [POINT])[0]

    again = engine.ask(engine.encode(noise(WIDTH, HEIGHT, seed=13)), [POINT])[0]

    assert again.points == first.points
    assert again.work == type(again.work)()


def test_only_the_frames_own_bytes_go_to_the_device(engines) -> None:
    engine = engines()
    say(engine, " There are none.")
    picture = noise(WIDTH, HEIGHT, seed=14)
    work = engine.ask(engine.encode(picture), [POINT])[0].work
    assert work.h2d_bytes == picture.nbytes
    assert work.host_copies_bytes == 0
    picture = noise(WIDTH, HEIGHT, seed=15)
    picture.flags.writeable = False  # as out of a shared-memory ring
    work = engine.ask(engine.encode(picture), [POINT])[0].work
    assert work.host_copies_bytes <= picture.nbytes


def test_the_image_block_of_molmo2_is_never_split(engines) -> None:
    engine = engines("molmo2")
    lengths = []
    text_model = engine.family.model.model.language_model
    hook = text_model.register_forward_pre_hook(
        lambda _, __, kwargs: lengths.append(kwargs["inputs_embeds"].shape[1]), with_kwargs=True
    )
    say(engine, " There are none.")
    frame = engine.encode(noise(WIDTH, HEIGHT, seed=16))
    hook.remove()
    assert lengths == [frame.look.prefix.length]

"""Any string gives a typed result or a reason, and never an exception."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from molmo_node.errors import NoAnswer
from molmo_node.messages import TASKS, Point, Question
from molmo_node.models import answers
from molmo_node.models.grammar import grammar_for
from molmo_node.models.replies import to_reply

REFERENCE = json.loads((Path(__file__).parent / "golden" / "reference.json").read_text())
WIDTH, HEIGHT = 640, 480

# Text that looks like answers: broken tags, odd numbers, quotes, other scripts.
_PIECES = st.sampled_from(
    ['<point x="', '<points x1="', '" y="', '" y1="', '" x2="', ' alt="', '">', "</point>", '"',
     '<points coords="1 ', "100.0", "100.1", "43.1", "1e9", "-3", "٣", "½", "NaN", ".", " ",
     "12:59", "24:00", ":", "4,200", "4,2 bar", "−5 °C", "total of ", "three", "none", "{", "}",
     "[", '"a": ', "null", "1 431 550 ", "\x00", "\n", "𝟙", "0" * 400]
)  # fmt: skip
TEXTS = st.one_of(st.text(max_size=200), st.lists(_PIECES, max_size=20).map("".join))
COORDINATE = st.integers(0, 1000).map(lambda tenths: tenths / 10)
LABEL = st.text("abc déf", min_size=1, max_size=10)


def is_inside(points: tuple[Point, ...]) -> bool:
    return all(0 <= p.x_px <= WIDTH and 0 <= p.y_px <= HEIGHT for p in points)


@given(TEXTS)
def test_point_parsers_take_anything(text: str) -> None:
    for parse in (answers.percent_points, answers.thousandth_points):
        found = parse(text, WIDTH, HEIGHT, "x")
        if isinstance(found, NoAnswer):
            assert found.message
        else:
            assert found
            assert is_inside(found)


@given(TEXTS)
def test_the_other_parsers_take_anything(text: str) -> None:
    count = answers.count_in(text)
    assert isinstance(count, NoAnswer) or 0 <= count < 10**6
    time = answers.time_in(text)
    assert isinstance(time, NoAnswer) or (0 <= time.hour < 12 and 0 <= time.minute < 60)
    value = answers.value_in(text)
    assert isinstance(value, NoAnswer) or abs(value.value) < 1e9
    data = answers.json_in(text)
    assert isinstance(data, NoAnswer | dict | list)


@given(TEXTS, st.sampled_from(TASKS), st.sampled_from(["percent", "thousandths"]), st.booleans())
def test_replies_take_anything_and_hold_nothing_without_an_answer(
    text: str, task: str, point_format: str, is_truncated: bool
) -> None:
    question = Question(task=task, text="bolts")
    reply = to_reply(question, text, point_format, WIDTH, HEIGHT, is_truncated=is_truncated)
    assert is_inside(reply.points)
    if reply.no_answer is not None:
        assert (reply.points, reply.count, reply.time, reply.value, reply.data) == (
            (), None, None, None, None,
        )  # fmt: skip


@given(TEXTS, st.sampled_from(TASKS), st.sampled_from(["percent", "thousandths"]), st.booleans())
def test_grammars_take_anything(text: str, task: str, point_format: str, full: bool) -> None:
    grammar = grammar_for(Question(task=task, text='a "b" <c>'), point_format, full_text=full)
    assert isinstance(grammar.continuation(text), str)
    assert isinstance(grammar.is_complete(text), bool)


@given(st.lists(st.tuples(COORDINATE, COORDINATE), min_size=1, max_size=40), LABEL)
def test_points_written_as_in_training_come_back_as_pixels(points, label: str) -> None:
    from tests.models.scripting import percent_answer, thousandth_answer

    want = [(x / 100 * WIDTH, y / 100 * HEIGHT) for x, y in points]
    for parse, text in (
        (answers.percent_points, percent_answer(points, label)),
        (answers.thousandth_points, thousandth_answer(points, label)),
    ):
        found = parse(text, WIDTH, HEIGHT)
        assert [(p.x_px, p.y_px) for p in found] == [pytest.approx(pair) for pair in want]


@given(st.lists(st.tuples(COORDINATE, COORDINATE), min_size=2, max_size=5), st.data())
def test_a_cut_list_never_gives_a_point_that_was_not_said(points, data) -> None:
    from tests.models.scripting import percent_answer

    text = percent_answer(points, "mug")
    cut = text[: data.draw(st.integers(0, len(text)))]
    found = answers.percent_points(cut, WIDTH, HEIGHT)
    if not isinstance(found, NoAnswer):
        said = {(x / 100 * WIDTH, y / 100 * HEIGHT) for x, y in points}
        whole = [(p.x_px, p.y_px) for p in found]
        # The last number may be cut within its digits; decoding never stops there.
        assert set(whole[:-1]) <= said


def test_valid_answers_are_read_as_the_reference_reads_them() -> None:
    checked = 0
    for row in REFERENCE["points"]:
        tags = "<point" in row["text"] and "x" in row["text"] and "=" in row["text"]
        if not (row["is_valid_format"] and tags and row["points"]) or " p=" in row["text"]:
            continue
        found = answers.percent_points(row["text"], row["width"], row["height"])
        if isinstance(found, NoAnswer):
            # Ours is stricter: a point outside, or none of v1's own attributes.
            assert "outside" in found.message or "no point" in found.message, row
            continue
        assert [[p.x_px, p.y_px] for p in found] == [pytest.approx(p) for p in row["points"]]
        checked += 1
    assert checked >= 6


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('<point x="100.1" y="10.0" alt="a">a</point>', "outside"),
        ('<points x1="1.0" y1="2.0" x2="3.0" alt="a">a</points>', "only one coordinate"),
        ('<point x="1.0" x="2.0" y="3.0">', "twice"),
        ('<point x="1.0" y="two">', "not a number"),
        ('<point x="-1.0" y="2.0">', "not a number"),
        ("There are none.", "sees none"),
        ("This isn't in the image.", "sees none"),
        ("", "said nothing"),
        ("The mug is red.", "no point"),
    ],
)
def test_percent_points_say_why_there_are_none(text: str, reason: str) -> None:
    found = answers.percent_points(text, WIDTH, HEIGHT)
    assert isinstance(found, NoAnswer)
    assert reason in found.message


@pytest.mark.parametrize(
    "coords", ["", "1", "1 1 431", "1 1 431 550 2", "2 1 431 550", "1 1 1001 0"]
)
def test_lists_of_molmo2_that_are_not_whole_are_no_answer(coords: str) -> None:
    assert isinstance(
        answers.thousandth_points(f'<points coords="{coords}">a</points>', WIDTH, HEIGHT), NoAnswer
    )


def test_several_tags_in_a_sentence_are_all_read() -> None:
    text = (
        'The <point x="5.0" y="6.0" alt="valve">valve</point> and <point x="50.0" y="25.0" alt="b">'
    )
    found = answers.percent_points(text, 100, 100)
    assert [(p.x_px, p.y_px, p.label) for p in found] == [(5, 6, "valve"), (50, 25, "b")]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ('Counting the <points x1="1.0" y1="2.0" alt="a">a</points> shows a total of 7.', 7),
        ("There are 3 bolts.", 3),
        ("There are three bolts.", 3),
        ("There are none.", 0),
        ("0", 0),
        ("Between 3 and 5", None),
        ("about 2.5", None),
        ("many", None),
    ],
)
def test_counts(text: str, count: int | None) -> None:
    found = answers.count_in(text)
    assert isinstance(found, NoAnswer) if count is None else found == count


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("The time shown is 10:15:30 AM", (10, 15, 30)),
        ("The time shown is 12:07 AM", (0, 7, None)),
        ("22:10", (10, 10, None)),
        ("The time is not shown in the image.", None),
        ("10:15 or 3:50", None),
        ("25:00", None),
        ("10:75", None),
        ("1:2:3:4", None),
    ],
)
def test_times(text: str, time) -> None:
    found = answers.time_in(text)
    if time is None:
        assert isinstance(found, NoAnswer)
    else:
        assert (found.hour, found.minute, found.second) == time


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("4.2 bar", 4.2, "bar"),
        ("The gauge shows 4,2 bar.", 4.2, "bar"),
        ("-5 °C", -5, "°C"),
        ("−0.5 MPa", -0.5, "MPa"),
        ("37%", 37, "%"),
        ("It reads 4.2 on the dial", 4.2, ""),
        ("4,200 psi", None, ""),
        ("between 4 and 5 bar", None, ""),
        ("1.2.3", None, ""),
        ("nothing", None, ""),
    ],
)
def test_values(text: str, value: float | None, unit: str) -> None:
    found = answers.value_in(text)
    if value is None:
        assert isinstance(found, NoAnswer)
    else:
        assert (found.value, found.unit) == (value, unit)


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ('Here it is:\n```json\n{"serial": "A-17"}\n```', {"serial": "A-17"}),
        ('see [1]: [{"a": 1}, {"b": [2]}] ok', [{"a": 1}, {"b": [2]}]),
        ('{"a": NaN}', None),
        ('{"a": 1', None),
        ("[" * 5000, None),
        ("no json", None),
    ],
)
def test_json_in_prose(text: str, data) -> None:
    found = answers.json_in(text)
    assert isinstance(found, NoAnswer) if data is None else found == data

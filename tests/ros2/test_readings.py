"""Readings as numbers and diagnostics, answers as shapes."""

from __future__ import annotations

import math

import pytest

from molmo_node.messages import ClockReading, GaugeReading, Geometry
from molmo_node.ros2.overlay import FOUND, NEEDLE, REFUSED, shapes
from molmo_node.ros2.readings import (
    READINGS,
    Level,
    ReadingBoard,
    ReadingLimits,
    number,
    shown,
    topic_word,
)
from tests.ros2.messages import answer

S = 1_000_000_000
LIMITS = ReadingLimits(warn_below=1.0, warn_above=8.0, error_above=9.0)


def gauge(value, **fields):
    made = {"unit": "bar", "min": 0.0, "max": 10.0, "confidence": 0.9}
    return GaugeReading(value=value, **{**made, **fields})


def refused(reason="no_needle"):
    return gauge(None, status="refused", reason=reason)


def about(reading, **fields):
    return answer(task="read_gauge", query="boiler", watch="boiler", reading=reading, **fields)


@pytest.mark.parametrize(
    ("reading", "value", "text"),
    [
        (gauge(4.214), 4.214, "4.214 bar"),
        (gauge(4.2, status="doubtful"), None, "4.2 bar"),
        (refused(), None, ""),
        (ClockReading(hour=10, minute=8, second=31), 36511.0, "10:08:31"),
        (ClockReading(hour=0, minute=5), 300.0, "00:05"),
        (ClockReading(hour=10, minute=8, status="doubtful"), None, "10:08"),
        (ClockReading(hour=None, status="refused", reason="no_dial"), None, ""),
    ],
)
def test_only_a_trusted_reading_is_a_number(reading, value, text):
    assert (number(reading), shown(reading)) == (value, text)


@pytest.mark.parametrize(
    ("value", "level", "message"),
    [
        (5.0, Level.OK, "5 bar"),
        (0.5, Level.WARN, "0.5 bar, below 1"),
        (8.5, Level.WARN, "8.5 bar, above 8"),
        (9.5, Level.ERROR, "9.5 bar, above 9"),
    ],
)
def test_limits_make_the_level(value, level, message):
    board = ReadingBoard(10.0)
    board.note(about(gauge(value)), 0)

    (told,) = board.diagnostics({"boiler": LIMITS}, S)

    assert (told.level, told.message) == (level, message)
    assert (told.name, told.hardware_id) == ("molmo_node: boiler", "ros")
    assert {"value": str(value), "unit": "bar", "max": "10.0", "age_s": "1.0"}.items() <= dict(
        told.values
    ).items()


def test_a_refused_reading_warns_and_then_is_stale_with_its_reason():
    board = ReadingBoard(10.0)
    board.note(about(gauge(4.2)), 0)

    levels = []
    for at_s in (2, 20):
        board.note(about(refused()), at_s * S)
        (told,) = board.diagnostics({}, at_s * S)
        levels.append((told.level, told.message, dict(told.values)["value"]))

    assert levels == [
        (Level.WARN, "no_needle; last 4.2 bar, 2 s ago", ""),
        (Level.STALE, "no_needle; last 4.2 bar, 20 s ago", ""),
    ]


def test_an_answer_that_is_the_last_one_becomes_stale():
    board = ReadingBoard(10.0)
    board.note(about(gauge(4.2)), 0)

    (told,) = board.diagnostics({}, 11 * S)

    assert (told.level, told.message) == (Level.STALE, "no newer answer; last 4.2 bar, 11 s ago")


def test_a_dial_that_was_never_read_warns():
    board = ReadingBoard(10.0)
    board.note(about(refused("no_dial")), 0)

    (told,) = board.diagnostics({}, S)

    assert (told.level, told.message) == (Level.WARN, "no_dial; never read")


def test_names_without_end_do_not_fill_the_memory():
    board = ReadingBoard(10.0)

    kept = [board.note(answer(task="read_gauge", query=f"g{n}", reading=gauge(1.0)), 0)
            for n in range(READINGS + 9)]  # fmt: skip

    assert kept == [f"g{n}" for n in range(READINGS)] + [None] * 9
    assert board.note(answer((1.0, 2.0)), 0) is None
    assert len(board.diagnostics({}, 0)) == READINGS


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("boiler", "boiler"),
        ("gauge-1", "gauge_1"),
        ("1st", "_1st"),
        ("öl-a", "l_a"),
        ("--", "reading"),
    ],
)
def test_a_name_is_a_word_of_a_topic(name, word):
    assert topic_word(name) == word


def test_points_are_drawn_and_the_next_answer_without_any_takes_them_away():
    (drawn,) = shapes(answer((10.5, 20.0), (30.0, 40.0), watch="mug"))
    (gone,) = shapes(answer(watch="mug"))

    assert (drawn.kind, drawn.points, drawn.color) == (
        "points",
        ((10.5, 20.0), (30.0, 40.0)),
        FOUND,
    )
    assert (gone.namespace, gone.number, gone.points) == (drawn.namespace, drawn.number, ())


def test_a_needle_is_a_line_in_the_colour_of_its_trust():
    geometry = Geometry(center=(50.0, 60.0), needle_tip=(80.0, 60.0))

    (read,) = shapes(about(gauge(4.2, geometry=geometry)))
    (not_read,) = shapes(about(gauge(None, status="refused", geometry=geometry)))
    (nothing,) = shapes(about(refused()))

    assert (read.kind, read.points, read.color) == ("lines", ((50.0, 60.0), (80.0, 60.0)), NEEDLE)
    assert (not_read.points, not_read.color) == (read.points, REFUSED)
    assert nothing.points == ()


def test_hands_are_lines_from_the_centre_clockwise_from_up():
    geometry = Geometry(
        center=(50.0, 60.0), ellipse=(50.0, 60.0, 40.0, 40.0, 0.0), hands_deg=(90.0, 0.0)
    )
    clock = ClockReading(hour=3, minute=0, geometry=geometry)

    (drawn,) = shapes(answer(task="read_clock", reading=clock))

    assert [drawn.points[0], drawn.points[2]] == [(50.0, 60.0)] * 2
    assert math.dist(drawn.points[1], (70.0, 60.0)) < 1e-9
    assert math.dist(drawn.points[3], (50.0, 28.0)) < 1e-9

"""What is said of an answer in one row, and what is never said."""

from __future__ import annotations

import csv
import io

import msgspec
import pytest

from molmo_node.config.sinks import ConsoleSettings
from molmo_node.messages import ClockReading
from molmo_node.sinks.console import ConsoleSink, text_of
from molmo_node.sinks.csv_files import COLUMNS, row_of
from molmo_node.sinks.records import is_chosen, is_selected, iso, record_of
from tests.support import said


def clock(hour, **fields):
    reading = ClockReading(hour=hour, minute=8, second=31, **fields)
    return msgspec.structs.replace(said.clock_answer(), reading=reading)


@pytest.mark.parametrize(
    ("answer", "value", "status", "reason"),
    [
        (said.read(4.2), 4.2, "ok", ""),
        (said.read(None), None, "refused", "no_needle"),
        (said.read(4.2, status="doubtful"), None, "doubtful", "doubtful"),
        (said.read(4.2, status="refused"), None, "refused", "refused"),
        (clock(10), "10:08:31", "ok", ""),
        (clock(None, status="refused", reason="glare"), None, "refused", "glare"),
        (clock(10, status="doubtful"), None, "doubtful", "doubtful"),
        (said.found("n", "count"), 2, "ok", ""),
        (said.found("n", "count", count=0), 0, "ok", ""),
        (said.found("p", "point"), 2, "ok", ""),
        (said.text("what", "a bench"), "a bench", "ok", ""),
        (said.text("what", "", reason="too dark"), None, "no_answer", "too dark"),
    ],
)
def test_only_what_is_trusted_has_a_value(answer, value, status, reason):
    record = record_of(answer)

    assert (record.value, record.status, record.reason) == (value, status, reason)


@pytest.mark.parametrize(
    ("value", "sigma", "rounded"),
    [
        (0.26182674803140826, 0.0018160875863093427, 0.26183),
        (12345.6789, 0.2, 12345.679),
        (12345.6789, 30.0, 12345.7),
        (-40.123456, 2000.0, -40.0),
        (1 / 3, None, 0.3333333333),
        (1 / 3, 0.0, 0.3333333333),
        (0.0, 1e-300, 0.0),
    ],
)
def test_digits_that_mean_nothing_are_left_out(value, sigma, rounded):
    answer = said.read(value)
    reading = msgspec.structs.replace(answer.reading, sigma=sigma)

    assert record_of(msgspec.structs.replace(answer, reading=reading)).value == rounded


def test_doubtful_readings_count_where_that_is_wanted():
    answer = said.read(4.2, status="doubtful")

    assert record_of(answer, is_doubtful_trusted=True).value == 4.2
    assert record_of(said.read(4.2, status="refused"), is_doubtful_trusted=True).value is None


@pytest.mark.parametrize(
    ("stamp_ns", "text"),
    [
        (1_700_000_000_123_999_999, "2023-11-14T22:13:20.123Z"),
        (-5, "1970-01-01T00:00:00.000Z"),
        (2**63, "2262-04-11T23:47:16.854Z"),
        (10**30, "9999-12-31T23:59:59.000Z"),
    ],
)
def test_stamps_are_utc_with_milliseconds(stamp_ns, text):
    assert iso(stamp_ns) == text


@pytest.mark.parametrize(
    ("name", "watches", "chosen"),
    [
        ("boiler", (), True),
        ("boiler", ("boiler",), True),
        ("boiler", ("other",), False),
        ("", (), False),
        ("read-gauge-0a1b2c3d", (), False),
        ("read-gauge-0a1b2c3d", ("read-gauge-0a1b2c3d",), True),
        ("read-gauge-boiler", (), True),
    ],
)
def test_watches_are_chosen_by_name_or_by_having_one(name, watches, chosen):
    assert is_chosen(name, watches) is chosen


def test_states_are_no_answers():
    assert not is_selected(said.worker(), ())
    assert is_selected(said.read(1.0), ())


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-2+3", "'-2+3"),
        ('two\nlines, "quoted"', 'two lines, "quoted"'),
    ],
)
def test_csv_rows_are_one_line_and_no_formula(text, cell):
    row = row_of(record_of(said.text("what", text)))

    assert "\n" not in row
    fields = dict(zip(COLUMNS, next(csv.reader(io.StringIO(row))), strict=True))
    assert fields["value"] == cell


def test_csv_numbers_stay_numbers():
    row = row_of(record_of(said.read(-1.5)))

    assert ",-1.5,bar," in row


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (said.read(4.2), "2023-11-14T22:13:20.000Z front boiler 4.2 bar ±0.1 90%"),
        (said.read(None), "2023-11-14T22:13:20.000Z front boiler - no_needle"),
    ],
)
def test_the_console_says_it_in_a_line(answer, line):
    assert text_of(record_of(answer)) == line


def test_the_console_passes_no_control_characters_on_to_a_terminal():
    stream = io.StringIO()
    sink = ConsoleSink(ConsoleSettings(), None, stream)

    sink.write([said.text("what", "red\x1b[31m\nalert\x07")])

    assert stream.getvalue().endswith("what red [31m alert\n")


def test_the_console_can_say_everything():
    stream = io.StringIO()
    ConsoleSink(ConsoleSettings(format="json"), None, stream).write([said.read(4.2)])

    assert msgspec.json.decode(stream.getvalue())["reading"]["value"] == 4.2

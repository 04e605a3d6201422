"""Readings over hours in a file that survives restarts, damage and time."""

from __future__ import annotations

import asyncio
import time

import pytest

from molmo_node.config import Settings, WebSettings
from molmo_node.errors import ConfigError
from molmo_node.messages import (
    Answer,
    ClockReading,
    FrameRef,
    GaugeReading,
    Point,
    Question,
    WatchSpec,
)
from molmo_node.web.store import DAY_NS, Limits, Row, Store, data_file, row_of

NOW_NS = 1_800_000_000_000_000_000


def row(seconds: float, value: float | None, watch: str = "boiler") -> Row:
    reason = "" if value is not None else "no_needle"
    return Row(watch, NOW_NS + int(seconds * 1e9), value, None, "bar", "ok", reason)


def answer(**fields) -> Answer:
    ref = FrameRef(camera="front", session="s", seq=1, stamp_ns=NOW_NS, mono_ns=0)
    return Answer(frame=ref, width=640, height=480, watch="w", **fields)


def run(tmp_path, scene):
    async def main():
        store = Store(tmp_path / "page.sqlite")
        try:
            return await scene(store)
        finally:
            await store.close()

    return asyncio.run(main())


def test_spans_hold_mean_extremes_and_what_could_not_be_read(tmp_path):
    async def scene(store):
        for seconds, value in [(0, 1.0), (1, 3.0), (2, None), (10, 5.0)]:
            store.add(row(seconds, value))
        store.add(row(1, 100.0, watch="other"))
        await store.flush()
        return await store.series("boiler", NOW_NS, NOW_NS + 20 * 10**9, 4)

    spans = run(tmp_path, scene)

    assert [span[1:] for span in spans] == [(2.0, 1.0, 3.0, 2, 3), (5.0, 5.0, 5.0, 1, 1)]


def test_what_was_written_is_there_after_a_restart(tmp_path):
    spec = WatchSpec(name="boiler", question=Question.read_gauge("boiler"), rate_hz=0.5)

    async def write(store):
        store.add(row(0, 1.0))
        await store.keep_watch(spec, is_paused=True)
        await store.set_limits("boiler", Limits(low=1.0))

    async def read(store):
        return await store.watches(), await store.limits(), await store.rows("boiler", 0, NOW_NS, 9)

    run(tmp_path, write)
    watches, limits, rows = run(tmp_path, read)

    assert [(kept.spec, kept.is_paused) for kept in watches] == [(spec, True)]
    assert limits == {"boiler": Limits(low=1.0)}
    assert rows == [row(0, 1.0)]


def test_a_damaged_file_is_put_aside_and_a_new_one_begins(tmp_path):
    (tmp_path / "page.sqlite").write_bytes(b"this is no database, " * 100)

    async def scene(store):
        store.add(row(0, 1.0))
        await store.flush()
        return await store.rows("boiler", 0, NOW_NS, 9)

    assert len(run(tmp_path, scene)) == 1
    assert len(list(tmp_path.glob("page.broken-*"))) == 1


def test_a_file_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(ConfigError, match=r"file/page\.sqlite"):
        Store(tmp_path / "file" / "page.sqlite")


def test_what_is_old_is_deleted(tmp_path):
    async def scene(store):
        now_ns = time.time_ns()
        for days in (0.0, 1.0, 3.0):
            store.add(Row("w", now_ns - int(days * DAY_NS), 1.0, None, "", "ok", ""))
        await store.flush()
        await store.prune(2.0)
        return await store.rows("w", 0, now_ns + 1, 9)

    assert len(run(tmp_path, scene)) == 2


def test_a_disk_that_cannot_follow_costs_the_oldest_rows_not_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("molmo_node.web.store.MOST_PENDING", 10)

    async def scene(store):
        for seconds in range(25):
            store.add(row(seconds, 1.0))
        await store.flush()
        return store.dropped, await store.rows("boiler", 0, NOW_NS + DAY_NS, 99)

    dropped, rows = run(tmp_path, scene)

    assert dropped == 15
    assert rows[0] == row(15, 1.0)


@pytest.mark.parametrize(
    ("fields", "value", "unit"),
    [
        ({"task": "read_gauge", "reading": GaugeReading(value=4.2, unit="bar")}, 4.2, "bar"),
        ({"task": "read_gauge", "reading": GaugeReading(value=None, reason="no_dial")}, None, ""),
        ({"task": "read_clock", "reading": ClockReading(hour=10, minute=8)}, 608.0, "min"),
        ({"task": "count", "count": 7}, 7.0, ""),
        ({"task": "point", "points": (Point(x_px=1, y_px=2),)}, 1.0, ""),
        ({"task": "count", "reason": "nothing found"}, None, ""),
    ],
)  # fmt: skip
def test_every_answer_with_a_number_becomes_a_row(fields, value, unit):
    found = row_of(answer(**fields))

    assert found is not None
    assert (found.value, found.unit, found.stamp_ns) == (value, unit, NOW_NS)


@pytest.mark.parametrize("task", ["ask", "describe", "extract"])
def test_words_are_no_rows(task):
    assert row_of(answer(task=task, text="a mug")) is None


def test_another_run_dir_keeps_its_own_file(tmp_path):
    assert data_file(Settings(run_dir=tmp_path)) == tmp_path / "page.sqlite"
    named = Settings(run_dir=tmp_path, web=WebSettings(data_file=tmp_path / "x.sqlite"))
    assert data_file(named) == tmp_path / "x.sqlite"

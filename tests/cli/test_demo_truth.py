"""The demo's share of right answers is the truth of the bench, and its table adds up."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import yaml

import molmo_node
from molmo_node.camera.sim import bench_time
from molmo_node.cli import demo_truth
from molmo_node.cli.tally import Outcome
from molmo_node.messages import Answer, ClockReading, FrameRef, GaugeReading, Point
from molmo_node.sim.bench import Bench
from molmo_node.sim.scene import matching

STAMP_NS = 1_790_000_000_250_000_000
DEMO = Path(molmo_node.__file__).parent / "examples" / "demo.yaml"


@pytest.fixture(scope="module")
def scene():
    return Bench(480, 270).at(*bench_time(STAMP_NS))


def answer(task: str, **fields) -> Answer:
    frame = FrameRef(camera="bench", session="s", seq=7, stamp_ns=STAMP_NS, mono_ns=1)
    return Answer(task=task, frame=frame, width=480, height=270, **fields)


def pointing(scene, color: str, noun: str) -> tuple[Point, ...]:
    return tuple(Point(x_px=t.x_px, y_px=t.y_px) for t in matching(scene, color, noun))


def test_a_point_on_the_thing_and_nowhere_else_is_right(scene):
    mug, bottles = pointing(scene, "red", "mug"), pointing(scene, "green", "bottle")

    asked = {"query": "the red mug"}
    assert demo_truth.is_right(answer("point", points=mug, **asked)) is True
    assert demo_truth.is_right(answer("point", points=(*mug, bottles[0]), **asked)) is False
    assert demo_truth.is_right(answer("point", points=(*mug, *mug), **asked)) is False
    assert demo_truth.is_right(answer("point", points=bottles[:1], **asked)) is False
    assert demo_truth.is_right(answer("point", points=(), **asked)) is False


def test_a_count_is_right_when_it_is_exact(scene):
    assert demo_truth.is_right(answer("count", query="green bottles", count=2)) is True
    assert demo_truth.is_right(answer("count", query="green bottles", count=3)) is False


@pytest.mark.parametrize(("off", "right"), [(0.0, True), (0.19, True), (-0.21, False)])
def test_a_gauge_is_right_within_two_percent_of_its_scale(scene, off, right):
    reading = GaugeReading(value=scene.gauges[0].value + off, unit="bar")

    assert demo_truth.is_right(answer("read_gauge", reading=reading)) is right


@pytest.mark.parametrize(("off", "right"), [(0, True), (-1, True), (2, False), (60, False)])
def test_a_clock_is_right_within_a_minute(scene, off, right):
    time = scene.clocks[0].time
    hour, minute = divmod((time.hour * 60 + time.minute + off) % 720, 60)

    reading = ClockReading(hour=hour, minute=minute)

    assert demo_truth.is_right(answer("read_clock", reading=reading)) is right


def test_a_refusal_is_not_right_and_another_question_is_not_judged():
    refused = GaugeReading(value=None, unit="bar", status="refused", reason="no_needle")

    assert demo_truth.is_right(answer("read_gauge", reading=refused)) is False
    assert demo_truth.is_right(answer("point", query="the cat")) is None


def test_the_demo_asks_only_what_can_be_judged():
    watches = yaml.safe_load(DEMO.read_text())["watches"]

    assert {"point", "count", "read_gauge", "read_clock"} <= {w["task"] for w in watches}
    pointing = [w for w in watches if w["task"] in ("point", "count")]
    assert all(watch["text"] in demo_truth.ASKED for watch in pointing)


def test_the_table_counts_what_was_asked_answered_and_right():
    outcome = Outcome(judge=lambda given: given.count == 2)
    said = answer("count", count=2, watch="bottles")
    outcome.note(said)
    outcome.note(msgspec.structs.replace(said, count=3))
    outcome.note(msgspec.structs.replace(said, reason="it sees none", count=None))

    *_, row, totals = outcome.summary().splitlines()

    assert row.split()[:5] == ["bottles", "3", "2", "33", "%"]  # asked, answered, right
    assert len(outcome.frames) == 1
    assert "0 restarts" in totals

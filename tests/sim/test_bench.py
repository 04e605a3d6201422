"""The bench is a pure function of time, and its truth moves with the picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import molmo_node
from molmo_node.camera.base import make_source
from molmo_node.camera.sim import bench_time
from molmo_node.camera.spec import parse_source
from molmo_node.gauge_profiles import load_profile
from molmo_node.instruments import read_gauge
from molmo_node.sim.bench import Bench, day_time, process_fraction
from molmo_node.sim.scene import matching
from tests.camera.fakes import FakeClock

SMALL = Bench(480, 270)


def test_a_moment_looks_the_same_twice():
    assert np.array_equal(SMALL.at(12.5).image_hwc, SMALL.at(12.5).image_hwc)


def test_things_move_between_moments():
    first, later = (matching(SMALL.at(t), "red", "mug") for t in (0.0, 4.0))

    assert len(first) == len(later) == 1
    assert abs(first[0].x_px - later[0].x_px) > 3


def test_everything_on_the_bench_is_in_view_at_all_times():
    for moment in range(0, 120, 7):
        scene = SMALL.at(float(moment))
        hidden = [thing.noun for thing in scene.things if not thing.is_clear]
        assert len(scene.things) == 12
        assert not hidden, f"at {moment} s"


def test_there_are_two_green_bottles_to_count():
    assert len(matching(SMALL.at(3.0), "green", "bottle")) == 2


def test_the_gauge_follows_the_process_and_stays_on_its_scale():
    fractions = [process_fraction(t / 4) for t in range(2000)]
    truth = SMALL.at(30.0).gauges[0]

    assert 0.05 < min(fractions) < 0.2
    assert 0.8 < max(fractions) < 0.95
    assert truth.value == 10 * process_fraction(30.0)


def test_the_clock_shows_the_time_of_day():
    shown = SMALL.at(5.0, day_s=15 * 3600 + 42 * 60 + 7.9).clocks[0].time

    assert (shown.hour, shown.minute, shown.second) == (3, 42, 7)
    assert day_time(43_199.5).hour == 11


def test_a_frames_stamp_leads_back_to_its_picture_and_truth():
    clock = FakeClock()
    source = make_source(parse_source("sim:480x270@5"), clock)
    info = source.open()

    frame = source.read()

    scene = SMALL.at(*bench_time(frame.stamp_ns))
    source.close()
    assert (info.width, info.height, info.fps, info.is_live) == (480, 270, 5.0, False)
    assert np.array_equal(frame.body, scene.image_hwc)
    assert (frame.encoding, frame.width, frame.height) == ("rgb8", 480, 270)


def test_the_demos_profile_reads_the_gauge_at_all_times():
    profile = load_profile(Path(molmo_node.__file__).parent / "examples" / "gauges" / "bench.yaml")
    bench = Bench()

    for moment in range(0, 90, 9):
        scene = bench.at(float(moment))
        reading = read_gauge(scene.image_hwc, profile)
        assert reading.value is not None, f"at {moment} s: {reading.reason}"
        assert abs(reading.value - scene.gauges[0].value) < 0.1, f"at {moment} s"

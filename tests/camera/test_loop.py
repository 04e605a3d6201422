"""The capture loop numbers good frames, survives bad ones, and brings a lost source back."""

from __future__ import annotations

import itertools
import os
import random
import threading

import numpy as np
import pytest

from molmo_node.camera.base import BadFrame
from molmo_node.camera.convert import to_rgb8
from molmo_node.camera.loop import CaptureLoop
from molmo_node.camera.watchdog import Limits, Pulse, verdict
from molmo_node.errors import CameraError

from .fakes import (
    JPEG,
    PIXELS,
    SECOND_NS,
    FakeClock,
    Recorder,
    ScriptedSource,
    good_frame,
    make_loop,
)

UNPLUGGED = CameraError("/dev/video0: the device is gone")


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def recorder():
    return Recorder()


def ticking(clock, period_s=0.1, **changes):
    """A step that lets a period pass and gives a frame stamped then."""

    def step():
        clock.advance(period_s)
        return good_frame(clock, **changes)

    return step


def test_frames_carry_camera_session_rising_seq_and_the_grab_stamps(clock, recorder):
    loop = make_loop(
        [ScriptedSource([ticking(clock)] * 3)], recorder, clock,
        frame_id="front_optical", host="robot", first_seq=7,
    )  # fmt: skip

    loop.run()

    assert [(ref.seq, ref.session, ref.camera) for ref in recorder.refs] == [
        (7, "s0", "front"), (8, "s0", "front"), (9, "s0", "front"),
    ]  # fmt: skip
    first = recorder.refs[0]
    assert (first.frame_id, first.host) == ("front_optical", "robot")
    assert first.mono_ns == 1000 * SECOND_NS + SECOND_NS // 10
    assert first.stamp_ns == first.mono_ns + clock.wall_offset_ns
    assert recorder.reports == [("ready", ""), ("stopped", "end of stream")]


def test_fifty_losses_are_reported_and_reopened_with_a_new_session_each(clock, recorder):
    sources = [ScriptedSource([ticking(clock), UNPLUGGED]) for _ in range(50)]
    loop = make_loop(sources, recorder, clock, frame_id="front")

    loop.run()

    assert [ref.seq for ref in recorder.refs] == list(range(50))
    assert len({ref.session for ref in recorder.refs}) == 50
    assert {ref.frame_id for ref in recorder.refs} == {"front"}
    assert recorder.states == ["ready", "lost"] * 50 + ["stopped"]
    assert all(source.closed == 1 for source in sources)
    assert loop.counters()["reopened"] == 50


def test_a_source_that_cannot_be_opened_is_tried_again_ever_more_slowly(clock, recorder):
    absent = [ScriptedSource([], open_error=UNPLUGGED) for _ in range(5)]
    waited = []

    def wait(seconds):
        waited.append(seconds)
        return False

    loop = make_loop([*absent, ScriptedSource([ticking(clock)])], recorder, clock, wait=wait)

    loop.run()

    assert waited == [0.5, 1.0, 2.0, 2.0, 2.0]
    assert recorder.states == ["lost", "ready", "stopped"]
    assert all(source.closed == 1 for source in absent)


def test_a_driver_that_throws_anything_is_a_lost_camera(clock, recorder, caplog):
    sources = [ScriptedSource([ticking(clock), ZeroDivisionError("driver")])]
    loop = make_loop(sources, recorder, clock)

    loop.run()

    assert recorder.reports[1] == ("lost", "reading failed with ZeroDivisionError")
    assert "unforeseen" in caplog.text
    assert loop.counters()["reopened"] == 1


def test_a_publisher_that_fails_ends_the_loop_as_failed(clock, recorder, caplog):
    source = ScriptedSource([ticking(clock)] * 3)
    loop = make_loop([source], recorder, clock)
    loop._publish = lambda grabbed, ref: 1 / 0

    loop.run()

    assert recorder.reports == [("failed", "capture failed with ZeroDivisionError")]
    assert source.closed == 1
    assert "capture failed" in caplog.text


JUNK = {
    "empty": {"body": b""},
    "stamp": {"mono_ns": 5},
    "header": {"width": 60},
    "truncated": {"body": JPEG[: len(JPEG) * 3 // 4]},
    "encoding": {"encoding": "png"},
    "shape": {"body": PIXELS[..., 0].copy(), "encoding": "rgb8"},
    "size": {"body": PIXELS[:8, :8].copy(), "encoding": "rgb8", "width": 8, "height": 8},
}


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        *JUNK.items(),
        ("stamp", {"mono_ns": 10**18}),
        ("encoding", {"body": b"GIF89a" + bytes(50)}),
        ("header", {"body": JPEG[:30]}),
        ("header", {"width": 0, "height": 0}),
        ("size", {"body": bytes(17_000_000)}),
        ("shape", {"body": PIXELS.astype(np.float32), "encoding": "rgb8"}),
        ("shape", {"body": PIXELS[:, ::2], "encoding": "rgb8", "width": 32}),
        ("shape", {"body": bytes(10), "encoding": "mono8"}),
    ],
)
def test_a_bad_frame_is_counted_by_its_reason_and_the_stream_goes_on(
    clock, recorder, reason, changes
):
    steps = [ticking(clock), ticking(clock, **changes), ticking(clock)]
    loop = make_loop([ScriptedSource(steps)], recorder, clock)

    loop.run()

    counters = loop.counters()
    assert [ref.seq for ref in recorder.refs] == [0, 1]
    assert (counters["grabbed"], counters["sent"], counters["rejected"]) == (3, 2, 1)
    assert counters[f"rejected_{reason}"] == 1
    assert recorder.states == ["ready", "stopped"]


def test_no_exception_escapes_in_ten_thousand_frames_of_junk(clock, recorder):
    rng = random.Random(8)
    kinds = [*JUNK, "good", "bad", "bytes"]

    def step():
        clock.advance(0.01)
        kind = rng.choice(kinds)
        if kind == "bad":
            raise BadFrame("undecodable")
        if kind == "bytes":
            return good_frame(clock, body=rng.randbytes(rng.randrange(80)))
        return good_frame(clock, **JUNK.get(kind, {}))

    loop = make_loop([ScriptedSource([step] * 10_000)], recorder, clock)

    loop.run()

    counters = loop.counters()
    assert recorder.states[-1] == "stopped"
    assert "lost" not in recorder.states
    assert counters["grabbed"] == 10_000 == counters["sent"] + counters["rejected"]
    assert counters["sent"] == len(recorder.frames) > 500
    assert counters["rejected"] == sum(
        number for name, number in counters.items() if name.startswith("rejected_")
    )


def test_a_body_that_does_not_convert_is_rejected(clock, recorder):
    damaged = JPEG[: len(JPEG) * 3 // 4] + b"\xff\xd9"
    steps = [ticking(clock), ticking(clock, body=damaged), ticking(clock)]
    loop = make_loop([ScriptedSource(steps)], recorder, clock, convert=to_rgb8)

    loop.run()

    assert [grabbed.encoding for grabbed, _ in recorder.frames] == ["rgb8", "rgb8"]
    assert loop.counters()["rejected_undecodable"] == 1


@pytest.mark.parametrize("jump_s", [3600, -3600, 86_400, -86_400, 1, -1])
def test_wall_clock_jumps_change_neither_order_nor_rate_nor_state(clock, recorder, jump_s):
    def jumping():
        clock.wall_offset_ns += jump_s * SECOND_NS
        return ticking(clock)()

    source = ScriptedSource([ticking(clock)] * 5 + [jumping] * 5 + [ticking(clock)] * 5)
    loop = make_loop([source], recorder, clock)

    loop.run()

    steps_ns = {b.mono_ns - a.mono_ns for a, b in itertools.pairwise(recorder.refs)}
    assert steps_ns == {SECOND_NS // 10}
    assert loop.counters()["rejected"] == 0
    assert recorder.states == ["ready", "stopped"]
    assert loop.check() == "fine"


def test_a_live_source_is_thinned_to_the_highest_rate(clock, recorder):
    source = ScriptedSource([ticking(clock, 1 / 30)] * 300, fps=30)
    loop = make_loop([source], recorder, clock, max_fps=10)

    loop.run()

    assert len(recorder.frames) == 100
    assert loop.counters()["skipped"] == 200


def test_a_live_source_at_its_nominal_rate_loses_nothing_to_jitter(clock, recorder):
    rng = random.Random(1)
    source = ScriptedSource([ticking(clock, rng.uniform(0.09, 0.11)) for _ in range(200)], fps=10)
    loop = make_loop([source], recorder, clock, max_fps=10)

    loop.run()

    assert len(recorder.frames) >= 195


def test_a_file_is_paced_without_drift_and_a_bad_picture_takes_its_turn(clock, recorder):
    steps = [lambda: good_frame(clock), BadFrame("unreadable")] * 50
    loop = make_loop([ScriptedSource(steps, is_live=False, fps=4)], recorder, clock)
    started_ns = clock.mono_ns()

    loop.run()

    stamps_s = [(ref.mono_ns - started_ns) / SECOND_NS for ref in recorder.refs]
    assert stamps_s == pytest.approx([index * 0.5 for index in range(50)])
    assert loop.counters()["rejected_unreadable"] == 50


def test_silence_is_reported_as_lost_within_two_seconds_of_the_frame_expected(clock, recorder):
    loop = make_loop([], recorder, clock)
    period_s = 0.1
    seen = []

    def silent():
        for _ in range(25):
            clock.advance(0.1)
            loop.check()
            seen.append(loop.state)
        return good_frame(clock)

    source = ScriptedSource([ticking(clock), silent, ticking(clock)], fps=1 / period_s)
    loop._source_factory = lambda: source

    loop.run()

    silent_s = 0.1 * (1 + seen.index("lost"))
    assert 1.5 < silent_s <= period_s + 2.0
    assert recorder.reports == [
        ("ready", ""), ("lost", "no frame in time"), ("ready", ""), ("stopped", "end of stream"),
    ]  # fmt: skip
    assert len({ref.session for ref in recorder.refs}) == 1


def test_a_stream_of_junk_is_reported_as_lost_with_what_is_wrong(clock, recorder):
    loop = make_loop([], recorder, clock)

    def junk():
        clock.advance(0.5)
        loop.check()
        return good_frame(clock, **JUNK["truncated"])

    source = ScriptedSource([ticking(clock)] + [junk] * 6)
    loop._source_factory = lambda: source

    loop.run()

    assert ("lost", "frames come but are rejected: truncated") in recorder.reports


FIVE_S = 5 * SECOND_NS


@pytest.mark.parametrize(
    ("pulse", "now_s", "awake_s", "expected"),
    [
        (Pulse("idle", 0), 100, 0, "fine"),
        (Pulse("opening", 0), 9.9, 0, "fine"),
        (Pulse("opening", 0), 10.1, 0, "hung"),
        (Pulse("reading", 0, 0, 0.1), 1.5, 0, "fine"),
        (Pulse("reading", 0, 0, 0.1), 1.7, 0, "late"),
        (Pulse("reading", 0, 0, 0.1), 4.2, 0, "hung"),
        (Pulse("reading", 0, 0, 5.0), 6.4, 0, "fine"),
        (Pulse("reading", 0, 0, 5.0), 6.6, 0, "late"),
        (Pulse("reading", 0, 0, 5.0), 9.1, 0, "hung"),
        (Pulse("closing", 0), 3.9, 0, "fine"),
        (Pulse("closing", 0), 4.1, 0, "hung"),
        (Pulse("idle", 0, 0, 0.1), 1.7, 0, "late"),
        (Pulse("idle", FIVE_S, FIVE_S, 0.1), 4.0, 0, "fine"),
        (Pulse("reading", 0, 0, 0.1), 60.0, 59.5, "fine"),
        (Pulse("reading", 0, 0, 0.1), 64.0, 59.5, "hung"),
    ],
)
def test_watchdog_table(pulse, now_s, awake_s, expected):
    now_ns, awake_ns = round(now_s * SECOND_NS), round(awake_s * SECOND_NS)

    assert verdict(pulse, now_ns, Limits(), awake_ns) == expected


def test_a_read_that_never_returns_is_lost_then_abandoned_once(recorder):
    release = threading.Event()
    hung = threading.Event()

    class Hanging(ScriptedSource):
        def read(self):
            release.wait()
            raise CameraError("released")

    order = []
    loop = CaptureLoop(
        lambda: Hanging([], fps=100), recorder.publish,
        lambda state, detail: order.append((state, detail)), camera="front",
        on_hang=lambda: (order.append(("hang", "")), hung.set()),
        limits=Limits(late_s=0.05, read_hang_s=0.1),
    )  # fmt: skip
    loop.start()
    try:
        assert hung.wait(5), "the hang was not noticed"
        assert order[0] == ("starting", "")
        assert order[-2:] == [("lost", "the source hangs in reading"), ("hang", "")]
        assert loop.stop(wait_s=0.05) is False
    finally:
        release.set()
        assert loop.stop()


@pytest.mark.parametrize("state", ["ready", "lost", "starting"])
def test_stop_ends_both_threads_and_closes_the_source(recorder, state):
    reached = threading.Event()
    made = []

    def factory():
        clock = loop._clock
        error = UNPLUGGED if state == "lost" else None
        steps = itertools.repeat(lambda: good_frame(clock)) if state == "ready" else []
        source = ScriptedSource(steps, is_live=False, fps=0.01, open_error=error)
        if state == "starting":
            source.read = lambda: (_ for _ in ()).throw(BadFrame("unreadable"))
            reached.set()
        made.append(source)
        return source

    def report(entered, detail):
        recorder.report(entered, detail)
        if entered == state and state != "starting":
            reached.set()

    loop = CaptureLoop(factory, recorder.publish, report, camera="front")
    threads_before = threading.active_count()
    loop.start()
    assert reached.wait(5)

    assert loop.stop(wait_s=1.0)

    assert threading.active_count() == threads_before
    assert recorder.states[-1] == "stopped"
    assert all(source.closed == 1 for source in made)


def test_fifty_starts_and_stops_leave_no_thread_and_no_descriptor(recorder):
    before = threading.active_count(), len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        loop = CaptureLoop(
            lambda: ScriptedSource([UNPLUGGED]), recorder.publish, recorder.report, camera="front"
        )
        loop.start()
        assert loop.stop()

    assert (threading.active_count(), len(os.listdir("/proc/self/fd"))) == before

"""A recording as a camera: same bytes, same stamps, same numbers, in the recorded rhythm."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from molmo_node.bus.frames import Frame
from molmo_node.camera.base import EndOfStream, make_source
from molmo_node.camera.spec import parse_source
from molmo_node.errors import CameraError, ConfigError
from molmo_node.recording.entries import frame_entries
from molmo_node.recording.writer import RecordingFile
from tests.recording.samples import BEGAN_NS, SECOND_NS, frame, picture, write

from .fakes import FakeClock, Recorder, make_loop


def recording(path, frames_at):
    """Frames with the times, in seconds, at which they were recorded."""
    file = RecordingFile(path, {})
    for one, at_s in frames_at:
        for entry in frame_entries(one):
            file.write(entry, BEGAN_NS + round(at_s * SECOND_NS))
    file.finish({})
    return path


def played(path, text="", **options):
    """All frames of a replay that is not looped, and how long it took."""
    clock, recorder = FakeClock(), Recorder()
    began_ns, times_s = clock.now_ns, []
    options.setdefault("loop", False)
    spec = parse_source(f"replay:{path}{text}").adjusted(**options)
    publish = recorder.publish

    def note(grabbed, ref):
        times_s.append((clock.now_ns - began_ns) / SECOND_NS)
        publish(grabbed, ref)

    recorder.publish = note
    make_loop([make_source(spec, clock)], recorder, clock, max_fps=spec.fps).run()
    return recorder, times_s


def test_frames_come_with_their_bytes_stamps_and_numbers_at_their_times(tmp_path):
    gaps = [0.0, 0.1, 0.2, 1.7, 1.8]
    path = recording(tmp_path / "a.mcap", [(frame(3 * n), at) for n, at in enumerate(gaps)])

    recorder, times_s = played(path)

    assert [grabbed.body for grabbed, _ in recorder.frames] == [picture(3 * n) for n in range(5)]
    assert [ref.seq for ref in recorder.refs] == [0, 3, 6, 9, 12]
    assert [ref.stamp_ns for ref in recorder.refs] == [
        frame(3 * n).header.ref.stamp_ns for n in range(5)
    ]
    assert times_s == pytest.approx(gaps)
    assert recorder.reports[-1] == ("stopped", "end of stream")


@pytest.mark.parametrize("speed", [0.5, 10.0])
def test_speed_divides_the_times(tmp_path, speed):
    path = recording(tmp_path / "a.mcap", [(frame(n), n * 0.5) for n in range(6)])

    recorder, times_s = played(path, f"@{speed:g}x")

    assert times_s == pytest.approx([n * 0.5 / speed for n in range(6)])
    assert [ref.seq for ref in recorder.refs] == list(range(6))


def test_the_last_frame_stays_a_second_before_the_end(tmp_path):
    path = recording(tmp_path / "a.mcap", [(frame(0), 0.0)])
    clock = FakeClock()
    source = make_source(parse_source(str(path)).adjusted(loop=False), clock)
    source.open()

    source.read()

    assert source.wait_s(clock.mono_ns()) == pytest.approx(1.0)
    with pytest.raises(EndOfStream):
        source.read()
    source.close()


def test_a_loop_goes_on_counting_and_keeps_the_stamps(tmp_path):
    path = recording(tmp_path / "a.mcap", [(frame(n, seq=40 + n), n * 0.1) for n in range(3)])
    clock = FakeClock()
    source = make_source(parse_source(str(path)), clock)
    source.open()
    grabbed = []
    for _ in range(7):
        clock.advance(source.wait_s(clock.mono_ns()))
        grabbed.append((source.read(), clock.now_ns))
    source.close()

    assert [one.seq for one, _ in grabbed] == [40, 41, 42, 43, 44, 45, 46]
    stamps = [one.stamp_ns for one, _ in grabbed]
    assert stamps[:3] == stamps[3:6]
    distances_s = [(b - a) / SECOND_NS for (_, a), (_, b) in itertools.pairwise(grabbed)]
    assert distances_s == pytest.approx([0.1] * 6)


def test_numbers_rise_where_the_recorded_camera_began_anew(tmp_path):
    first = [(frame(n), n * 0.1) for n in range(3)]
    second = [(frame(n, session="s2"), 1 + n * 0.1) for n in range(3)]

    recorder, _ = played(recording(tmp_path / "a.mcap", first + second))

    assert [ref.seq for ref in recorder.refs] == [0, 1, 2, 3, 4, 5]


def test_what_is_late_is_not_made_up_for_in_a_burst(tmp_path):
    path = recording(tmp_path / "a.mcap", [(frame(n), n * 0.1) for n in range(5)])
    clock = FakeClock()
    source = make_source(parse_source(str(path)), clock)
    source.open()
    source.read()

    clock.advance(5.0)  # the process was stopped for a while
    source.read()

    assert source.wait_s(clock.mono_ns()) == pytest.approx(0.1)
    source.close()


def test_a_highest_rate_skips_frames_and_keeps_the_time(tmp_path):
    path = recording(tmp_path / "a.mcap", [(frame(n), n * 0.1) for n in range(10)])

    recorder, times_s = played(path, fps=2.0)

    # A frame that comes a little early is taken: the pacer's rule for live cameras.
    assert [ref.seq for ref in recorder.refs] == [0, 4, 9]
    assert times_s == pytest.approx([0.0, 0.4, 0.9])


def test_hostile_numbers_are_rejected_and_the_rest_is_played(tmp_path):
    def with_ref(**changes):
        good = frame(1)
        ref = msgspec.structs.replace(good.header.ref, **changes)
        return Frame(msgspec.structs.replace(good.header, ref=ref), good.body)

    odd = [with_ref(seq=2**63), with_ref(seq=-1), with_ref(stamp_ns=-1)]
    path = recording(
        tmp_path / "a.mcap",
        [(frame(0), 0.0), *((one, 0.1) for one in odd), (frame(2), 0.2), (frame(3), 9e9)],
    )

    recorder, times_s = played(path)

    assert [ref.seq for ref in recorder.refs] == [0, 2, 3]
    assert times_s[-1] == pytest.approx(3600.2)


def test_a_cut_recording_is_played_to_its_last_whole_chunk(tmp_path):
    whole = write(tmp_path / "a.mcap", range(40))
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])

    recorder, _ = played(whole)

    assert [ref.seq for ref in recorder.refs] == list(range(len(recorder.refs)))
    assert 10 < len(recorder.refs) < 40


def test_one_of_several_cameras_is_named(tmp_path):
    path = recording(
        tmp_path / "a.mcap", [(frame(0), 0.0), (frame(1, camera="back"), 0.1), (frame(2), 0.2)]
    )

    assert [ref.seq for ref in played(path, "#back")[0].refs] == [1]
    for text, said in (("", "which camera is meant"), ("#top", "holds no camera 'top'")):
        with pytest.raises(CameraError, match=said) as raised:
            make_source(parse_source(f"replay:{path}{text}"), FakeClock()).open()
        assert "recorded: back, front" in raised.value.message


def test_no_recording_is_a_camera_error_with_the_path(tmp_path):
    with pytest.raises(CameraError, match="no such file"):
        make_source(parse_source(f"{tmp_path}/none.mcap"), FakeClock()).open()


@pytest.mark.parametrize(
    ("text", "target", "camera", "speed"),
    [
        ("run.mcap", "run.mcap", "", 1.0),
        ("replay:a b/run.mcap", "a b/run.mcap", "", 1.0),
        ("replay:run.mcap#front", "run.mcap", "front", 1.0),
        ("run.mcap#front@2.5x", "run.mcap", "front", 2.5),
        ("replay:2026@8.mcap@10x", "2026@8.mcap", "", 10.0),
    ],
)
def test_what_a_person_writes(text, target, camera, speed):
    spec = parse_source(text)

    assert (spec.kind, spec.target, spec.recorded, spec.speed) == ("replay", target, camera, speed)


@pytest.mark.parametrize("text", ["replay:", "replay:clip.mp4", "run.mcap@0x", "run.mcap@1000x"])
def test_what_is_no_replay_is_refused(text):
    with pytest.raises(ConfigError):
        parse_source(text)

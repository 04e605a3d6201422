"""Video files and network streams through PyAV, on real files and real sockets of this host."""

from __future__ import annotations

import contextlib
import http.server
import itertools
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from molmo_node import imaging
from molmo_node.camera.base import EndOfStream, SourceInfo
from molmo_node.camera.factory import SourceFactory
from molmo_node.camera.loop import CaptureLoop
from molmo_node.camera.pattern import background, read_counter
from molmo_node.camera.spec import parse_source
from molmo_node.camera.stream import StreamSource
from molmo_node.clock import SYSTEM_CLOCK
from molmo_node.errors import CameraError

from .fakes import FakeClock, Recorder, make_loop
from .rtsp_server import RtspServer, access_units
from .videos import pictures, write_h264, write_mjpeg

JPEGS = [imaging.encode_jpeg(rgb, 90) for rgb in pictures(6)]


def once(path, **changes):
    return replace(parse_source(str(path)), loop=False, **changes)


def read_all(source):
    frames = []
    try:
        while True:
            frames.append(source.read())
    except EndOfStream:
        return frames
    finally:
        source.close()


def read_all_of(source):
    source.open()
    return read_all(source)


@pytest.mark.parametrize("suffix", [".avi", ".mkv", ".mov"])
def test_mjpeg_packets_pass_through_byte_for_byte(tmp_path, suffix):
    path = write_mjpeg(tmp_path / f"clip{suffix}", JPEGS, (192, 128))
    source = StreamSource(once(path), SYSTEM_CLOCK)

    info = source.open()
    frames = read_all(source)

    assert [frame.body for frame in frames] == JPEGS
    assert {(f.encoding, f.width, f.height) for f in frames} == {("jpeg", 192, 128)}
    assert (info.pixel_format, info.is_live, info.fps) == ("mjpeg", False, 20.0)


def test_raw_decodes_mjpeg_too(tmp_path):
    path = write_mjpeg(tmp_path / "clip.avi", JPEGS, (192, 128))
    source = StreamSource(once(path, encoding="raw"), SYSTEM_CLOCK)
    source.open()

    frames = read_all(source)

    assert [read_counter(frame.body) for frame in frames] == [0, 1, 2, 3, 4, 5]
    assert frames[0].encoding == "rgb8"


def test_h264_gives_every_frame_in_order(tmp_path):
    path = write_h264(tmp_path / "clip.mp4", pictures(12))
    source = StreamSource(once(path), SYSTEM_CLOCK)
    info = source.open()

    frames = read_all(source)

    assert [read_counter(frame.body) for frame in frames] == list(range(12))
    assert info == SourceInfo(
        backend="pyav file", stable_id=str(path), is_live=False, pixel_format="h264",
        width=192, height=128, fps=20.0,
    )  # fmt: skip


def test_mjpeg_may_change_its_size(tmp_path):
    bodies = [JPEGS[0], imaging.encode_jpeg(background(96, 64)), JPEGS[1]]
    path = write_mjpeg(tmp_path / "clip.mkv", bodies, (192, 128))
    source = StreamSource(once(path), SYSTEM_CLOCK)
    source.open()

    assert [(f.width, f.height) for f in read_all(source)] == [(192, 128), (96, 64), (192, 128)]


def test_a_file_is_paced_at_its_own_rate_or_as_asked(tmp_path):
    path = write_mjpeg(tmp_path / "clip.avi", JPEGS, (192, 128), fps=20)
    for asked, period_ns in ((None, 50_000_000), (5.0, 200_000_000)):
        clock, recorder = FakeClock(), Recorder()
        source = StreamSource(once(path, fps=asked), clock)

        make_loop([source], recorder, clock, max_fps=asked).run()

        stamps = [ref.mono_ns for ref in recorder.refs]
        assert [b - a for a, b in itertools.pairwise(stamps)] == [period_ns] * 5


def test_a_loop_begins_again_without_a_break(tmp_path):
    path = write_h264(tmp_path / "clip.mp4", pictures(4))
    source = StreamSource(parse_source(str(path)), SYSTEM_CLOCK)
    source.open()

    numbers = [read_counter(source.read().body) for _ in range(10)]
    source.close()

    assert numbers == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]


def test_a_file_that_vanishes_and_returns_fifty_times_leaks_nothing(tmp_path):
    kept = write_mjpeg(tmp_path / "kept.avi", JPEGS[:2], (192, 128))
    path = tmp_path / "clip.avi"
    spec = parse_source(str(path))
    clock, recorder = FakeClock(), Recorder()
    shutil.copy(kept, path)

    def publish(grabbed, ref):
        recorder.publish(grabbed, ref)
        if ref.seq % 2:
            path.unlink()

    def report(state, detail):
        recorder.report(state, detail)
        if state == "lost":
            shutil.copy(kept, path)
            counts.append((len(os.listdir("/proc/self/fd")), threading.active_count()))
            if len(counts) == 50:
                loop._stop.set()

    counts = []
    loop = make_loop((StreamSource(spec, clock) for _ in range(60)), recorder, clock)
    loop._publish, loop._ledger._report = publish, report
    loop.run()

    assert recorder.states == ["ready", "lost"] * 50 + ["stopped"]
    assert "there is no such file" in recorder.reports[1][1]
    assert [ref.seq for ref in recorder.refs] == list(range(100))
    assert len({ref.session for ref in recorder.refs}) == 50
    assert len(set(counts)) == 1


def test_damaged_packets_are_rejected_and_the_rest_goes_on(tmp_path):
    bodies = [JPEGS[0], JPEGS[1][:900], b"\xff\xd8junk", JPEGS[2]]
    path = write_mjpeg(tmp_path / "clip.mkv", bodies, (192, 128))
    clock, recorder = FakeClock(), Recorder()
    loop = make_loop([StreamSource(once(path), clock)], recorder, clock)

    loop.run()

    assert [grabbed.body for grabbed, _ in recorder.frames] == [JPEGS[0], JPEGS[2]]
    assert loop.counters()["rejected"] == 2
    assert recorder.states == ["ready", "stopped"]


def test_a_damaged_h264_file_lets_no_exception_escape(tmp_path):
    body = bytearray(write_h264(tmp_path / "good.mkv", pictures(12)).read_bytes())
    for at in range(700, len(body) - 200, 97):
        body[at] ^= 0x55
    (tmp_path / "clip.mkv").write_bytes(body)
    clock, recorder = FakeClock(), Recorder()

    loop = make_loop([StreamSource(once(tmp_path / "clip.mkv"), clock)], recorder, clock)
    loop.run()

    assert recorder.states[-1] == "stopped"
    assert "failed" not in recorder.states


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("missing.mp4", None, "there is no such file"),
        ("text.mp4", b"this is no video" * 100, "no video that can be read"),
        ("empty.avi", b"", "no video that can be read|holds no frames"),
        ("odd:name.mp4", None, "there is no such file"),
    ],
)
def test_a_file_that_is_no_video_says_so(tmp_path, name, content, expected):
    if content is not None:
        (tmp_path / name).write_bytes(content)

    with pytest.raises(CameraError, match=expected) as failure:
        StreamSource(once(tmp_path / name), SYSTEM_CLOCK).open()

    assert failure.value.hint


def test_a_folder_named_like_a_video_says_so(tmp_path):
    (tmp_path / "clip.mp4").mkdir()

    with pytest.raises(CameraError, match=r"folder|no video"):
        StreamSource(once(tmp_path / "clip.mp4"), SYSTEM_CLOCK).open()


@pytest.fixture
def silent_server():
    """A port that accepts and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.process
def test_a_refused_connection_says_so_without_the_password():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    source = StreamSource(parse_source(f"rtsp://bob:s3cret@127.0.0.1:{port}/live"), SYSTEM_CLOCK)

    with pytest.raises(CameraError, match="refused") as failure:
        source.open()

    assert "s3cret" not in str(failure.value)
    assert f"rtsp://127.0.0.1:{port}/live" in str(failure.value)


@pytest.mark.process
@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_a_host_that_never_answers_is_given_up_in_time(silent_server, scheme):
    spec = parse_source(f"{scheme}://127.0.0.1:{silent_server}/live")
    started = time.monotonic()

    with pytest.raises(CameraError, match=r"gave nothing within 0\.3 s"):
        StreamSource(spec, SYSTEM_CLOCK, open_timeout_s=0.3).open()

    assert time.monotonic() - started < 2


UNITS = access_units(pictures(16), fps=25)


@pytest.mark.process
def test_an_rtsp_camera_streams_with_its_password_hidden():
    with RtspServer(UNITS, login="bob:s3cret") as server:
        spec = parse_source(f"rtsp://bob:s3cret@127.0.0.1:{server.port}/live")
        source = StreamSource(spec, SYSTEM_CLOCK)
        info = source.open()
        frames = [source.read() for _ in range(20)]
        source.close()

    numbers = [read_counter(frame.body) for frame in frames]
    assert None not in numbers
    assert all((b - a) % 16 == 1 for a, b in itertools.pairwise(numbers))
    assert (info.backend, info.pixel_format, info.is_live) == ("pyav rtsp", "h264", True)
    assert (info.width, info.height) == (192, 128)
    assert "s3cret" not in repr(info)


@pytest.mark.process
def test_a_wrong_rtsp_password_says_so():
    with RtspServer(UNITS, login="bob:s3cret") as server:
        spec = parse_source(f"rtsp://bob:wr0ng@127.0.0.1:{server.port}/live")
        with pytest.raises(CameraError, match="password was refused") as failure:
            StreamSource(spec, SYSTEM_CLOCK).open()

    assert "wr0ng" not in str(failure.value)


@pytest.mark.process
def test_an_rtsp_camera_that_falls_silent_is_lost_in_time():
    with RtspServer(UNITS, stall_after=60) as server:
        spec = parse_source(f"rtsp://127.0.0.1:{server.port}/live")
        source = StreamSource(spec, SYSTEM_CLOCK, read_timeout_s=0.5)
        source.open()
        with pytest.raises(CameraError, match=r"gave nothing within 0\.5 s while streaming"):
            read_all(source)


@pytest.mark.process
def test_an_rtsp_camera_that_promises_and_sends_nothing_is_given_up_in_time():
    with RtspServer(UNITS, stall_after=0) as server:
        spec = parse_source(f"rtsp://127.0.0.1:{server.port}/live")
        source = StreamSource(spec, SYSTEM_CLOCK, open_timeout_s=0.5, read_timeout_s=0.5)
        started = time.monotonic()
        with pytest.raises(CameraError, match=r"gave nothing within 0\.5 s"):
            read_all_of(source)

    assert time.monotonic() - started < 3


@pytest.mark.process
def test_an_rtsp_camera_that_hangs_up_is_reopened_by_the_loop():
    recorder = Recorder()
    back = threading.Event()

    def report(state, detail):
        recorder.report(state, detail)
        if recorder.states.count("ready") == 2:
            back.set()

    with RtspServer(UNITS, hang_up_after=60) as server:
        spec = parse_source(f"rtsp://127.0.0.1:{server.port}/live")
        loop = CaptureLoop(SourceFactory(spec), recorder.publish, report, camera="yard")
        loop.start()
        try:
            assert back.wait(15), f"not reopened: {recorder.reports}"
        finally:
            assert loop.stop()

    assert recorder.states == ["starting", "ready", "lost", "ready", "stopped"]
    assert len({ref.session for ref in recorder.refs}) == 2
    assert [ref.seq for ref in recorder.refs] == list(range(len(recorder.refs)))


class MultipartHandler(http.server.BaseHTTPRequestHandler):
    """An IP camera's MJPEG over HTTP: endless parts of one JPEG each."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=part")
        self.end_headers()
        with contextlib.suppress(OSError):
            for body in itertools.cycle(JPEGS):
                head = f"--part\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
                self.wfile.write(head.encode() + body + b"\r\n")
                time.sleep(0.01)

    def log_message(self, *args):
        """Nothing on stderr."""


@pytest.fixture
def http_camera():
    """The port of a running camera of that kind."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), MultipartHandler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join(5)


@pytest.mark.process
def test_mjpeg_over_http_passes_through_byte_for_byte(http_camera):
    source = StreamSource(parse_source(f"http://127.0.0.1:{http_camera}/a.mjpg"), SYSTEM_CLOCK)
    info = source.open()
    frames = [source.read() for _ in range(12)]
    source.close()

    first = JPEGS.index(frames[0].body)
    assert [frame.body for frame in frames] == [JPEGS[(first + n) % 6] for n in range(12)]
    assert (info.is_live, info.pixel_format) == (True, "mjpeg")


STALLED = """
import sys, threading
from molmo_node.camera.factory import SourceFactory
from molmo_node.camera.loop import CaptureLoop
from molmo_node.camera.spec import parse_source

spec = parse_source(sys.argv[1])
loop = CaptureLoop(SourceFactory(spec), print, lambda *report: None, camera="yard")
loop.start()
threading.Event().wait(0.5)
print(loop.stop())
"""


@pytest.mark.process
def test_a_process_can_end_while_a_host_keeps_its_camera_waiting(silent_server):
    started = time.monotonic()

    done = subprocess.run(
        [sys.executable, "-c", STALLED, f"rtsp://127.0.0.1:{silent_server}/live"],
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "False", "")
    assert time.monotonic() - started < 4

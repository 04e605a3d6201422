"""V4L2 cameras, with PyAV's device layer replaced: there is no camera where tests run."""

from __future__ import annotations

import errno
import itertools
import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import av.error
import av.video.frame
import numpy as np
import pytest

from molmo_node import imaging
from molmo_node.camera import devices
from molmo_node.camera.factory import SourceFactory
from molmo_node.camera.pattern import background, draw, read_counter
from molmo_node.camera.spec import parse_source
from molmo_node.camera.v4l2 import V4L2Source
from molmo_node.errors import CameraError

from .fakes import FakeClock, Recorder, make_loop

SPEC = parse_source("/dev/video7")
NOON_NS = 1_700_000_000_000_000_000


def av_error(number):
    """The exception that PyAV makes of an errno."""
    kind = av.error.classes.get(number, av.error.UndefinedError)
    return kind(number, os.strerror(number), "/dev/video7")


class FakePacket:
    """A device's packet: a JPEG file, or pixels that decode to one frame."""

    time_base = Fraction(1, 1_000_000)

    def __init__(self, body=b"", rgb=None, error=None, pts=None):
        self.pts = pts
        self.size = len(body) if rgb is None else rgb.nbytes
        self._body, self._rgb, self._error = body, rgb, error

    def __bytes__(self):
        return self._body

    def decode(self):
        if self._error:
            raise self._error
        return [av.video.frame.VideoFrame.from_ndarray(self._rgb, "rgb24")]


class FakeDevice:
    """Stands in for ``av.open`` on one device; remembers how it was opened.

    Args:
        formats: input formats it has; another is refused as the kernel does, with EINVAL.
        steps: packets, or exceptions to raise, one a read.
    """

    def __init__(self, steps=(), formats=("mjpeg", "rawvideo"), size=(192, 128), fps=30):
        self._steps, self._formats, self._size, self._fps = steps, formats, size, fps
        self.asked = []
        self.is_open = False

    def open(self, path, *, format, options):
        input_format = options.get("input_format", "rawvideo")
        self.asked.append((path, format, options))
        if input_format not in self._formats:
            raise av_error(errno.EINVAL)
        self.is_open = True
        codec = SimpleNamespace(name=input_format, pix_fmt="yuyv422")
        stream = SimpleNamespace(
            codec_context=codec, width=self._size[0], height=self._size[1],
            average_rate=Fraction(self._fps), guessed_rate=None, thread_type="",
        )  # fmt: skip
        return SimpleNamespace(
            streams=SimpleNamespace(video=[stream]), demux=self._demux, close=self._close
        )

    def _demux(self, stream):
        for step in self._steps:
            if isinstance(step, Exception):
                raise step
            yield step

    def _close(self):
        self.is_open = False


def jpeg(number):
    return imaging.encode_jpeg(draw(background(192, 128), number, NOON_NS), 90)


def source_on(device, spec=SPEC, clock=None):
    return V4L2Source(spec, clock or FakeClock(), open_container=device.open)


def test_mjpeg_is_asked_for_and_passes_through_untouched():
    bodies = [jpeg(number) for number in range(3)]
    device = FakeDevice([FakePacket(body) for body in bodies])
    source = source_on(device, replace(SPEC, width=192, height=128, fps=30.0))

    info = source.open()
    frames = [source.read() for _ in range(3)]
    source.close()

    path, driver, options = device.asked[0]
    assert (path, driver) == ("/dev/video7", "v4l2")
    assert options["input_format"] == "mjpeg"
    assert options["video_size"] == "192x128"
    assert options["framerate"] == "30"
    assert [frame.body for frame in frames] == bodies
    assert (info.pixel_format, info.is_live, info.differences()) == ("mjpeg", True, "")
    assert not device.is_open


def test_a_device_without_mjpeg_gives_pixels():
    rgb = draw(background(192, 128), 5, NOON_NS)
    device = FakeDevice([FakePacket(rgb=rgb)], formats=("rawvideo",))
    source = source_on(device)

    info = source.open()
    frame = source.read()

    assert len(device.asked) == 2
    assert (info.pixel_format, frame.encoding, frame.stride) == ("yuyv422", "rgb8", 576)
    assert read_counter(frame.body) == 5


def test_raw_never_asks_for_mjpeg():
    device = FakeDevice([FakePacket(rgb=np.zeros((128, 192, 3), np.uint8))])
    source = source_on(device, replace(SPEC, encoding="raw"))

    info = source.open()

    assert info.pixel_format == "yuyv422"
    assert [("input_format" in options) for _, _, options in device.asked] == [False]


def test_what_the_device_made_of_the_request_is_read_back():
    device = FakeDevice(size=(1280, 720), fps=10)

    info = source_on(device, replace(SPEC, width=1920, height=1080, fps=30.0)).open()

    assert info.differences() == "asked 1920x1080, got 1280x720; asked 30 fps, got 10"


@pytest.mark.parametrize(
    ("number", "cause", "hint"),
    [
        (errno.ENOENT, "no such device", "by-id"),
        (errno.ENODEV, "gone", "cable"),
        (errno.EBUSY, "another program holds it", "molmo-node cameras"),
        (errno.ENOSPC, "USB bus has no bandwidth", "mjpeg, a smaller size"),
        (errno.EACCES, "no permission", "group video"),
        (errno.EINVAL, "cannot do the format", "molmo-node cameras"),
        (errno.ENOTTY, "no capture device", "two nodes"),
        (errno.EIO, "fails to transfer", "hub"),
    ],
)
@pytest.mark.parametrize("when", ["opening", "reading"])
def test_a_failure_names_cause_and_next_step(number, cause, hint, when):
    device = FakeDevice([av_error(number)])
    if when == "opening":
        device.open = lambda *args, **options: (_ for _ in ()).throw(av_error(number))
    source = source_on(device)

    def use():
        source.open()
        source.read()

    with pytest.raises(CameraError, match=cause) as failure:
        use()

    assert hint in failure.value.hint
    source.close()
    assert not device.is_open


def test_a_busy_device_is_not_asked_again_in_another_format():
    device = FakeDevice()
    asked = []

    def busy(path, **options):
        asked.append(options)
        raise av_error(errno.EBUSY)

    device.open = busy
    with pytest.raises(CameraError):
        source_on(device).open()

    assert len(asked) == 1


def test_a_busy_device_names_its_holder(monkeypatch):
    monkeypatch.setattr(devices, "holders", lambda path: ["cheese (4711)"])
    device = FakeDevice()
    device.open = lambda *args, **options: (_ for _ in ()).throw(av_error(errno.EBUSY))

    with pytest.raises(CameraError, match=r"cheese \(4711\)"):
        source_on(device).open()


def test_fifty_unplugs_are_reopened_and_every_device_is_closed():
    clock, recorder = FakeClock(), Recorder()

    def plugged():
        for number in itertools.count():
            clock.advance(0.03)
            yield FakePacket(jpeg(number)) if number < 2 else av_error(errno.ENODEV)

    cameras = [FakeDevice(plugged()) for _ in range(50)]
    loop = make_loop([source_on(camera, clock=clock) for camera in cameras], recorder, clock)

    loop.run()

    assert recorder.states == ["ready", "lost"] * 50 + ["stopped"]
    assert [ref.seq for ref in recorder.refs] == list(range(100))
    assert not any(camera.is_open for camera in cameras)


def test_a_frame_that_does_not_decode_is_rejected_and_the_stream_goes_on():
    clock, recorder = FakeClock(), Recorder()
    rgb = np.zeros((128, 192, 3), np.uint8)
    steps = [
        FakePacket(rgb=rgb),
        FakePacket(rgb=rgb, error=av.error.InvalidDataError(1, "invalid")),
        FakePacket(rgb=rgb),
        av_error(errno.ENODEV),
    ]
    device = FakeDevice(steps, formats=("rawvideo",))
    loop = make_loop([source_on(device, clock=clock)], recorder, clock)

    loop.run()

    assert len(recorder.frames) == 2
    assert loop.counters()["rejected_undecodable"] == 1


@pytest.mark.parametrize(
    ("age_s", "stamped_age_s"), [(0.02, 0.02), (0.0, 0.0), (-5.0, 0.0), (3600.0, 0.0), (None, 0.0)]
)
def test_the_kernels_stamp_is_used_where_it_is_sane(age_s, stamped_age_s):
    clock = FakeClock()
    pts = None if age_s is None else clock.mono_ns() // 1000 - round(age_s * 1e6)
    source = source_on(FakeDevice([FakePacket(jpeg(0), pts=pts)]), clock=clock)
    source.open()

    frame = source.read()

    assert clock.mono_ns() - frame.mono_ns == round(stamped_age_s * 1e9)
    assert clock.wall_ns() - frame.stamp_ns == round(stamped_age_s * 1e9)


def test_a_device_that_closed_is_an_error_not_a_crash():
    with pytest.raises(CameraError, match="closed"):
        source_on(FakeDevice()).read()


def test_a_number_is_pinned_to_the_stable_name_once_it_is_known():
    names = iter(["/dev/video7", "/dev/v4l/by-id/usb-cam"])
    factory = SourceFactory(SPEC, FakeClock(), stable_id=lambda path: next(names, str(path)))

    targets = [factory()._spec.target for _ in range(3)]

    assert targets == ["/dev/video7", "/dev/v4l/by-id/usb-cam", "/dev/v4l/by-id/usb-cam"]


def test_a_missing_device_says_so_through_pyav_itself(tmp_path):
    spec = replace(SPEC, target=str(tmp_path / "video99"))

    with pytest.raises(CameraError, match="no such device"):
        V4L2Source(spec, FakeClock()).open()


def test_a_file_that_is_no_device_says_so_through_pyav_itself(tmp_path):
    path = Path(tmp_path / "video99")
    path.write_bytes(b"")

    with pytest.raises(CameraError, match="no capture device"):
        V4L2Source(replace(SPEC, target=str(path)), FakeClock()).open()

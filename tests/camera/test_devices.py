"""Listing cameras against a made-up kernel, and pictures of real sources."""

from __future__ import annotations

import errno
import os
import struct
import threading
from typing import ClassVar

import numpy as np
import pytest

from molmo_node import imaging
from molmo_node.camera import devices, v4l2_ioctl
from molmo_node.camera.pattern import background, read_counter
from molmo_node.camera.spec import parse_source
from molmo_node.camera.v4l2_ioctl import Description, Format, Mode
from molmo_node.errors import CameraError

MJPG = int.from_bytes(b"MJPG", "little")
YUYV = int.from_bytes(b"YUYV", "little")


class FakeKernel:
    """Answers the four requests as videodev2.h lays them out; written from the header's text."""

    sizes: ClassVar = {MJPG: [(1920, 1080), (640, 480)], YUYV: [(640, 480)]}
    intervals: ClassVar = {(1920, 1080): [(1, 30)], (640, 480): [(1, 30), (1001, 30000), (1, 15)]}

    def __init__(self, node_caps=0x04200001):
        self.node_caps = node_caps

    def ioctl(self, fd, request, raw):
        number = request & 0xFF
        assert request >> 16 & 0x3FFF == len(raw)
        if number == 0:
            names = (b"uvcvideo", b"HD Webcam: HD", b"usb-0000:00:14.0-1")
            struct.pack_into("16s32s32s", raw, 0, *names)
            struct.pack_into("III", raw, 80, 0x60000, 0x84A00001, self.node_caps)
        elif number == 2:
            index = self._index(raw, 2)
            code, words = [(MJPG, b"Motion-JPEG"), (YUYV, b"YUYV 4:2:2")][index]
            assert struct.unpack_from("I", raw, 4) == (1,)
            raw[12:44] = words.ljust(32, b"\0")
            struct.pack_into("I", raw, 44, code)
        elif number == 74:
            code = struct.unpack_from("I", raw, 4)[0]
            index = self._index(raw, len(self.sizes[code]))
            struct.pack_into("III", raw, 8, 1, *self.sizes[code][index])
        elif number == 75:
            size = struct.unpack_from("II", raw, 8)
            index = self._index(raw, len(self.intervals[size]))
            struct.pack_into("III", raw, 16, 1, *self.intervals[size][index])
        else:
            raise AssertionError(f"unknown request {number}")

    @staticmethod
    def _index(raw, count):
        index = struct.unpack_from("I", raw)[0]
        if index >= count:
            raise OSError(errno.EINVAL, "no more")
        return index


def test_request_numbers_are_those_of_the_kernel_header():
    assert v4l2_ioctl.QUERYCAP == 0x80685600
    assert v4l2_ioctl.ENUM_FMT == 0xC0405602
    assert v4l2_ioctl.ENUM_FRAMESIZES == 0xC02C564A
    assert v4l2_ioctl.ENUM_FRAMEINTERVALS == 0xC034564B


def test_a_device_describes_formats_sizes_and_rates():
    description = v4l2_ioctl.describe(3, FakeKernel().ioctl)

    vga = Mode(width=640, height=480, rates_hz=(30.0, 29.97, 15.0))
    assert description == Description(
        driver="uvcvideo", card="HD Webcam: HD", bus="usb-0000:00:14.0-1", can_capture=True,
        formats=(
            Format(
                fourcc="MJPG", description="Motion-JPEG",
                modes=(Mode(width=1920, height=1080, rates_hz=(30.0,)), vga),
            ),
            Format(fourcc="YUYV", description="YUYV 4:2:2", modes=(vga,)),
        ),
    )  # fmt: skip


def test_a_range_of_sizes_and_rates_gives_its_ends():
    class Ranged(FakeKernel):
        def ioctl(self, fd, request, raw):
            if request == v4l2_ioctl.ENUM_FRAMESIZES:
                struct.pack_into("7I", raw, 8, 3, 32, 1920, 2, 48, 1080, 2)
            elif request == v4l2_ioctl.ENUM_FRAMEINTERVALS:
                struct.pack_into("7I", raw, 16, 2, 1, 60, 5, 1, 1, 60)
            else:
                super().ioctl(fd, request, raw)

    modes = v4l2_ioctl.describe(3, Ranged().ioctl).formats[0].modes

    assert modes == (
        Mode(width=32, height=48, rates_hz=(60.0, 0.2)),
        Mode(width=1920, height=1080, rates_hz=(60.0, 0.2)),
    )


def test_a_metadata_node_cannot_capture():
    description = v4l2_ioctl.describe(3, FakeKernel(node_caps=0x04A00000).ioctl)

    assert not description.can_capture
    assert description.formats == ()


def test_a_file_that_is_no_device_is_an_os_error():
    with open(os.devnull, "rb") as file, pytest.raises(OSError, match="ioctl"):
        v4l2_ioctl.describe(file.fileno())


@pytest.fixture
def machine(tmp_path):
    """A /dev with three nodes, stable names, and a /proc in which one program holds the first."""
    dev, proc = tmp_path / "dev", tmp_path / "proc"
    (dev / "v4l" / "by-id").mkdir(parents=True)
    (dev / "v4l" / "by-path").mkdir()
    for name in ("video0", "video2", "video10", "video-dec0"):
        (dev / name).touch()
    (dev / "v4l" / "by-id" / "usb-ACME_Cam-video-index0").symlink_to("../../video0")
    (dev / "v4l" / "by-path" / "pci-1").symlink_to("../../video0")
    (dev / "v4l" / "by-path" / "pci-2").symlink_to("../../video2")
    for pid, target in ((41, dev / "video0"), (42, dev / "video-dec0")):
        (proc / str(pid) / "fd").mkdir(parents=True)
        (proc / str(pid) / "comm").write_text(f"program{pid}\n")
        (proc / str(pid) / "fd" / "7").symlink_to(target)
    (proc / "self").mkdir()
    return dev, proc


def description(**changes):
    facts = {"driver": "uvcvideo", "card": "Cam", "bus": "usb-1", "can_capture": True}
    return Description(**(facts | {"formats": ()} | changes))


def test_cameras_are_listed_by_number_with_stable_names_and_holders(machine):
    dev, proc = machine

    found = devices.list_devices(dev, proc, lambda path: description(card=path.name))

    assert [device.name for device in found] == ["video0", "video2", "video10"]
    assert [device.stable_id for device in found] == [
        f"{dev}/v4l/by-id/usb-ACME_Cam-video-index0",
        f"{dev}/v4l/by-path/pci-2",
        f"{dev}/video10",
    ]
    assert [device.held_by for device in found] == [("program41 (41)",), (), ()]


def test_metadata_nodes_are_left_out_and_a_device_that_cannot_be_asked_says_why(machine):
    dev, proc = machine

    def ask(path):
        if path.name == "video10":
            raise PermissionError(errno.EACCES, "denied")
        return description(can_capture=path.name == "video0")

    found = devices.list_devices(dev, proc, ask)

    assert [device.path for device in found] == [f"{dev}/video0", f"{dev}/video10"]
    assert found[1].problem == "Permission denied"


def test_a_file_in_place_of_a_device_has_a_problem_and_is_no_crash(machine):
    dev, proc = machine

    assert {device.problem for device in devices.list_devices(dev, proc)} == {
        "Inappropriate ioctl for device"
    }


def test_a_machine_without_cameras_has_an_empty_list(tmp_path):
    assert devices.list_devices(tmp_path / "dev", tmp_path / "proc") == []


def test_a_stable_name_is_its_own_and_a_missing_device_keeps_its_name(machine):
    dev, _ = machine
    by_id = dev / "v4l" / "by-id" / "usb-ACME_Cam-video-index0"

    assert devices.stable_id(by_id, dev) == str(by_id)
    assert devices.stable_id(dev / "video99", dev) == f"{dev}/video99"


def test_a_snapshot_is_the_first_good_picture(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"broken")
    (tmp_path / "b.jpg").write_bytes(imaging.encode_jpeg(background(64, 48)))

    rgb = devices.snapshot(parse_source(f"{tmp_path}/"))

    assert np.abs(rgb.astype(int) - background(64, 48)).mean() < 4


def test_a_snapshot_of_the_pattern_holds_its_counter():
    assert read_counter(devices.snapshot(parse_source("pattern:192x128"))) == 0


@pytest.mark.parametrize("name", ["nothing/", "broken.jpg"])
def test_a_snapshot_that_cannot_be_taken_is_a_camera_error(tmp_path, name):
    (tmp_path / "broken.jpg").write_bytes(b"broken")

    with pytest.raises(CameraError):
        devices.snapshot(parse_source(f"{tmp_path}/{name}"))


def test_a_snapshot_of_a_device_that_hangs_is_given_up(monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(devices, "_taken", lambda spec, clock: release.wait(10))

    with pytest.raises(CameraError, match=r"no picture within 0\.05 s"):
        devices.snapshot(parse_source("0"), wait_s=0.05)

    release.set()

"""From the slot that a subscription fills to the capture loop."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from molmo_node.camera import parse_source
from molmo_node.camera.base import EndOfStream
from molmo_node.clock import SYSTEM_CLOCK
from molmo_node.errors import CameraError, ConfigError
from molmo_node.ros2 import source as source_module
from molmo_node.ros2.images import Arrived
from molmo_node.ros2.slot import NewestSlot, SlotClosed
from molmo_node.ros2.source import SlotSource
from tests.ros2.messages import header, image

RGB = np.zeros((48, 64, 3), np.uint8)


@pytest.fixture
def slot():
    return NewestSlot()


@pytest.fixture
def source(slot, monkeypatch):
    for name in ("OPEN_TIMEOUT_S", "READ_TIMEOUT_S"):
        monkeypatch.setattr(source_module, name, 0.05)
    return SlotSource(parse_source("ros2:/cam/image"), SYSTEM_CLOCK, slot)


def arrived(stamp_ns, mono_ns=1):
    return Arrived(image(RGB, "rgb8", header=header(stamp_ns)), mono_ns)


def test_the_newest_image_is_read_and_the_one_before_is_counted(source, slot):
    slot.put(arrived(1))
    slot.put(arrived(2))

    info = source.open()

    assert source.read().stamp_ns == 2
    assert (info.width, info.height, info.is_live) == (64, 48, True)
    assert (slot.received, slot.replaced) == (2, 1)


def test_an_image_that_came_while_it_was_closed_is_not_lost(source, slot):
    slot.put(arrived(1))
    source.open()
    source.read()
    source.close()
    slot.put(arrived(2))

    source.open()

    assert source.read().stamp_ns == 2


def test_a_silent_topic_is_a_lost_camera_with_a_next_step(source, slot):
    with pytest.raises(CameraError, match=r"ros2:/cam/image: no image came.*ros2 topic hz"):
        source.open()
    slot.put(arrived(1))
    source.open()
    source.read()
    with pytest.raises(CameraError, match="no image came"):
        source.read()


def test_an_unusable_first_image_says_what_is_wrong(source, slot):
    slot.put(Arrived(image(RGB, "rgb8", step=1), 1))

    with pytest.raises(CameraError, match=r"unusable \(shape\)"):
        source.open()


def test_closing_the_slot_wakes_the_reader_and_ends_the_stream(slot, source):
    woken = []

    def wait():
        try:
            slot.wait(10.0)
        except SlotClosed:
            woken.append(True)

    thread = threading.Thread(target=wait)
    thread.start()
    slot.close()
    thread.join(5.0)

    assert woken == [True]
    with pytest.raises(EndOfStream):
        source.open()


@pytest.mark.parametrize(
    "text", ["ros2:/camera/image_raw/compressed", "ros2:image", "ros2:/a/b_2/C"]
)
def test_a_topic_is_a_camera(text):
    spec = parse_source(text)

    assert (spec.kind, f"ros2:{spec.target}") == ("ros2", text)


@pytest.mark.parametrize(
    "text", ["ros2:", "ros2:/", "ros2:/2/x", "ros2:/a//b", "ros2:/a b", "ros2:/" + "a" * 300]
)
def test_what_is_no_topic_is_refused_with_an_example(text):
    with pytest.raises(ConfigError, match=r"names no ROS 2 topic.*ros2:/camera"):
        parse_source(text)

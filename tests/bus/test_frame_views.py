"""Frames read in place, and what counts as newer, through real sockets and a real ring."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from molmo_node.bus.address import Address
from molmo_node.bus.frames import Frame, FramePublisher
from molmo_node.bus.receiver import FrameReceiver
from molmo_node.bus.ring import SLOTS, RingReader, RingWriter
from molmo_node.bus.sockets import Transport
from molmo_node.imaging import encode_jpeg
from molmo_node.messages import FrameHeader, FrameRef

WIDTH, HEIGHT = 64, 48
NBYTES = WIDTH * HEIGHT * 3


class Wire:
    """A publisher and one receiver of its frames."""

    def __init__(self, folder: Path, allow_ring: bool) -> None:
        self.transport = Transport()
        address = Address(f"ipc://{folder}/camera")
        self.publisher = FramePublisher(self.transport, address, "front", _to_jpeg)
        self.receiver = FrameReceiver(self.transport, address, "front", allow_ring=allow_ring)

    def publish(self, seq: int) -> None:
        body = np.full(NBYTES, seq, np.uint8)
        self.publisher.publish(_header(seq), body)

    def publish_until_received(self) -> int:
        """Publish until the subscription stands; returns the last number that was sent."""
        seq = 0
        until_s = time.monotonic() + 5
        while self.receiver.newest is None:
            assert time.monotonic() < until_s, "no frame came within 5 s"
            seq += 1
            self.publish(seq)
            self.receiver.wait_newer(None, 0.02)
        return seq

    def close(self) -> None:
        self.receiver.close()
        self.publisher.close()
        self.transport.close()


def _to_jpeg(frame: Frame) -> bytes:
    return encode_jpeg(frame.rgb())


def _header(seq: int, session: str = "s1") -> FrameHeader:
    ref = FrameRef(camera="front", session=session, seq=seq, stamp_ns=0, mono_ns=0)
    return FrameHeader(
        ref=ref, width=WIDTH, height=HEIGHT, encoding="rgb8", stride=3 * WIDTH, nbytes=NBYTES
    )


@pytest.fixture
def make_wire(tmp_path: Path) -> Iterator[Callable[[bool], Wire]]:
    made: list[Wire] = []

    def make(allow_ring: bool) -> Wire:
        made.append(Wire(tmp_path, allow_ring))
        return made[-1]

    yield make
    for wire in made:
        wire.close()


@pytest.mark.process
def test_a_view_is_the_ring_itself_and_cannot_be_written(make_wire):
    wire = make_wire(True)
    seq = wire.publish_until_received()

    view = wire.receiver.view()

    assert view is not None
    assert (view.header.ref.seq, int(view.body[0])) == (seq, seq)
    assert not view.body.flags.writeable
    assert view.is_whole()


@pytest.mark.process
def test_a_view_that_was_overwritten_says_so(make_wire):
    wire = make_wire(True)
    seq = wire.publish_until_received()
    view = wire.receiver.view()
    assert view is not None

    for later in range(seq + 1, seq + 1 + SLOTS):
        wire.publish(later)

    assert not view.is_whole()
    assert int(view.body[0]) != seq


@pytest.mark.process
def test_a_view_of_a_frame_from_the_socket_stays_whole(make_wire):
    wire = make_wire(False)
    seq = wire.publish_until_received()
    view = wire.receiver.view()
    assert view is not None

    for later in range(seq + 1, seq + 1 + SLOTS):
        wire.publish(later)

    assert view.header.encoding == "jpeg"
    assert view.is_whole()


@pytest.mark.process
def test_the_notice_of_a_frame_already_taken_is_no_newer_frame(make_wire):
    wire = make_wire(True)
    seq = wire.publish_until_received()
    ahead = _header(seq + 1)  # the ring's head, whose notice is still on its way

    assert not wire.receiver.wait_newer(ahead, 0.0)


@pytest.mark.process
def test_a_frame_of_another_session_is_newer_whatever_its_number(make_wire):
    wire = make_wire(True)
    seq = wire.publish_until_received()

    assert wire.receiver.wait_newer(_header(seq + 100, session="s0"), 0.0)


def test_the_ring_gives_no_view_before_its_first_frame():
    writer = RingWriter("viewtest", NBYTES)
    reader = RingReader(writer.name)
    try:
        before = reader.newest_view()
        writer.write(1, msgspec.msgpack.encode({}), np.ones(NBYTES, np.uint8))
        after = reader.newest_view()
        assert before is None
        assert after is not None
        assert after.number == 1
    finally:
        reader.close()
        writer.close()

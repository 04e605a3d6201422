"""Frames reach their receiver newest first, over the ring or the socket, and nothing twice."""

from __future__ import annotations

import errno
import os

import msgspec
import numpy as np
import pytest
import zmq

from molmo_node.bus import wire
from molmo_node.bus.address import Address
from molmo_node.bus.frames import FRAMES_PART, FramePublisher, check_header
from molmo_node.bus.receiver import FrameReceiver
from molmo_node.bus.topics import FRAME_JPEG, jpeg_key, ring_key
from molmo_node.errors import ProtocolError
from tests.support.frames import HEIGHT, WIDTH, raw_frame, to_jpeg
from tests.support.waiting import wait_for


@pytest.fixture
def address(run_dir):
    return Address(f"ipc://{run_dir}/camera.front")


@pytest.fixture
def publisher(transport, address):
    made = FramePublisher(transport, address, "front", to_jpeg)
    yield made
    made.close()


@pytest.fixture
def receive(transport, address):
    made = []

    def start(**options):
        made.append(FrameReceiver(transport, address, "front", **options))
        return made[-1]

    yield start
    for receiver in made:
        receiver.close()


def first_frame(publisher, receiver, seq=1, **options):
    """Publish from `seq` on until one arrives; returns the next unused seq."""

    def arrives():
        nonlocal seq
        publisher.publish(*raw_frame(seq, **options))
        seq += 1
        return receiver.wait_newer(None, 0.02)

    wait_for(arrives, 5, "a first frame")
    return seq


def receive_seq(receiver, seq):
    wait_for(lambda: receiver.newest and receiver.newest.ref.seq >= seq, 5, f"frame {seq}")
    return receiver.take()


def test_a_frame_on_one_host_comes_through_the_ring(publisher, receive):
    receiver = receive()
    seq = first_frame(publisher, receiver)
    publisher.publish(*raw_frame(seq))
    frame = receive_seq(receiver, seq)
    assert frame.header.ref.seq == seq
    assert (frame.rgb() == seq % 256).all()
    assert receiver.stats.path.startswith("ring ")
    assert receiver.stats.is_valid


def test_jpeg_comes_over_the_socket_to_who_asks_for_it(publisher, receive):
    receiver = receive(allow_ring=False)
    seq = first_frame(publisher, receiver)
    publisher.publish(*raw_frame(seq, value=200))
    frame = receive_seq(receiver, seq)
    assert frame.header.encoding == "jpeg"
    assert np.abs(frame.rgb().astype(int) - 200).max() <= 2
    assert receiver.stats.path == "jpeg over socket"


def test_a_consumer_that_slept_gets_the_newest_frame(publisher, receive):
    receiver = receive()
    seq = first_frame(publisher, receiver)
    for later in range(seq, seq + 50):
        publisher.publish(*raw_frame(later))
    assert receiver.take().header.ref.seq == seq + 49


def test_missing_frames_are_counted(publisher, receive):
    receiver = receive()
    seq = first_frame(publisher, receiver)
    gaps = receiver.stats.gaps
    publisher.publish(*raw_frame(seq + 7))
    receive_seq(receiver, seq + 7)
    assert receiver.stats.gaps == gaps + 7


def test_a_larger_frame_makes_a_larger_ring(publisher, receive):
    receiver = receive()
    seq = first_frame(publisher, receiver)
    before = receiver.stats.path
    header, _ = raw_frame(seq)
    large = msgspec.structs.replace(header, height=HEIGHT * 2, nbytes=header.nbytes * 2)
    publisher.publish(large, np.full(large.nbytes, 9, np.uint8))
    frame = receive_seq(receiver, seq)
    assert frame.rgb().shape == (HEIGHT * 2, WIDTH, 3)
    assert receiver.stats.path not in ("", before)


def test_without_shared_memory_frames_come_as_jpeg(publisher, receive, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    receiver = receive()
    seq = first_frame(publisher, receiver)
    publisher.publish(*raw_frame(seq))
    assert receive_seq(receiver, seq).header.encoding == "jpeg"


class Relay:
    """A publisher in the test's hands: sends what it is told to."""

    def __init__(self, transport, address):
        self.socket = transport.bind(zmq.XPUB, FRAME_JPEG, address, FRAMES_PART)

    def wait_for_key(self, key):
        def has_come():
            return self.socket.poll(100) and self.socket.recv() == b"\x01" + key

        wait_for(has_come, 5, f"a subscription to {key!r}")

    def send(self, header, body, key=None):
        key = jpeg_key("front") if key is None else key
        # libzmq looks for "has been read" only now and then; a queue of two would seem full.
        self.socket.poll(0)
        self.socket.send_multipart([key, wire.encode(header), bytes(body)])


@pytest.fixture
def relay(transport, address):
    return Relay(transport, address)


@pytest.fixture
def watched(relay, receive):
    """A receiver that the relay feeds."""
    receiver = receive(allow_ring=False)
    relay.wait_for_key(jpeg_key("front"))
    return receiver


def total(stats):
    return stats.received + stats.repeated + stats.rejected


def send_all(relay, receiver, frames):
    """Send one by one, so that the short queue drops none; returns the stats afterwards."""
    for frame in frames:
        count = total(receiver.stats)
        relay.send(*frame)
        wait_for(lambda count=count: total(receiver.stats) > count, 5, "the message to be counted")
    return receiver.stats


def test_replayed_and_reordered_frames_are_dropped_and_counted(relay, watched):
    frames = [raw_frame(seq) for seq in (1, 2, 3)]
    stats = send_all(relay, watched, [*frames, frames[0], frames[2], frames[1]])
    assert (stats.received, stats.repeated, stats.rejected) == (3, 3, 0)
    assert watched.newest.ref.seq == 3


def test_frames_of_a_past_session_stay_past(relay, watched):
    old, new = raw_frame(9, session="old"), raw_frame(1, session="new")
    stats = send_all(relay, watched, [old, new, raw_frame(10, session="old")])
    assert (stats.received, stats.repeated) == (2, 1)
    assert watched.newest.ref.session == "new"


def test_junk_does_not_displace_the_session_that_runs(relay, watched):
    junk, _ = raw_frame(1, session="junk")
    junk = msgspec.structs.replace(junk, width=1)
    stats = send_all(
        relay, watched, [raw_frame(1), (junk, b""), raw_frame(2), raw_frame(1, session="s2")]
    )
    assert (stats.received, stats.rejected) == (3, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"width": 0},
        {"height": 100_000},
        {"nbytes": 5},
        {"stride": 1},
        {"ref": raw_frame(1, camera="other")[0].ref},
        {"shm": {"name": "molmo-0-x-01234567", "number": 1}, "width": 1},
        {"shm": {"name": "/etc/passwd", "number": 1}},
    ],
    ids=lambda change: "-".join(change),
)
def test_a_frame_that_is_none_makes_the_camera_invalid_and_the_stream_goes_on(
    relay, watched, change
):
    header, body = raw_frame(5)
    stats = send_all(relay, watched, [(msgspec.to_builtins(header) | change, body)])
    assert (stats.received, stats.rejected, stats.is_valid) == (0, 1, False)
    stats = send_all(relay, watched, [(header, body)])
    assert (stats.received, stats.is_valid) == (1, True)


def test_a_message_with_parts_missing_is_rejected(relay, watched):
    relay.socket.send_multipart([jpeg_key("front"), b""])
    wait_for(lambda: watched.stats.rejected == 1, 5, "the rejection")


def test_a_ring_that_cannot_be_opened_is_replaced_by_jpeg_and_taken_up_again(
    relay, receive, publisher_ring
):
    receiver = receive()
    relay.wait_for_key(ring_key("front"))
    gone = {"name": "molmo-0-front-01234567", "number": 1}
    header, body = raw_frame(1)
    relay.send(msgspec.to_builtins(header) | {"shm": gone}, b"", ring_key("front"))
    relay.wait_for_key(jpeg_key("front"))
    send_all(relay, receiver, [(header, body)])
    assert receiver.take().header.ref.seq == 1

    header, body = raw_frame(2)
    here = {"name": publisher_ring.name, "number": 1}
    raw = msgspec.to_builtins(header) | {"shm": here}
    publisher_ring.write(1, wire.encode(raw), body)
    relay.send(raw, b"", ring_key("front"))

    assert receive_seq(receiver, 2).header.ref.seq == 2
    assert receiver.stats.path == f"ring {publisher_ring.name}"


@pytest.fixture
def publisher_ring():
    from molmo_node.bus.ring import RingWriter

    ring = RingWriter("front", WIDTH * HEIGHT * 3)
    yield ring
    ring.close()


def test_a_header_must_fit_its_bytes():
    header, body = raw_frame(1)
    check_header(header, "front", body.size)
    with pytest.raises(ProtocolError, match="its header says"):
        check_header(header, "front", body.size - 1)


def test_a_receiver_may_be_closed_twice(receive):
    receiver = receive()
    receiver.close()
    receiver.close()


@pytest.mark.parametrize("allow_ring", [True, False])
def test_a_receiver_without_a_thread_waits_by_itself(publisher, receive, allow_ring):
    receiver = receive(has_thread=False, allow_ring=allow_ring)
    before = receiver.wait_newer(None, 0.01)
    seq = first_frame(publisher, receiver)
    publisher.publish(*raw_frame(seq))

    assert not before
    assert receiver.wait_newer(receiver.newest, 2)
    assert receiver.take().header.ref.seq == seq
    assert not receiver.wait_newer(receiver.newest, 0.01)

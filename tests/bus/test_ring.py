"""The shared-memory ring gives whole frames, the newest first, and leaves nothing behind."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from molmo_node.bus import ring as rings
from molmo_node.bus.ring import RingReader, RingWriter, remove_stale_rings
from molmo_node.errors import ProtocolError
from tests.support.waiting import wait_for


@pytest.fixture
def writer():
    ring = RingWriter("front", 1000, slots=3)
    yield ring
    ring.close()


@pytest.fixture
def reader(writer):
    ring = RingReader(writer.name)
    yield ring
    ring.close()


def write(ring, number, size=1000):
    ring.write(number, f"h{number}".encode(), np.full(size, number % 256, np.uint8))


def test_an_empty_ring_has_no_newest_frame(reader):
    assert reader.newest() is None


def test_the_newest_frame_comes_out_as_it_went_in(writer, reader):
    for number in range(1, 9):
        write(writer, number, size=100 + number)

    frame = reader.newest()

    assert (frame.number, frame.header) == (8, b"h8")
    assert frame.body.size == 108
    assert (frame.body == 8).all()


def test_a_copy_does_not_change_when_the_slot_is_written_again(writer, reader):
    write(writer, 1)
    frame = reader.newest()

    for number in range(2, 9):
        write(writer, number)

    assert (frame.body == 1).all()


def test_a_buffer_that_is_large_enough_is_used(writer, reader):
    write(writer, 1, size=10)
    room = np.zeros(20, np.uint8)

    frame = reader.newest(room)

    assert np.shares_memory(frame.body, room)
    assert frame.body.size == 10


def test_a_buffer_that_is_too_small_is_passed_over(writer, reader):
    write(writer, 1, size=30)

    frame = reader.newest(np.zeros(20, np.uint8))

    assert frame.body.size == 30
    assert (frame.body == 1).all()


def test_a_view_tells_when_its_slot_was_written_again(writer, reader):
    write(writer, 1)
    view = reader.view(1)
    assert reader.is_whole(1)

    for number in range(2, 5):
        write(writer, number)

    assert not reader.is_whole(1)
    assert reader.view(1) is None
    assert (view.body == 4).all()


def test_a_slot_that_is_being_written_is_not_read(writer, reader):
    write(writer, 1)
    reader_words = writer._sequence[1]
    reader_words[0] = 2 * 4 - 1  # the writer is in the middle of frame 4

    assert reader.newest() is None
    assert reader.torn == 3


def test_a_checksum_finds_what_the_sequence_words_do_not():
    writer = RingWriter("front", 100, checksum=True)
    reader = RingReader(writer.name)
    write(writer, 1, size=100)
    writer._body[1][50] ^= 1

    reader.newest()

    assert reader.wrong == 1
    reader.close()
    writer.close()


@pytest.mark.process
def test_no_frame_is_torn_beside_a_writer_that_never_pauses():
    command = [sys.executable, "-m", "tests.support.ring_writer"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        reader = RingReader(child.stdout.readline().strip())
        wait_for(lambda: reader.head, 5.0, "a first frame")
        room = np.empty(reader.capacity_bytes, np.uint8)
        last, wrong = 0, 0
        for _ in range(400):
            if (frame := reader.newest(room)) is None:
                continue
            assert frame.number >= last
            last = frame.number
            is_right = frame.header == str(last).encode() and (frame.body == last % 251).all()
            wrong += not is_right
        name = reader.name
        reader.close()
        child.stdin.close()

    assert last > 1
    assert (wrong, reader.wrong) == (0, 0)
    assert not (rings.SHM_DIR / name).exists()


def test_a_view_outlives_the_ring(writer):
    reader = RingReader(writer.name)
    write(writer, 1)
    frame = reader.view(1)

    reader.close()

    assert (frame.body == 1).all()


@pytest.mark.parametrize(
    "name",
    ["", "molmo-0-front-xyz", "../etc/passwd", "molmo-0-../../x-01234567", "molmo-0-a-0123456G"],
)
def test_a_name_that_is_no_rings_is_refused(name):
    with pytest.raises(ProtocolError, match="no ring"):
        RingReader(name)


def test_a_ring_that_is_gone_is_an_os_error():
    with pytest.raises(FileNotFoundError):
        RingReader("molmo-0-front-01234567")


@pytest.fixture
def ring_file():
    path = rings.SHM_DIR / f"molmo-{os.getuid()}-front-{os.urandom(4).hex()}"
    yield path
    path.unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"x" * 100, "cut short"),
        (b"x" * 5000, "another layout"),
    ],
)
def test_a_file_that_is_no_ring_is_refused(ring_file, content, why):
    ring_file.write_bytes(content)
    with pytest.raises(ProtocolError, match=why):
        RingReader(ring_file.name)


def test_a_ring_that_was_cut_is_refused(writer):
    path = rings.SHM_DIR / writer.name
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(ProtocolError, match="cut short"):
        RingReader(writer.name)


@pytest.mark.parametrize("at", [12, 16], ids=["slots", "capacity"])
def test_a_ring_whose_numbers_were_changed_is_refused(ring_file, writer, at):
    raw = bytearray((rings.SHM_DIR / writer.name).read_bytes())
    raw[at : at + 4] = b"\xff\xff\xff\x7f"
    ring_file.write_bytes(raw)
    with pytest.raises(ProtocolError, match="cut short"):
        RingReader(ring_file.name)


def test_a_link_to_a_ring_is_not_followed(ring_file, writer):
    ring_file.symlink_to(rings.SHM_DIR / writer.name)
    with pytest.raises(OSError, match="symbolic links"):
        RingReader(ring_file.name)


def test_shared_memory_that_is_full_is_an_error_and_leaves_nothing(monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    before = set(rings.SHM_DIR.glob("molmo-*"))
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space"):
        RingWriter("front", 1000)
    assert set(rings.SHM_DIR.glob("molmo-*")) <= before


def test_a_ring_is_private_to_its_user(writer):
    assert (rings.SHM_DIR / writer.name).stat().st_mode & 0o777 == 0o600


def test_a_living_writers_ring_is_never_removed(writer, reader):
    remove_stale_rings()
    assert (rings.SHM_DIR / writer.name).exists()


def test_a_ring_that_is_being_made_is_not_removed(ring_file):
    ring_file.write_bytes(b"")
    remove_stale_rings()
    assert ring_file.exists()


@pytest.mark.process
def test_the_ring_of_a_killed_writer_is_removed():
    command = [sys.executable, "-m", "tests.support.ring_writer"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        path = rings.SHM_DIR / child.stdout.readline().strip()
        child.kill()
    assert Path(path).exists()

    remove_stale_rings()

    assert not Path(path).exists()


def test_a_header_longer_than_its_room_is_our_own_mistake(writer):
    with pytest.raises(AssertionError):
        writer.write(1, b"x" * 4000, b"")


def test_a_body_longer_than_the_slot_is_our_own_mistake(writer):
    with pytest.raises(ValueError, match="broadcast"):
        writer.write(1, b"", bytes(1001))


def test_a_reader_waits_for_a_frame_that_was_announced(tmp_path):
    writer = RingWriter("front", 4096)
    reader = RingReader(writer.name)
    late = threading.Timer(0.02, writer.write, (1, b"header", b"x" * 64))
    late.start()
    try:
        assert reader.wait_for(1)
        assert reader.newest().number == 1
        assert not reader.wait_for(2)  # whoever announced it is gone
    finally:
        late.join()
        reader.close()
        writer.close()

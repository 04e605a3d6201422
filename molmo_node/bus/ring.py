"""A frame ring in shared memory: one writer, many readers, no locks, the newest first.

Each slot has a sequence word: odd while the writer copies, ``2 * number`` when the slot is
whole, so a reader that looks at it before and after its copy knows a torn frame. `head` names
the newest whole frame; a slow reader jumps there and pays for nothing it skipped.

Layout (native endian; every process of one host shares it): a page of ring header, then
slots of one page (sequence word, number, lengths, header bytes) and the body. x86 keeps the
order of stores; elsewhere the test "head moved less than a lap" after the copy stands in
for a fence, and `checksum=True` proves every frame (tests).

The writer holds a file lock on its ring: the kernel lets go of it when the writer dies, so a
ring that nobody locks is a leftover. (Pid and start time would lie after the wall clock jumps.)
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import re
import struct
import sys
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from molmo_node.errors import ProtocolError

Buffer = bytes | bytearray | memoryview | NDArray[np.uint8]

SHM_DIR = Path("/dev/shm")
SLOTS = 6
WHOLE_WITHIN_S = 0.1
LOOK_AGAIN_S = 50e-6
_MAGIC = 0x4D4F4C4D4F524E47
_LAYOUT = 1
_RING = struct.Struct("=QIIQQI")  # magic, layout, slots, capacity, pid, checksum?
_SLOT = struct.Struct("=QIQI")  # number, header length, body length, checksum
_PAGE = 4096
_HEAD_AT = 128
_META_AT = 64
_HEADER_AT = 128
_HEADER_ROOM = _PAGE - _HEADER_AT
_NAME = re.compile(r"molmo-\d+-[a-z0-9_-]{1,64}-[0-9a-f]{8}")


@dataclass(frozen=True)
class RingFrame:
    """A frame out of the ring. `body` is the reader's own copy, or a view of the slot."""

    number: int
    header: bytes
    body: NDArray[np.uint8]


class _Ring:
    """The mapping and its words, the same for writer and reader."""

    def __init__(self, memory: mmap.mmap, slots: int, capacity_bytes: int) -> None:
        self._memory = memory
        self._view = memoryview(memory)
        self.slots = slots
        self.capacity_bytes = capacity_bytes
        stride = _stride(capacity_bytes)
        self._base = [_PAGE + i * stride for i in range(slots)]
        self._head = self._view[_HEAD_AT : _HEAD_AT + 8].cast("Q")
        self._sequence = [self._view[b : b + 8].cast("Q") for b in self._base]
        self._body = [
            np.frombuffer(memory, np.uint8, capacity_bytes, offset=b + _PAGE) for b in self._base
        ]

    @property
    def head(self) -> int:
        """The number of the newest whole frame; 0 before the first."""
        return self._head[0]

    def _unmap(self) -> None:
        self._body.clear()
        for word in (*self._sequence, self._head, self._view):
            word.release()
        # A reader may still hold a view of a slot: the map then goes with that view.
        with contextlib.suppress(BufferError):
            self._memory.close()


class RingWriter(_Ring):
    """Makes a ring and writes frames into it.

    Args:
        camera: becomes part of the file's name.
        capacity_bytes: the longest body a slot holds.
        checksum: store a CRC of each body (tests; costs a pass over the bytes).

    Raises:
        OSError: no shared memory, or not enough of it; nothing is left behind.
    """

    def __init__(
        self, camera: str, capacity_bytes: int, slots: int = SLOTS, checksum: bool = False
    ) -> None:
        self.name = f"molmo-{os.getuid()}-{camera}-{os.urandom(4).hex()}"
        self._path = SHM_DIR / self.name
        self._checksum = checksum
        total_bytes = _PAGE + _stride(capacity_bytes) * slots
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            # Reserves the pages: a full /dev/shm is an error here, not a SIGBUS in `write`.
            os.posix_fallocate(self._fd, 0, total_bytes)
            memory = mmap.mmap(self._fd, total_bytes)
        except OSError:
            self._path.unlink()
            os.close(self._fd)
            raise
        super().__init__(memory, slots, capacity_bytes)
        fields = (_MAGIC, _LAYOUT, slots, capacity_bytes, os.getpid(), int(checksum))
        _RING.pack_into(memory, 0, *fields)

    def write(self, number: int, header: bytes, body: Buffer) -> None:
        """Copy a frame into its slot and make it the newest.

        Args:
            number: from 1 up, rising by 1.
            header: at most `limits.HEADER_BYTES` less the slot's own words.
            body: contiguous bytes, at most `capacity_bytes`.
        """
        assert len(header) <= _HEADER_ROOM, "a longer header would run into the body"
        source = np.frombuffer(body, np.uint8)
        index = number % self.slots
        base = self._base[index]
        crc = zlib.crc32(source.data) if self._checksum else 0
        self._sequence[index][0] = 2 * number - 1
        np.copyto(self._body[index][: source.size], source)
        self._memory[base + _HEADER_AT : base + _HEADER_AT + len(header)] = header
        _SLOT.pack_into(self._memory, base + _META_AT, number, len(header), source.size, crc)
        self._sequence[index][0] = 2 * number
        self._head[0] = number

    def close(self) -> None:
        """Unmap, and remove the file; readers keep what they mapped until they let go."""
        self._path.unlink(missing_ok=True)
        self._unmap()
        os.close(self._fd)


class RingReader(_Ring):
    """Reads another process's ring.

    Attributes:
        torn: copies that were thrown away because the writer came by.
        wrong: whole copies whose checksum did not fit, on a ring with checksums; must stay 0.

    Args:
        name: as announced in a frame header; anything but a ring's name is refused.

    Raises:
        ProtocolError: a bad name, or a file that is no ring of this layout.
        OSError: no such ring here (another host, a container, or its writer is gone).
    """

    def __init__(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise ProtocolError("a frame header names something that is no ring")
        self.name = name
        fd = os.open(SHM_DIR / name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            memory = mmap.mmap(fd, 0, prot=mmap.PROT_READ)
        except ValueError as exc:
            raise ProtocolError(f"ring {name} is empty") from exc
        finally:
            os.close(fd)
        slots, capacity_bytes, self._checksum = _check(memory, name)
        super().__init__(memory, slots, capacity_bytes)
        self.torn = 0
        self.wrong = 0

    def wait_for(self, number: int) -> bool:
        """Wait until frame `number`, which was announced, is whole: its notice travels ahead.

        Returns:
            False if its writer seems to have died over it.
        """
        until_s = time.monotonic() + WHOLE_WITHIN_S
        while self.head < number:
            if time.monotonic() > until_s:
                return False
            time.sleep(LOOK_AGAIN_S)
        return True

    def view(self, number: int) -> RingFrame | None:
        """Frame `number` in place, None if it is gone. Ask `is_whole` after using it."""
        index = number % self.slots
        if self._sequence[index][0] != 2 * number:
            return None
        base = self._base[index]
        _, header_len, body_len, _ = _SLOT.unpack_from(self._memory, base + _META_AT)
        if header_len > _HEADER_ROOM or body_len > self.capacity_bytes:
            return None
        header = self._memory[base + _HEADER_AT : base + _HEADER_AT + header_len]
        return RingFrame(number, header, self._body[index][:body_len])

    def is_whole(self, number: int) -> bool:
        """Whether frame `number` still lies in its slot, untouched."""
        is_same = self._sequence[number % self.slots][0] == 2 * number
        return is_same and self.head - number < self.slots - 1

    def newest(self, out: NDArray[np.uint8] | None = None) -> RingFrame | None:
        """A private copy of the newest frame; None before the first.

        Args:
            out: where to copy to, if it is large enough; saves an allocation a frame.
        """
        for _ in range(self.slots):
            number = self.head
            if number == 0:
                return None
            if (frame := self.view(number)) is not None:
                copy = _room(out, frame.body.size)
                np.copyto(copy, frame.body)
                crc = self._crc(number)
                if self.is_whole(number):
                    self.wrong += crc is not None and zlib.crc32(copy.data) != crc
                    return RingFrame(number, frame.header, copy)
            self.torn += 1
        return None

    def _crc(self, number: int) -> int | None:
        """The checksum in frame `number`'s slot; None on a ring without them."""
        if not self._checksum:
            return None
        base = self._base[number % self.slots]
        crc: int = _SLOT.unpack_from(self._memory, base + _META_AT)[3]
        return crc

    def newest_view(self) -> RingFrame | None:
        """The newest frame in place; None before the first. Ask `is_whole` after using it."""
        for _ in range(self.slots):
            number = self.head
            if number == 0:
                return None
            if (frame := self.view(number)) is not None and self.is_whole(number):
                return frame
            self.torn += 1
        return None

    def close(self) -> None:
        """Unmap; views handed out stay valid until they are dropped."""
        self._unmap()


def remove_stale_rings() -> int:
    """Unlink this user's rings whose writers are dead; returns how many."""
    removed = 0
    for path in SHM_DIR.glob(f"molmo-{os.getuid()}-*"):
        with contextlib.suppress(OSError), open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError: its writer lives
            # One without its first words is being made at this moment.
            if file.read(8) == _MAGIC.to_bytes(8, sys.byteorder):
                path.unlink()
                removed += 1
    return removed


def _stride(capacity_bytes: int) -> int:
    """From one slot to the next: a page of its words and header, and whole pages of body."""
    return _PAGE + -(-capacity_bytes // _PAGE) * _PAGE


def _room(out: NDArray[np.uint8] | None, size: int) -> NDArray[np.uint8]:
    if out is None or out.size < size:
        return np.empty(size, np.uint8)
    return out[:size]


def _check(memory: mmap.mmap, name: str) -> tuple[int, int, bool]:
    if len(memory) < _PAGE:
        raise ProtocolError(f"ring {name} is cut short")
    magic, layout, slots, capacity_bytes, _, checksum = _RING.unpack_from(memory, 0)
    if magic != _MAGIC or layout != _LAYOUT:
        raise ProtocolError(f"ring {name} has another layout", hint="update the older side")
    if not 2 <= slots <= 64 or len(memory) < _PAGE + _stride(capacity_bytes) * slots:
        raise ProtocolError(f"ring {name} is cut short")
    return slots, capacity_bytes, bool(checksum)

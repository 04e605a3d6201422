"""The four V4L2 questions that describe a device without streaming from it.

Layouts and numbers are those of ``linux/videodev2.h``; request numbers use the encoding of x86,
ARM and RISC-V (``asm-generic/ioctl.h``).
"""

from __future__ import annotations

import errno
import fcntl
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_READ_WRITE, _READ = 3, 2
_CAPABILITY = struct.Struct("16s32s32sIII12x")
_FORMAT = struct.Struct("III32sI16x")
_FRAME_SIZE = struct.Struct("III6I8x")
_FRAME_INTERVAL = struct.Struct("IIIII6I8x")
_CAN_CAPTURE, _CAN_CAPTURE_PLANES, _HAS_NODE_CAPS = 0x1, 0x1000, 0x80000000
_BUFFER_CAPTURE, _BUFFER_CAPTURE_PLANES = 1, 9
_DISCRETE = 1
_MOST_ENTRIES = 256

Ioctl = Callable[[int, int, bytearray], object]


def _request(direction: int, number: int, layout: struct.Struct) -> int:
    return direction << 30 | layout.size << 16 | ord("V") << 8 | number


QUERYCAP = _request(_READ, 0, _CAPABILITY)
ENUM_FMT = _request(_READ_WRITE, 2, _FORMAT)
ENUM_FRAMESIZES = _request(_READ_WRITE, 74, _FRAME_SIZE)
ENUM_FRAMEINTERVALS = _request(_READ_WRITE, 75, _FRAME_INTERVAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """One picture size and its rates in Hz, highest first; a range gives its ends."""

    width: int
    height: int
    rates_hz: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One pixel format: four-character code (``MJPG``, ``YUYV``), the driver's words, sizes."""

    fourcc: str
    description: str
    modes: tuple[Mode, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a device says about itself."""

    driver: str
    card: str
    bus: str
    can_capture: bool
    formats: tuple[Format, ...]


def describe(fd: int, ioctl: Ioctl = fcntl.ioctl) -> Description:
    """Ask an open device for name, formats, sizes and rates.

    Raises:
        OSError: it is no V4L2 device, or gone.
    """
    raw = bytearray(_CAPABILITY.size)
    ioctl(fd, QUERYCAP, raw)
    driver, card, bus, _version, device_caps, node_caps = _CAPABILITY.unpack(raw)
    caps = node_caps if device_caps & _HAS_NODE_CAPS else device_caps
    buffer_type = _BUFFER_CAPTURE if caps & _CAN_CAPTURE else _BUFFER_CAPTURE_PLANES
    can_capture = bool(caps & (_CAN_CAPTURE | _CAN_CAPTURE_PLANES))
    formats = tuple(_formats(fd, buffer_type, ioctl)) if can_capture else ()
    return Description(
        driver=_text(driver), card=_text(card), bus=_text(bus),
        can_capture=can_capture, formats=formats,
    )  # fmt: skip


def _formats(fd: int, buffer_type: int, ioctl: Ioctl) -> Iterator[Format]:
    for raw in _entries(fd, ENUM_FMT, _FORMAT, ioctl, buffer_type):
        description, code = _FORMAT.unpack(raw)[3:5]
        yield Format(
            fourcc=_text(struct.pack("I", code & 0x7FFFFFFF)),
            description=_text(description),
            modes=tuple(_modes(fd, code, ioctl)),
        )


def _modes(fd: int, code: int, ioctl: Ioctl) -> Iterator[Mode]:
    for raw in _entries(fd, ENUM_FRAMESIZES, _FRAME_SIZE, ioctl, code):
        kind, *sides = _FRAME_SIZE.unpack(raw)[2:]
        is_range = kind != _DISCRETE
        # A range is smallest, largest, step for the width, then the same for the height.
        sizes = [(sides[0], sides[3]), (sides[1], sides[4])] if is_range else [sides[:2]]
        for width, height in sizes:
            yield Mode(width=width, height=height, rates_hz=_rates(fd, code, width, height, ioctl))
        if is_range:
            return


def _rates(fd: int, code: int, width: int, height: int, ioctl: Ioctl) -> tuple[float, ...]:
    rates: set[float] = set()
    for raw in _entries(fd, ENUM_FRAMEINTERVALS, _FRAME_INTERVAL, ioctl, code, width, height):
        kind, *fractions = _FRAME_INTERVAL.unpack(raw)[4:]
        is_range = kind != _DISCRETE
        # An interval is a fraction of seconds: the rate is its inverse.
        pairs = [fractions[:2], fractions[2:4]] if is_range else [fractions[:2]]
        rates |= {round(bottom / top, 3) for top, bottom in pairs if top}
        if is_range:
            break
    return tuple(sorted(rates, reverse=True))


def _entries(
    fd: int, request: int, layout: struct.Struct, ioctl: Ioctl, *asked: int
) -> Iterator[bytearray]:
    """Ask for entry 0, 1, 2 … until the driver says EINVAL; ENOTTY: it keeps no such list."""
    for index in range(_MOST_ENTRIES):
        raw = bytearray(layout.size)
        struct.pack_into(f"{1 + len(asked)}I", raw, 0, index, *asked)
        try:
            ioctl(fd, request, raw)
        except OSError as exc:
            if exc.errno in (errno.EINVAL, errno.ENOTTY):
                return
            raise
        yield raw


def _text(raw: bytes) -> str:
    return raw.split(b"\0")[0].decode("utf-8", "replace").strip()

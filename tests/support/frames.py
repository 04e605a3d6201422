"""Frames, nodes and sockets for tests of the bus."""

from __future__ import annotations

import socket as sockets

import numpy as np

from molmo_node.bus.host import host_id
from molmo_node.clock import SYSTEM_CLOCK
from molmo_node.messages import FrameHeader, FrameRef

WIDTH, HEIGHT = 64, 48


def free_ports(count: int = 2) -> int:
    """The first of `count` tcp ports in a row that nobody holds now."""
    while True:
        held = [sockets.socket() for _ in range(count)]
        try:
            held[0].bind(("127.0.0.1", 0))
            first = held[0].getsockname()[1]
            for offset, one in enumerate(held[1:], 1):
                one.bind(("127.0.0.1", first + offset))
        except OSError:
            continue
        finally:
            for one in held:
                one.close()
        return int(first)


def raw_frame(seq: int, camera: str = "front", session: str = "s1", value: int | None = None):
    """An rgb8 frame whose bytes are all `seq`, as (header, body)."""
    body = np.full(WIDTH * HEIGHT * 3, (seq if value is None else value) % 256, np.uint8)
    ref = FrameRef(
        camera=camera,
        session=session,
        seq=seq,
        stamp_ns=SYSTEM_CLOCK.wall_ns(),
        mono_ns=SYSTEM_CLOCK.mono_ns(),
        host=host_id(),
    )
    header = FrameHeader(
        ref=ref,
        width=WIDTH,
        height=HEIGHT,
        encoding="rgb8",
        stride=WIDTH * 3,
        nbytes=body.size,
    )
    return header, body


def to_jpeg(frame) -> bytes:
    """A frame's JPEG file."""
    from molmo_node.imaging import encode_jpeg

    return encode_jpeg(frame.rgb())

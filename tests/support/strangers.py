"""Peers that do not keep to the protocol: bytes, and sockets without our limits."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from typing import Any

import msgpack
import zmq

VALID_QUERY: dict[str, Any] = {
    "type": "query",
    "v": 1,
    "id": "good",
    "question": {"task": "point", "text": "mug"},
    "deadline_ms": 5000.0,
}
ODD_VALUES = [
    None, True, -1, 2**63, 2**64 - 1, 1e308, float("nan"), float("inf"), "", "x" * 5000,
    b"\xff\xfe",
    [], {}, [[[[]]]], {"a": {"b": {}}}, {1: 2}, "\u0000", "../../etc/passwd", b"",
]  # fmt: skip
DEEP = b"\x91" * 5000 + b"\xc0"
BAD_TEXT = msgpack.packb({"type": "ping", "id": "?"}).replace(b"?", b"\xff")


def bodies(seed: int, count: int, valid: dict[str, Any]) -> Iterator[list[bytes]]:
    """Messages of 1 to 4 parts: noise, odd values, cut and flipped bytes of a valid message."""
    rng = random.Random(seed)
    good = msgpack.packb(valid)
    for number in range(count):
        kind = number % 6
        if kind == 0:
            yield [rng.randbytes(rng.randrange(200))]
        elif kind == 1:
            yield [msgpack.packb({**valid, rng.choice(list(valid)): rng.choice(ODD_VALUES)})]
        elif kind == 2:
            flipped = bytearray(good)
            flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
            yield [bytes(flipped), rng.randbytes(20)]
        elif kind == 3:
            yield [good[: rng.randrange(len(good))]]
        elif kind == 4:
            yield [rng.randbytes(rng.randrange(8)) for _ in range(rng.randrange(1, 5))]
        else:
            yield [
                rng.choice([DEEP, BAD_TEXT, b"", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff"])
            ]


def send_bytes(endpoint: str, seed: int, connections: int) -> None:
    """Connect to an ipc endpoint without ZeroMQ, say something, and leave."""
    rng = random.Random(seed)
    for number in range(connections):
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(endpoint.removeprefix("ipc://"))
            start = b"\xff" + bytes(8) + b"\x7f" if number % 2 else b""  # a ZMTP greeting begins so
            try:
                peer.sendall(start + rng.randbytes(rng.randrange(1, 400)))
            except (BrokenPipeError, ConnectionResetError):
                continue  # cut off in mid-sentence: as it should be


def raw_socket(kind: int, endpoint: str) -> zmq.Socket[bytes]:
    """A connected socket with a context of its own and no limits; `close_raw` it."""
    socket = zmq.Context().socket(kind)
    socket.linger = 2_000
    socket.connect(endpoint)
    return socket


def close_raw(socket: zmq.Socket[bytes]) -> None:
    """Close a `raw_socket` after it has sent everything."""
    context = socket.context
    socket.close()
    context.term()

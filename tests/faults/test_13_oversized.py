"""Row 13: messages and pictures that are too large, refused before anything decodes them."""

from __future__ import annotations

import statistics
import struct
import time
import zlib

import msgpack
import psutil
import pytest
import zmq

from molmo_node.bus.address import node_address
from molmo_node.client import Client
from molmo_node.errors import ProtocolError
from molmo_node.messages import Question
from tests.support.machine import within
from tests.support.stack import Stack
from tests.support.strangers import VALID_QUERY, close_raw, raw_socket

pytestmark = pytest.mark.process

REFUSED_S = 0.005
GROWTH_BYTES = 5 * 1024 * 1024
BOMB_SIDE_PX = 11_586  # squared: 134 Mpx
TIMES = 20


def png_bomb() -> bytes:
    """A whole and correct grey PNG of 134 Mpx; about 0.13 MB of zeros, padded to 0.4 MB."""
    packer, packed = zlib.compressobj(9), bytearray()
    row = bytes(1 + BOMB_SIDE_PX)
    for _ in range(BOMB_SIDE_PX):
        packed += packer.compress(row)
    packed += packer.flush()
    header = struct.pack(">IIBBBBB", BOMB_SIDE_PX, BOMB_SIDE_PX, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"tEXt", b"pad\0" + bytes(265_000)), (b"IDAT", bytes(packed))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*one) for one in [*chunks, (b"IEND", b"")])


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def jpeg_lie() -> bytes:
    """A JPEG header that declares 65500 x 65500 px, and nothing behind it."""
    frame = struct.pack(">BBHBHHB", 0xFF, 0xC0, 17, 8, 65_500, 65_500, 3)
    return b"\xff\xd8" + frame + bytes(9) + b"\xff\xd9"


def start(stack: Stack) -> tuple[Client, psutil.Process]:
    worker = stack.worker({"answers": [{"reply": "here"}]})
    stack.camera()
    client = stack.client()
    stack.wait_ready(client, "front")
    client.point("mug")
    return client, psutil.Process(worker.pid)


def refusal_s(client: Client, image: bytes) -> float:
    from_s = time.monotonic()
    with pytest.raises(ProtocolError, match="px"):
        client.point("mug", image=image)
    return time.monotonic() - from_s


@pytest.mark.parametrize("make", [png_bomb, jpeg_lie])
def test_picture_bomb_is_refused_by_its_header(stack: Stack, make) -> None:
    client, worker = start(stack)
    bomb = make()
    refusal_s(client, bomb)  # what is imported at the first time is no decoding
    before_bytes = worker.memory_info().rss

    took_s = [refusal_s(client, bomb) for _ in range(TIMES)]

    growth_bytes = worker.memory_info().rss - before_bytes
    print(f"{len(bomb) / 1e6:.2f} MB, worker grew {growth_bytes / 1e6:.1f} MB")
    assert growth_bytes <= GROWTH_BYTES
    assert client.point("mug").text == "here"
    within(f"median of {TIMES} refusals", statistics.median(took_s), REFUSED_S)


def test_body_over_the_limit_is_refused_at_the_client(stack: Stack) -> None:
    client, worker = start(stack)
    before_bytes = worker.memory_info().rss

    from_s = time.monotonic()
    with pytest.raises(ProtocolError, match="17000000"):
        client.query(Question.point("mug"), image=b"\xff\xd8\xff" + bytes(16_999_997), timeout_s=5)
    took_s = time.monotonic() - from_s

    assert client.point("mug").text == "here"
    assert worker.memory_info().rss - before_bytes <= GROWTH_BYTES
    within("refusal of 17 MB", took_s, 0.1)


def test_body_over_the_limit_of_a_stranger_never_arrives(stack: Stack) -> None:
    client, worker = start(stack)
    before_bytes = worker.memory_info().rss
    stranger = raw_socket(zmq.DEALER, node_address(stack.run_dir, "worker").part(0))

    attached = {**VALID_QUERY, "frame": "attached"}
    stranger.send_multipart([msgpack.packb(attached), bytes(17_000_000)])
    answered = stranger.poll(500)
    stranger.linger = 0
    close_raw(stranger)

    assert not answered
    assert worker.memory_info().rss - before_bytes <= GROWTH_BYTES
    assert client.point("mug").text == "here"

"""Throw bytes at every decoder of the wire, and report what came out.

    python tools/fuzz_wire.py --random 1000000 --mutated 100000

Any exception but ProtocolError ends the run. Prints per decoder: how many inputs, how many were
refused, and how fast; at the end how much the process grew.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil

from molmo_node import messages as m
from molmo_node.bus import wire
from molmo_node.errors import ProtocolError

Make = Callable[[random.Random], bytes]
GROWTH_LIMIT_MB = 50.0
# What a decoder meets first: maps, arrays and strings that promise more than they hold.
NASTY = (
    b"\x91" * 3000,
    b"\x81\xa1a" * 2000,
    b"\xdd\xff\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xdb\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00",
    b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xa2\xff\xfe",
    b"\xd6\xff\xff\xff\xff\xff",
    b"\x81\x80\xc0",
    b"",
)


def decoders() -> dict[str, tuple[wire.Decoder[Any], list[bytes]]]:
    """Every decoder by name, and messages it accepts."""
    ref = m.FrameRef(camera="front", session="s", seq=1, stamp_ns=1, mono_ns=1)
    question = m.Question.point("mug", roi=m.Roi(x_px=0, y_px=0, width_px=64, height_px=64))
    spec = m.WatchSpec(name="mug", question=question)
    gauge = m.GaugeReading(value=1.0, geometry=m.Geometry(center=(1.0, 2.0)))
    header = m.FrameHeader(ref=ref, width=64, height=64, encoding="rgb8", nbytes=12288, stride=192)
    answer = m.Answer(
        task="point", frame=ref, width=64, height=64, reading=gauge, data={"a": [1, 2.5, None]},
        points=(m.Point(x_px=1.0, y_px=2.0),),
    )  # fmt: skip
    status = m.Status(
        node="worker", kind="worker", session="s", seq=1, stamp_ns=1, mono_ns=1, host="h", pid=1,
        state="ready", cameras=(m.CameraHealth(name="front"),), watches=(spec,),
    )  # fmt: skip
    asked: list[object] = [m.Query(id="1", question=question), m.Watch(id="2", spec=spec)]
    said: list[object] = [answer, status, m.Error(id="1", code="busy", message="full", wait_ms=1.0)]
    seeds: dict[str, tuple[wire.Decoder[Any], list[object]]] = {
        "frame header": (wire.frame_header, [header]),
        "client message": (wire.client_message, asked),
        "worker message": (wire.worker_message, said),
        "answer": (wire.answer, [answer]),
        "status": (wire.status, [status]),
    }
    return {
        name: (decoder, [wire.encode(one) for one in some])
        for name, (decoder, some) in seeds.items()
    }


def random_bytes(rng: random.Random) -> bytes:
    """Up to 300 bytes of noise."""
    return rng.randbytes(rng.randrange(300))


def mutated(seeds: list[bytes]) -> Make:
    """A maker of messages with a few bytes changed, cut out, doubled or replaced by poison."""

    def make(rng: random.Random) -> bytes:
        raw = bytearray(rng.choice(seeds))
        for _ in range(rng.randrange(1, 5)):
            at = rng.randrange(len(raw) + 1)
            kind = rng.randrange(4)
            if kind == 0 and at < len(raw):
                raw[at] = rng.randrange(256)
            elif kind == 1:
                del raw[at : at + rng.randrange(8)]
            elif kind == 2:
                raw[at:at] = raw[at : at + rng.randrange(16)]
            else:
                raw[at : at + rng.randrange(4)] = rng.choice(NASTY)
        return bytes(raw)

    return make


def inputs(make: Make, count: int, seed: int) -> Iterator[list[bytes]]:
    """`count` inputs in portions, so that making them is not timed with decoding them."""
    rng = random.Random(seed)
    for start in range(0, count, 10_000):
        yield [make(rng) for _ in range(min(10_000, count - start))]


def attack(decoder: wire.Decoder[Any], make: Make, count: int, seed: int) -> tuple[int, float]:
    """Decode `count` inputs.

    Returns:
        How many were refused, and how many inputs were decoded a second.
    """
    refused, took_s = 0, 0.0
    for portion in inputs(make, count, seed):
        started = time.perf_counter()
        for raw in portion:
            try:
                decoder(raw)
            except ProtocolError:
                refused += 1
        took_s += time.perf_counter() - started
    return refused, count / took_s


def main() -> int:
    """Attack every decoder; 0 if the process did not grow beyond its limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--random", type=int, default=1_000_000, metavar="COUNT")
    parser.add_argument("--mutated", type=int, default=100_000, metavar="COUNT")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    process = psutil.Process()
    before_bytes = process.memory_info().rss
    for name, (decoder, seeds) in decoders().items():
        makers = {"random": (random_bytes, options.random)}
        makers["mutated"] = (mutated(seeds), options.mutated)
        for kind, (make, count) in makers.items():
            refused, rate_hz = attack(decoder, make, count, options.seed)
            print(f"{name:15} {kind:8} {count:8} in, {refused:8} refused, {rate_hz:9.0f} a second")
    grown_mb = (process.memory_info().rss - before_bytes) / 1e6
    print(f"grown by {grown_mb:.1f} MB, at most {GROWTH_LIMIT_MB:.0f} allowed")
    return int(grown_mb > GROWTH_LIMIT_MB)


if __name__ == "__main__":
    raise SystemExit(main())

"""Measures the node's own share: camera process, worker process, subscriber process.

    python tools/bench_node.py [--json FILE]

First a watch at 30 Hz with an engine that takes no time: from the frame's stamp in the camera
to the answer in this process. Then one-shot questions in a row to an engine that reads the
number drawn in the picture: none may be lost, doubled, or about another frame than it names.

Exit code 0 when every requirement is met, 1 otherwise. docs/transport.md says more.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # when run as a file

from molmo_node.client import Client, Subscription
from molmo_node.errors import DeadlineExceeded, MolmoNodeError
from molmo_node.messages import Answer, Question
from tools.node import stage

WIDTH, HEIGHT, RATE_HZ = 1280, 720, 30.0
WARMUP_ANSWERS = 30
OVERHEAD_P50_MS = 5.0
ANSWER_S = 5.0
STRAGGLERS_S = 0.5


@dataclass(frozen=True)
class Overhead:
    """Milliseconds; the steps are medians and follow one another.

    Attributes:
        jpeg_bytes: mean length of a frame.
        to_engine_ms: stamp to the engine's thread: camera, notice, worker's turn.
        prepare_ms: copy out of the ring and JPEG decoding.
        to_answer_ms: from there to the answer being made, in the worker's main thread.
        to_subscriber_ms: encoding, socket, decoding, this process waking up.
    """

    answers: int
    jpeg_bytes: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    to_engine_ms: float
    prepare_ms: float
    to_answer_ms: float
    to_subscriber_ms: float


@dataclass(frozen=True)
class OneShots:
    """How questions in a row fared; `p50_ms` is from asking to having the answer."""

    asked: int
    lost: int
    doubled: int
    wrong_frame: int
    frames: int
    p50_ms: float


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, judge."""
    options = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="molmo-bench-") as name:
        folder = Path(name)
        pictures = folder / "pictures"
        pictures.mkdir()
        jpeg_bytes = stage.make_pictures(pictures, WIDTH, HEIGHT)
        worker = stage.scripted_worker(folder / "a", folder)
        with stage.running(folder / "a", pictures, RATE_HZ, worker) as client:
            overhead = _measure_overhead(client, options.answers, jpeg_bytes)
        worker = stage.counting_worker(folder / "b")
        with stage.running(folder / "b", pictures, RATE_HZ, worker) as client:
            shots = _ask_in_a_row(client, options.queries)
    _print(overhead, shots)
    if options.json:
        rows = [asdict(overhead), asdict(shots)]
        options.json.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return 0 if _judge(overhead, shots) else 1


def _measure_overhead(client: Client, count: int, jpeg_bytes: int) -> Overhead:
    """Follow a watch; the frame's monotonic stamp and ours are of one clock."""
    ages_ms, steps = [], []
    with client.watch(Question.point("bench"), rate_hz=RATE_HZ) as watch:
        for _ in range(WARMUP_ANSWERS):
            watch.get(ANSWER_S)
        for _ in range(count):
            answer = watch.get(ANSWER_S)
            age_ms = (time.monotonic_ns() - answer.frame.mono_ns) / 1e6
            timing = answer.timing_ms
            ages_ms.append(age_ms)
            rest_ms = timing.total - timing.wait - timing.prepare
            steps.append((timing.wait, timing.prepare, rest_ms, age_ms - timing.total))
    p50, p95, p99 = (float(value) for value in np.percentile(ages_ms, (50, 95, 99)))
    medians = [float(value) for value in np.median(steps, axis=0)]
    return Overhead(count, jpeg_bytes, p50, p95, p99, *medians)


def _ask_in_a_row(client: Client, count: int) -> OneShots:
    """Ask one after the other, and hold the replies against what the worker published."""
    replies: list[Answer] = []
    took_ms: list[float] = []
    published: Counter[str] = Counter()
    with client.answers() as answers:
        _wait_for_subscription(client, answers)
        for _ in range(count):
            started_s = time.monotonic()
            try:
                replies.append(client.count("mark", timeout_s=ANSWER_S))
            except MolmoNodeError as exc:
                print(f"a question failed: {exc}", file=sys.stderr)
            took_ms.append((time.monotonic() - started_s) * 1e3)
            published.update(_drain(answers, 0.0))
        published.update(_drain(answers, STRAGGLERS_S))
    seen = {reply.id for reply in replies}
    return OneShots(
        asked=count,
        lost=count - len(seen),
        doubled=len(replies) - len(seen) + sum(n - 1 for i, n in published.items() if i in seen),
        wrong_frame=sum(reply.count != reply.frame.seq % stage.PICTURES for reply in replies),
        frames=len({reply.frame.seq for reply in replies}),
        p50_ms=float(np.median(took_ms)),
    )


def _wait_for_subscription(client: Client, answers: Subscription[Answer]) -> None:
    """Ask until an answer is also seen in the stream."""
    until_s = time.monotonic() + ANSWER_S
    while not _drain(answers, 0.05):
        client.count("mark", timeout_s=ANSWER_S)
        if time.monotonic() > until_s:
            raise TimeoutError("the worker's stream of answers cannot be heard")


def _drain(answers: Subscription[Answer], wait_s: float) -> list[str]:
    ids = []
    try:
        while True:
            ids.append(answers.get(wait_s).id)
    except DeadlineExceeded:
        return ids


def _print(overhead: Overhead, shots: OneShots) -> None:
    o = overhead
    print(
        f"720p JPEG of {o.jpeg_bytes // 1000} kB at 30 Hz, {o.answers} answers: stamp to answer"
        f" p50 {o.p50_ms:.2f}, p95 {o.p95_ms:.2f}, p99 {o.p99_ms:.2f} ms\n"
        f"  stamp to engine {o.to_engine_ms:.2f}, copy and decode {o.prepare_ms:.2f},"
        f" to answer {o.to_answer_ms:.2f}, to subscriber {o.to_subscriber_ms:.2f} ms\n"
        f"{shots.asked} one-shot questions about {shots.frames} frames: p50 {shots.p50_ms:.2f} ms\n"
    )


def _judge(overhead: Overhead, shots: OneShots) -> bool:
    found = {
        f"stamp to answer p50 {overhead.p50_ms:.2f} ms (at most {OVERHEAD_P50_MS:g} ms)":
            overhead.p50_ms <= OVERHEAD_P50_MS,
        f"one-shot questions lost: {shots.lost} (at most 0)": shots.lost == 0,
        f"one-shot answers doubled: {shots.doubled} (at most 0)": shots.doubled == 0,
        f"answers about another frame: {shots.wrong_frame} (at most 0)": shots.wrong_frame == 0,
    }  # fmt: skip
    for text, is_met in found.items():
        print("PASS      " if is_met else "FALL-SHORT", text)
    return all(found.values())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--answers", type=int, default=300, help="of the watch, counted")
    parser.add_argument("--queries", type=int, default=1000, help="one-shot questions in a row")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every figure, one object a line")
    return parser


if __name__ == "__main__":
    sys.exit(main())

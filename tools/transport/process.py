"""One publisher or one subscriber process: ``python -m tools.transport.process ROLE SETUP``."""

from __future__ import annotations

import json
import os
import select
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np

from tools.transport.base import KINDS, WARMUP_FRAMES, Case, Publisher, Setup, Subscriber, load
from tools.transport.meter import Meter, PublisherReport, SubscriberReport, cpu_s

FIRST_FRAME_S = 20.0
IDLE_S = 1.0
UNPACED_TURN = 256  # frames between two looks at whether to stop
LINGER_S = 1.5  # an unsteered publisher stays so long, for slow subscribers


def main() -> None:
    """Play the role, write the report beside the setup file."""
    role, path = sys.argv[1], Path(sys.argv[2])
    setup = Setup.read(path)
    report = _publish(setup) if role == "publisher" else _subscribe(setup)
    target = path.parent / f"{role}-{os.getpid()}.json"
    scratch = target.with_suffix(".part")
    scratch.write_text(json.dumps(asdict(report)))
    scratch.rename(target)
    if role == "publisher" and not setup.is_steered:
        time.sleep(LINGER_S)
    # Some peers' threads cannot be joined while frames are on their way.
    os._exit(0)


def _publish(setup: Setup) -> PublisherReport:
    case = setup.case
    pictures = np.load(Path(setup.folder) / "pictures.npy")
    publisher: Publisher = load(KINDS[case.peer].publisher)(setup)
    if setup.is_steered:
        print("ready", flush=True)
        sys.stdin.readline()
    cpu_from_s, sent = cpu_s(), 0
    for number in _numbers(case):
        if number == WARMUP_FRAMES:
            cpu_from_s, sent = cpu_s(), 0
        publisher.send(number, time.monotonic_ns(), pictures[number % len(pictures)])
        sent += 1
    report = PublisherReport(frames=sent, cpu_ms=(cpu_s() - cpu_from_s) * 1e3 / max(1, sent))
    if setup.is_steered:
        sys.stdin.readline()  # until all subscribers are done, its queues must be served
        publisher.close()
    return report


def _numbers(case: Case) -> Iterator[int]:
    """Frame numbers at the case's rate; unpaced until standard input has a line."""
    if not case.rate_hz:
        number = 0
        while not select.select([sys.stdin], [], [], 0)[0]:
            yield from range(number, number + UNPACED_TURN)
            number += UNPACED_TURN
        return
    due_s = time.perf_counter() + 0.01
    for number in range(WARMUP_FRAMES + case.frames):
        time.sleep(max(0.0, due_s - time.perf_counter()))
        due_s += 1 / case.rate_hz
        yield number


def _subscribe(setup: Setup) -> SubscriberReport:
    case = setup.case
    subscriber: Subscriber = load(KINDS[case.peer].subscriber)(setup)
    if setup.is_steered:
        print("ready", flush=True)
    meter = Meter(setup.checksums if KINDS[case.peer].is_exact else [])
    _consume(case, subscriber, meter)
    if setup.is_steered:
        subscriber.close()
    return meter.report()


def _consume(case: Case, subscriber: Subscriber, meter: Meter) -> None:
    """Receive until the last frame, until nothing comes, or until time is up."""
    until_s = time.monotonic() + FIRST_FRAME_S
    has_any = False
    while time.monotonic() < until_s:
        frame = subscriber.receive(IDLE_S)
        if frame is None:
            if has_any:
                return
            continue
        if not has_any:
            has_any = True
            until_s = time.monotonic() + (case.seconds + IDLE_S if case.rate_hz else 300.0)
        if not meter.note(frame):
            continue
        if frame.number == WARMUP_FRAMES + case.frames - 1 and case.rate_hz:
            return
        if case.checked_frames and meter.checked >= case.checked_frames:
            return
        if case.busy_s:
            time.sleep(case.busy_s)


if __name__ == "__main__":
    main()

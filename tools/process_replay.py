"""Replay a recording through a real worker, frame by frame, and compare what it answers.

    python tools/process_replay.py            # what differs from tests/replay/reference.json
    python tools/process_replay.py --update   # write the answers of now as the new reference

Each frame is sent when all answers about the one before it have come, so that the load of the
machine changes nothing. Everything is compared, field by field, except times and what is
different in every run (sessions, hosts). A change of the reference needs a commit of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import yaml

import molmo_node
from molmo_node.bus.address import node_address
from molmo_node.bus.frames import FramePublisher
from molmo_node.bus.host import host_id
from molmo_node.bus.lock import NodeEntry, NodeLock
from molmo_node.bus.rundir import ensure_run_dir
from molmo_node.bus.sockets import Transport
from molmo_node.client import Client, Subscription
from molmo_node.clock import SYSTEM_CLOCK
from molmo_node.errors import DeadlineExceeded, ProtocolError
from molmo_node.messages import Answer, Question
from molmo_node.recording.frames import RecordedFrame, recorded_frames
from molmo_node.recording.reader import Recording
from molmo_node.recording.summary import summarize

FOLDER = Path(__file__).parents[1] / "tests" / "replay"
START_S = 60.0
ANSWER_S = 60.0
SEEN_S = 0.5
# The script's first answer: an engine has it at once.
QUICK = Question.point("red mug")
# Frames come no faster than the watches are asked, or a watch would pass one over.
PERIOD_S = 0.05
# Of a number's size: what other processors' rounding may change; far below what a reader sees.
SAME = 1e-4
IN_EVERY_RUN_ANOTHER = {"timing_ms": None, "frame": ("session", "mono_ns", "host")}


def answers_to(recording: Path, settings: Path, script: Path) -> list[dict[str, Any]]:
    """Every answer about every frame, in the order of frames and of watches' names."""
    wanted = yaml.safe_load(settings.read_text())
    asked: dict[str, set[str]] = {}
    for watch in wanted["watches"]:
        asked.setdefault(watch["camera"], set()).add(watch["name"])
    found: list[Answer] = []
    with tempfile.TemporaryDirectory(prefix="mn-") as folder, contextlib.ExitStack() as closing:
        run_dir = ensure_run_dir(Path(folder) / "run")
        config = Path(folder) / "settings.yaml"
        worker = {"model": f"scripted:{script}"}
        gauges = {"folder": str(Path(molmo_node.__file__).parent / "examples" / "gauges")}
        config.write_text(yaml.safe_dump({**wanted, "worker": worker, "gauges": gauges}))
        cameras = closing.enter_context(_cameras(run_dir, sorted(asked)))
        closing.enter_context(_worker(run_dir, config))
        client = closing.enter_context(Client(run_dir=run_dir, connect_s=START_S))
        answers = closing.enter_context(client.answers())
        frames = _frames(recording)
        _wait_for_worker(client, cameras)
        _wait_for_answers(client, answers, frames[0].body)
        for frame in frames:
            _send(cameras[frame.header.ref.camera], frame)
            found += _answers(answers, frame, asked[frame.header.ref.camera])
    return [_comparable(answer) for answer in found]


def differences(found: list[dict[str, Any]], reference: list[dict[str, Any]]) -> list[str]:
    """Every field that is not as in the reference, one a line; empty: all the same."""
    lines = []
    if len(found) != len(reference):
        lines.append(f"{len(found)} answers, expected {len(reference)}")
    for one, other in zip(found, reference, strict=False):
        frame = one["frame"]
        name = f"{frame['camera']} #{frame['seq']} {one['watch']}"
        lines += [f"{name}: {line}" for line in _different(one, other, "")]
    return lines


def _different(found: Any, expected: Any, where: str) -> Iterator[str]:
    if isinstance(found, dict) and isinstance(expected, dict):
        for key in sorted(found.keys() | expected.keys()):
            yield from _different(found.get(key), expected.get(key), f"{where}.{key}".lstrip("."))
    elif isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        for number, pair in enumerate(zip(found, expected, strict=True)):
            yield from _different(*pair, f"{where}[{number}]")
    elif not _is_same(found, expected):
        yield f"{where}: {found!r}, expected {expected!r}"


def _is_same(found: Any, expected: Any) -> bool:
    if isinstance(found, float) and isinstance(expected, float):
        return math.isclose(found, expected, rel_tol=SAME, abs_tol=SAME)
    return type(found) is type(expected) and bool(found == expected)


def _comparable(answer: Answer) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(answer))
    for name, members in IN_EVERY_RUN_ANOTHER.items():
        if members is None:
            del fields[name]
        else:
            for member in members:
                del fields[name][member]
    return fields


def _frames(path: Path) -> list[RecordedFrame]:
    """The frames of all cameras in the order in which they were recorded."""
    found: list[RecordedFrame] = []
    for camera in summarize(path).cameras:
        for frame in recorded_frames(Recording(path), camera):
            if isinstance(frame, ProtocolError):
                raise frame
            found.append(frame)
    return sorted(found, key=lambda frame: frame.log_ns)


@contextlib.contextmanager
def _cameras(run_dir: Path, names: list[str]) -> Iterator[dict[str, FramePublisher]]:
    """Publishers that a worker finds as if they were camera processes."""
    with contextlib.ExitStack() as closing:
        transport = Transport()
        closing.callback(transport.close)
        found = {}
        for name in names:
            node = f"camera.{name}"
            address = node_address(run_dir, node)
            lock = NodeLock(run_dir, NodeEntry(node, "camera", os.getpid(), address.text))
            closing.callback(lock.release)
            found[name] = FramePublisher(transport, address, name, _no_jpeg)
            closing.callback(found[name].close)
        yield found


def _no_jpeg(_: object) -> bytes:
    raise AssertionError("recorded frames are files already")


@contextlib.contextmanager
def _worker(run_dir: Path, config: Path) -> Iterator[None]:
    env = {**os.environ, "MOLMO_NODE_RUN_DIR": str(run_dir)}
    argv = [sys.executable, "-m", "molmo_node", "worker", "-c", str(config)]
    log = config.with_name("worker.log")
    with log.open("w") as file, subprocess.Popen(argv, env=env, stderr=file) as process:
        try:
            yield
        except Exception:
            print(log.read_text(), file=sys.stderr)
            raise
        finally:
            process.terminate()


def _wait_for_worker(client: Client, cameras: dict[str, FramePublisher]) -> None:
    until_s = time.monotonic() + START_S
    while True:
        is_heard = all(camera.has_subscriber() for camera in cameras.values())
        if is_heard and client.status().state == "ready":
            return
        if time.monotonic() > until_s:
            raise TimeoutError(f"no worker that listens to {', '.join(cameras)} came up")
        time.sleep(0.02)


def _wait_for_answers(client: Client, answers: Subscription[Answer], picture: bytes) -> None:
    """Until an answer to somebody reaches the subscription: from then on it misses none."""
    until_s = time.monotonic() + START_S
    while time.monotonic() < until_s:
        asked = client.query(QUICK, image=picture, timeout_s=START_S)
        with contextlib.suppress(DeadlineExceeded):
            while answers.get(SEEN_S).id != asked.id:
                pass
            return
    raise TimeoutError("the worker's answers do not come")


def _send(camera: FramePublisher, frame: RecordedFrame) -> None:
    time.sleep(PERIOD_S)
    ref = msgspec.structs.replace(
        frame.header.ref, session="replay", mono_ns=SYSTEM_CLOCK.mono_ns(), host=host_id()
    )
    header = msgspec.structs.replace(frame.header, ref=ref)
    camera.publish(header, np.frombuffer(frame.body, np.uint8))


def _answers(
    answers: Subscription[Answer], frame: RecordedFrame, watches: set[str]
) -> list[Answer]:
    """One answer of each watch about this frame."""
    found: dict[str, Answer] = {}
    while found.keys() != watches:
        try:
            answer = answers.get(ANSWER_S)
        except DeadlineExceeded as exc:
            missing = ", ".join(sorted(watches - found.keys()))
            raise DeadlineExceeded(f"{frame.header.ref}: no answer of {missing}") from exc
        about = (answer.frame.camera, answer.frame.seq)
        expected = (frame.header.ref.camera, frame.header.ref.seq)
        if about != expected:
            raise AssertionError(f"an answer about {about} while {expected} was asked about")
        found[answer.watch] = answer
    return [found[name] for name in sorted(found)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of bench.mcap and its rest")
    parser.add_argument("--update", action="store_true", help="write the new reference")
    args = parser.parse_args()
    folder = args.folder.absolute()
    found = answers_to(folder / "bench.mcap", folder / "settings.yaml", folder / "script.yaml")
    reference = folder / "reference.json"
    if args.update:
        reference.write_text(json.dumps(found, indent=1) + "\n")
        print(f"{reference}: {len(found)} answers")
        return 0
    lines = differences(found, json.loads(reference.read_text()))
    print("\n".join(lines) or f"{len(found)} answers as in {reference}")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())

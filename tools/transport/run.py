"""Runs one case as real processes and gathers what they report."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from tools.pictures import checksum, photo_like
from tools.transport.base import KINDS, Case, Setup
from tools.transport.meter import PublisherReport, SubscriberReport

ROOT = Path(__file__).resolve().parents[2]
PICTURES = 7  # prime to the ring's slots, so that an overwritten frame is another picture
READY_S = 60.0
PROCESS = "tools.transport.process"


class CaseFailed(Exception):
    """A case's processes did not come to an end; the text is what they said."""


@dataclass(frozen=True)
class CaseResult:
    """A case and its figures; `broker_cpu_ms` is that of a daemon, per frame, if there is one."""

    case: Case
    publisher: PublisherReport
    subscribers: list[SubscriberReport]
    broker_cpu_ms: float = 0.0

    @property
    def p50_ms(self) -> float:
        """The slowest subscriber's."""
        return max(report.p50_ms for report in self.subscribers)

    @property
    def p99_ms(self) -> float:
        """The slowest subscriber's."""
        return max(report.p99_ms for report in self.subscribers)

    @property
    def wrong(self) -> int:
        """Of all subscribers."""
        return sum(report.wrong for report in self.subscribers)


def missing(peer: str, python: str) -> str:
    """Why a peer cannot be run with this interpreter; empty if it can."""
    for module in KINDS[peer].needs:
        if python == sys.executable:
            is_there = importlib.util.find_spec(module) is not None
        else:
            probe = [python, "-c", f"import {module}"]
            is_there = subprocess.run(probe, cwd=ROOT, capture_output=True).returncode == 0
        if not is_there:
            return f"{module} is not installed"
    return ""


class Bench:
    """Holds the pictures of every size, and runs cases one after the other.

    Args:
        pythons: interpreters of peers that live in an environment of their own.
    """

    def __init__(self, folder: Path, pythons: dict[str, str]) -> None:
        self._folder = folder
        self._pythons = pythons
        self._checksums: dict[tuple[int, int], list[int]] = {}

    def python(self, peer: str) -> str:
        """The interpreter that runs this peer."""
        return self._pythons.get(peer, sys.executable)

    def run(self, case: Case) -> CaseResult:
        """Run a case.

        Raises:
            CaseFailed: a process did not start, or reported nothing.
        """
        with tempfile.TemporaryDirectory(prefix="bench-", dir=self._folder) as folder:
            setup = Setup(
                case,
                port=_free_port(),
                folder=folder,
                checksums=self._pictures(case, Path(folder)),
                is_steered=case.peer != "dora-rs",
            )
            setup.write()
            run = _run_steered if setup.is_steered else _run_dora
            broker_cpu_s = run(self.python(case.peer), setup)
            return _gather(case, Path(folder), broker_cpu_s)

    def _pictures(self, case: Case, folder: Path) -> list[int]:
        size = (case.width, case.height)
        shared = self._folder / f"{case.width}x{case.height}.npy"
        if size not in self._checksums:
            pictures = photo_like(*size, PICTURES)
            np.save(shared, pictures)
            self._checksums[size] = [checksum(picture) for picture in pictures]
        (folder / "pictures.npy").symlink_to(shared)
        return self._checksums[size]


def _run_steered(python: str, setup: Setup) -> float:
    case = setup.case
    with contextlib.ExitStack() as stack:
        publisher = stack.enter_context(_child(python, "publisher", setup))
        _wait_line(publisher, "ready", READY_S)
        subscribers = [
            stack.enter_context(_child(python, "subscriber", setup))
            for _ in range(case.subscribers)
        ]
        for subscriber in subscribers:
            _wait_line(subscriber, "ready", READY_S)
        _say(publisher)
        limit_s = case.seconds + READY_S if case.rate_hz else 400.0
        _wait_reports(setup, "subscriber", case.subscribers, limit_s)
        _say(publisher)
        _wait_reports(setup, "publisher", 1, READY_S)
    return 0.0


def _run_dora(python: str, setup: Setup) -> float:
    """Run the case as a dataflow; returns the CPU seconds of dora's own process."""
    folder, path = Path(setup.folder), setup.path
    queue_length = 1 if setup.case.busy_s else 4
    nodes: list[dict[str, Any]] = [_dora_node("publisher", python, path) | {"outputs": ["image"]}]
    for index in range(setup.case.subscribers):
        node = _dora_node("subscriber", python, path) | {"id": f"subscriber{index}"}
        node["inputs"] = {"image": {"source": "publisher/image", "queue_size": queue_length}}
        nodes.append(node)
    (folder / "flow.yml").write_text(json.dumps({"nodes": nodes}))
    dora = str(Path(python).with_name("dora"))
    with (folder / "dora.log").open("wb") as log:
        daemon = subprocess.Popen(
            [dora, "run", "flow.yml"], cwd=folder, env=_environment(), stdout=log, stderr=log
        )
    try:
        _wait_reports(setup, "subscriber", setup.case.subscribers, setup.case.seconds + READY_S)
        _wait_reports(setup, "publisher", 1, READY_S)
        times = psutil.Process(daemon.pid).cpu_times()
        return float(times.user + times.system)
    finally:
        _end(daemon)


def _dora_node(role: str, python: str, path: Path) -> dict[str, Any]:
    arguments = f"-m {PROCESS} {role} {path}"
    return {"id": role, "path": python, "args": arguments, "env": {"PYTHONPATH": str(ROOT)}}


@contextlib.contextmanager
def _child(python: str, role: str, setup: Setup) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [python, "-m", PROCESS, role, str(setup.path)],
        cwd=ROOT, env=_environment(), text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        _end(process)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def _environment() -> dict[str, str]:
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return {**os.environ, **threads, "PYTHONPATH": str(ROOT)}


def _end(process: subprocess.Popen[Any]) -> None:
    process.terminate()
    try:
        process.wait(8)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _say(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def _wait_line(process: subprocess.Popen[str], expected: str, within_s: float) -> None:
    assert process.stdout is not None
    until_s = time.monotonic() + within_s
    while select.select([process.stdout], [], [], max(0.0, until_s - time.monotonic()))[0]:
        line = process.stdout.readline()
        if line.strip() == expected:
            return
        if not line:
            break
    raise CaseFailed(f"a process did not say {expected!r} (exit code {process.poll()})")


def _wait_reports(setup: Setup, role: str, count: int, within_s: float) -> None:
    until_s = time.monotonic() + within_s
    while len(list(Path(setup.folder).glob(f"{role}-*.json"))) < count:
        if time.monotonic() > until_s:
            raise CaseFailed(f"no report of every {role} within {within_s:.0f} s")
        time.sleep(0.05)


def _gather(case: Case, folder: Path, broker_cpu_s: float) -> CaseResult:
    def read(role: str) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in sorted(folder.glob(f"{role}-*.json"))]

    publisher = PublisherReport(**read("publisher")[0])
    subscribers = [SubscriberReport(**fields) for fields in read("subscriber")]
    if any(report.checked == 0 for report in subscribers):
        raise CaseFailed("nothing arrived")
    broker_cpu_ms = broker_cpu_s * 1e3 / max(1, publisher.frames)
    return CaseResult(case, publisher, subscribers, broker_cpu_ms)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

"""Row 28: SIGTERM and Ctrl-C at any moment."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import psutil
import pytest
import yaml

from molmo_node.bus.ring import SHM_DIR
from molmo_node.errors import WorkerLost
from molmo_node.messages import Question
from tests.support.machine import count, within
from tests.support.stack import Process, Stack
from tests.support.waiting import wait_for

pytestmark = pytest.mark.process

MOMENTS = count("MOLMO_TEST_MOMENTS", 9)
SEED = count("MOLMO_TEST_SEED", 28)
LONGEST_S = 2.5  # start, load and first answers lie in it
STOP_S = 5.0
BEFORE_ANYTHING = (-signal.SIGTERM, -signal.SIGINT)
SCRIPT = {"load_s": 0.5, "answers": [{"task": "ask", "delay_s": 30}, {"reply": "here"}]}


def takes_signals(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


class Begun:
    """Whether our program runs: before it, Python itself takes Ctrl-C, and shows a trace."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._was_python = False

    def __call__(self) -> bool:
        pid = self._process.pid
        is_python = takes_signals(pid, signal.SIGINT)
        if takes_signals(pid, signal.SIGTERM) or (self._was_python and not is_python):
            return True
        self._was_python |= is_python
        return False


def start(stack: Stack, kind: str, camera: str) -> Process:
    if kind == "camera":
        return stack.start("one", "camera", "--name", camera, "--source", "pattern:320x240@30")
    script = stack.file("s.yaml", yaml.safe_dump(SCRIPT))
    settings = {
        "cameras": [{"name": camera, "source": "pattern:320x240@30"}],
        "worker": {"model": f"scripted:{script}"},
        "watches": [{"name": "mug", "task": "point", "text": "mug", "rate_hz": 10}],
    }
    return stack.start("one", kind, "-c", str(stack.file("c.yaml", yaml.safe_dump(settings))))


def left_behind(stack: Stack, camera: str, children: list[psutil.Process]) -> list[str]:
    files = [str(path) for path in stack.run_dir.rglob("*")]
    rings = [str(path) for path in SHM_DIR.glob(f"molmo-{os.getuid()}-{camera}-*")]
    _, orphans = psutil.wait_procs(children, timeout=1)
    return [*files, *rings, *(str(orphan) for orphan in orphans)]


@pytest.mark.timeout(30 + 12 * MOMENTS)
def test_any_moment_is_a_good_one_to_stop(stack: Stack) -> None:
    rng, longest_s = random.Random(SEED), 0.0
    for number in range(MOMENTS):
        kind = ("up", "worker", "camera")[number % 3]
        signal_number = rng.choice([signal.SIGTERM, signal.SIGINT])
        after_s, camera = rng.uniform(0, LONGEST_S), f"moment-{os.getpid()}-{number}"
        what = f"{kind}, {signal_number.name} after {after_s:.2f} s"
        process = start(stack, kind, camera)
        wait_for(Begun(process), 10, f"the program's first line ({what})")
        begun_s = time.monotonic()
        wait_for(lambda: time.monotonic() - begun_s > after_s, 10, "the moment")  # noqa: B023

        children = psutil.Process(process.pid).children(recursive=True)
        process.send(signal_number)
        from_s = time.monotonic()
        code = process.wait(within_s=20)
        longest_s = max(longest_s, time.monotonic() - from_s)

        is_early = code in BEFORE_ANYTHING and not process.output
        assert is_early or code in (0, 130), f"{what}: exit {code}\n{process.output}"
        assert "Traceback" not in process.output, f"{what}\n{process.output}"
        assert left_behind(stack, camera, children) == [], what
    within(f"longest of {MOMENTS} stops", longest_s, STOP_S)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_pending_questions_are_told_of_the_shutdown(stack: Stack, number: signal.Signals) -> None:
    stack.camera()
    worker = stack.worker(SCRIPT)
    client = stack.client()
    stack.wait_ready(client, "front")
    pending = [client.submit(Question.ask("slow"), timeout_s=60)]
    stack.wait_status(client, lambda status: status.state == "busy")
    pending += [client.submit(Question.point("mug"), timeout_s=60) for _ in range(3)]
    stack.wait_status(client, lambda status: status.queue_length == 3)

    worker.send(number)
    from_s = time.monotonic()
    for one in pending:
        with pytest.raises(WorkerLost, match="shutting down"):
            one.result(timeout_s=5)
    told_s = time.monotonic() - from_s

    assert worker.wait() == (130 if number == signal.SIGINT else 0)
    stopped_s = time.monotonic() - from_s
    assert "Traceback" not in worker.output
    within("all told of the shutdown", told_s, 1.0)
    within("worker stopped", stopped_s, STOP_S)

"""A supervisor as a process: what SIGTERM, Ctrl-C and SIGKILL do to it and its children."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from supervised import SLEEPER, wait_until

pytestmark = pytest.mark.process

PROGRAM = Path(__file__).with_name("program.py")
ROOT = PROGRAM.parents[2]


class Program:
    """program.py with two sleeping children, both up."""

    def __init__(self) -> None:
        sleeper = [sys.executable, "-c", SLEEPER]
        processes = [["camera", sleeper, []], ["worker", sleeper, ["camera"]]]
        self.popen = subprocess.Popen(
            [sys.executable, str(PROGRAM), json.dumps(processes)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.pids: list[int] = []
        while len(self.pids) < 2:
            event = json.loads(self.popen.stdout.readline())
            if event["kind"] == "started":
                self.pids.append(event["pid"])
        for _ in range(2):
            assert self.popen.stderr.readline().endswith(" | up\n")

    def end(self, number: signal.Signals) -> tuple[float, str, str]:
        from_s = time.monotonic()
        self.popen.send_signal(number)
        out, err = self.popen.communicate(timeout=10)
        return time.monotonic() - from_s, out, err


@pytest.fixture
def program():
    program = Program()
    yield program
    program.popen.kill()
    program.popen.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_with_code_0_and_no_trace(program, number):
    took_s, out, err = program.end(number)

    assert program.popen.returncode == 0
    assert took_s < 5.0
    assert json.loads(out.splitlines()[-1]) == {"code": 0, "signal": number}
    stopped = [event["name"] for line in out.splitlines()[:-1] if (event := json.loads(line))]
    assert stopped[-2:] == ["worker", "camera"]
    assert err == "" or "KeyboardInterrupt" in err  # a sleeping Python child says so by itself
    assert not any(psutil.pid_exists(pid) for pid in program.pids)


def test_children_die_with_a_killed_supervisor(program):
    took_s, _, _ = program.end(signal.SIGKILL)

    wait_until(
        lambda: not any(psutil.pid_exists(pid) for pid in program.pids),
        "the end of both children",
        within_s=2.0 - took_s,
    )

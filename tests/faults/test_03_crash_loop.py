"""Row 3: the model cannot be loaded, again and again."""

from __future__ import annotations

import os
import time

import psutil
import pytest

from tests.support.stack import Stack
from tests.support.waiting import wait_for

pytestmark = pytest.mark.process

WATCH_S = float(os.environ.get("MOLMO_TEST_CRASH_LOOP_S", "9"))
STARTS_A_MINUTE = 6
# A few starts weigh more in a short watch than in a minute; a spin would take a whole core.
CPU_SHARE = 0.05 if WATCH_S >= 60 else 0.3


def test_crash_loop_is_slow_quiet_and_explained(stack: Stack) -> None:
    script = stack.file("s.yaml", "load_fault: weights.safetensors is cut short")
    up = stack.up(
        {
            "processes": [{"name": "worker", "command": ["worker"]}],
            "worker": {"model": f"scripted:{script}"},
        }
    )
    wait_for(lambda: "worker: started" in up.output, 20, "the first start")

    supervisor, begun_s = psutil.Process(up.pid), time.monotonic()
    before_s = cpu_s(supervisor)
    wait_for(lambda: time.monotonic() - begun_s > WATCH_S, WATCH_S + 5, "the time to pass")
    took_s = time.monotonic() - begun_s
    share = (cpu_s(supervisor) - before_s) / took_s
    starts = up.output.count("worker: started")

    assert up.is_alive()
    assert 3 <= starts <= STARTS_A_MINUTE * max(1.0, took_s / 60)
    delays = [line.split("again in ")[1] for line in up.output.splitlines() if "again in" in line]
    assert delays[:3] == ["0 s)", "1 s)", "2 s)"]
    told = up.output[up.output.index("worker: failed") :].splitlines()
    lines = [line for line in told[1:] if line.startswith("  worker | ")]
    assert any("weights.safetensors is cut short" in line for line in lines)
    assert len(lines) <= 50
    print(f"{starts} starts in {took_s:.0f} s, supervisor at {share:.1%} of a core")
    assert share <= CPU_SHARE


def cpu_s(process: psutil.Process) -> float:
    """Processor time of the supervisor itself: its children are the model's loading."""
    times = process.cpu_times()
    return times.user + times.system

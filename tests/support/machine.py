"""Times judged fairly on a loaded machine: the figure first, then the load."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

import pytest

LATE_SLEEP_S = 0.003
LATE_WORST_S = 0.03
FAR_BEYOND = 8.0


def overload() -> str:
    """Why times cannot be judged now; empty on a calm machine.

    Sleeps of 2 ms are measured: who gets the processor late here was also late in the test.
    """
    late_s = []
    for _ in range(60):
        from_s = time.perf_counter()
        time.sleep(0.002)
        late_s.append(time.perf_counter() - from_s - 0.002)
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    median_s, worst_s = statistics.median(late_s), max(late_s)
    if median_s > LATE_SLEEP_S or worst_s > LATE_WORST_S or load > 1.5 * cores:
        return (
            f"overloaded machine: load {load:.1f} on {cores} cores,"
            f" sleeps late by {median_s * 1e3:.1f} ms (worst {worst_s * 1e3:.0f} ms)"
        )
    return ""


def within(what: str, measured_s: float, limit_s: float) -> None:
    """Hold a time to its limit; call it last, after everything that time has no part in.

    Beyond the limit the test is skipped on an overloaded machine, with figure and reason, and
    fails on a calm one; far beyond the limit it fails everywhere.
    """
    figure = f"{what}: {measured_s * 1e3:.1f} ms, at most {limit_s * 1e3:.0f} ms"
    print(figure)
    if measured_s <= limit_s:
        return
    reason = overload()
    if reason and measured_s <= FAR_BEYOND * limit_s:
        pytest.skip(f"{figure}; {reason}")
    pytest.fail(f"{figure}; {reason or 'calm machine'}")


def at_least(what: str, share: float, floor: float) -> None:
    """Hold a share that a late machine lowers to its floor; as `within`."""
    figure = f"{what}: {share:.1%}, at least {floor:.0%}"
    print(figure)
    if share >= floor:
        return
    reason = overload()
    if reason and share >= floor / 2:
        pytest.skip(f"{figure}; {reason}")
    pytest.fail(f"{figure}; {reason or 'calm machine'}")


def interpreter_start_s() -> float:
    """How long `molmo-node --version` takes here and now: what a start costs before any work."""
    from_s = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "molmo_node", "--version"], check=True, capture_output=True
    )
    return time.monotonic() - from_s


def count(variable: str, default: int) -> int:
    """How often a test repeats: `make soak` sets the variable to the full figure."""
    return int(os.environ.get(variable, default))

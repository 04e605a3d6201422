"""Row 24: the recorder is killed, as by a power cut."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from molmo_node.recording.summary import summarize
from tests.support.machine import within
from tests.support.stack import Stack
from tests.support.waiting import wait_for

# Waits end when what they wait for is there; the limits are for a machine that does much else.
pytestmark = [pytest.mark.process, pytest.mark.timeout(150)]

RATE_HZ = 30
LOST_S = 1.0


def test_killed_recorder_loses_no_more_than_its_last_second(stack: Stack, tmp_path: Path) -> None:
    out = tmp_path / "run.mcap"
    stack.camera(source=f"pattern:640x480@{RATE_HZ}")
    recorder = stack.start("record", "record", "--out", str(out))
    wait_for(
        lambda: out.exists() and out.stat().st_size > 400_000,
        60,
        f"some seconds of frames\n{stack.output()}",
    )

    recorder.send(signal.SIGKILL)
    killed_ns = time.time_ns()
    recorder.wait()

    found = summarize(out)
    assert found.damage
    repaired = stack.start("repair", "record", "repair", str(out))
    assert repaired.wait(within_s=60) == 0, repaired.output
    whole = summarize(tmp_path / "run.repaired.mcap")
    assert whole.damage == ""
    assert whole.topics == found.topics
    assert stack.processes["camera.front"].is_alive()
    info = stack.start("info", "record", "info", str(out))
    assert info.wait(within_s=60) == 1
    assert "next: molmo-node record repair" in info.output
    within("lost", (killed_ns - found.last_ns) / 1e9, LOST_S)

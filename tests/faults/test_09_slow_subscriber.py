"""Row 9: one of three subscribers stops for a while."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any

import psutil
import pytest

from tests.support.machine import at_least, within
from tests.support.stack import Stack
from tests.support.waiting import wait_for

pytestmark = pytest.mark.process

STOPPED_S = float(os.environ.get("MOLMO_TEST_STOPPED_S", "4"))
RATE_HZ = 30
SOURCE = f"pattern:400x250@{RATE_HZ}"  # 300 kB a frame
GROWTH_BYTES = 20 * 1024 * 1024
FRESH_S = 0.2
KEPT_SHARE = 0.99


class Watcher:
    """A subscriber process and what it has printed."""

    def __init__(self, stack: Stack, name: str, way: str) -> None:
        argv = [sys.executable, "-m", "tests.support.frame_watcher"]
        self.process = stack.run(name, [*argv, str(stack.run_dir), "front", way], keep_lines=4000)

    def frames(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in list(self.process.lines) if line.endswith("}\n")]

    def seq(self) -> int:
        """The newest frame's number, -1 before any."""
        frames = self.frames()
        return frames[-1]["seq"] if frames else -1


@pytest.mark.timeout(120)
@pytest.mark.parametrize("way", ["ring", "jpeg"])
def test_stopped_subscriber_disturbs_nobody_and_wakes_to_the_newest(stack: Stack, way: str) -> None:
    camera = stack.camera(source=SOURCE)
    wait_for(lambda: "camera.front" in stack.nodes(), 15, f"the camera\n{stack.output()}")
    slow, *others = [Watcher(stack, f"watcher{number}", way) for number in range(3)]
    wait_for(lambda: min(one.seq() for one in (slow, *others)) >= 10, 20, "three subscribers")
    publisher = psutil.Process(camera.pid)
    rss_bytes = publisher.memory_info().rss

    slow.process.send(signal.SIGSTOP)
    from_seq = others[0].seq()
    from_s = time.monotonic()
    wait_for(lambda: time.monotonic() - from_s > STOPPED_S, STOPPED_S + 5, "the time to pass")
    growth_bytes = publisher.memory_info().rss - rss_bytes
    to_seq, took_s = others[0].seq(), time.monotonic() - from_s
    slow.process.send(signal.SIGCONT)
    # The frame that it was working on when it was stopped does not count.
    wait_for(lambda: slow.seq() > from_seq + 3, 10, "a frame after waking")

    assert growth_bytes <= GROWTH_BYTES
    number = next(n for n, frame in enumerate(slow.frames()) if frame["seq"] > from_seq + 3)
    last, first = slow.frames()[number - 1 : number + 1]
    assert first["seq"] - last["seq"] > STOPPED_S * RATE_HZ / 2  # what it missed shows in seq
    print(f"{way}: publisher grew {growth_bytes / 1e6:.1f} MB")
    for one in others:
        share = share_received(one.frames(), from_seq, to_seq)
        at_least(f"{way}: another got, of {to_seq - from_seq} frames", share, KEPT_SHARE)
    kept = (to_seq - from_seq) / (RATE_HZ * took_s)
    at_least(f"{way}: publisher kept of its rate", kept, KEPT_SHARE)
    within(f"{way}: first frame after waking has age", first["age_ms"] / 1e3, FRESH_S)


def share_received(frames: list[dict[str, Any]], from_seq: int, to_seq: int) -> float:
    """What part of the frames from the one to the other a subscriber was given."""
    counts = [frame["received"] for frame in frames if from_seq <= frame["seq"] <= to_seq]
    return (counts[-1] - counts[0]) / (to_seq - from_seq)

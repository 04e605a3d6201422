"""Row 16: one client floods the worker while another asks one question at a time."""

from __future__ import annotations

import statistics
import threading
import time

import psutil
import pytest

from molmo_node.client import Client
from molmo_node.client.sync import Pending
from molmo_node.errors import Busy
from molmo_node.messages import Question
from tests.support.machine import count, within
from tests.support.stack import Stack
from tests.support.waiting import wait_for

pytestmark = pytest.mark.process

FLOOD = count("MOLMO_TEST_FLOOD", 1_000)
DELAY_S = 0.1
TIMES = 20
PAUSES_S = [DELAY_S * number / TIMES for number in range(TIMES)]  # all phases of the work
GROWTH_BYTES = 20 * 1024 * 1024


class Flood:
    """Asks `FLOOD` questions at once, again and again, until it is closed."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._is_stopping = threading.Event()
        self.asked = self.answered = 0
        self.refusals: list[Busy] = []
        self._thread = threading.Thread(target=self._run, name="flood")
        self._thread.start()

    def close(self) -> None:
        self._is_stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_stopping.is_set():
            flood = [self._client.submit(Question.point("mug"), timeout_s=30) for _ in range(FLOOD)]
            self.asked += len(flood)
            for pending in flood:
                self._note(pending)

    def _note(self, pending: Pending) -> None:
        try:
            pending.result()
            self.answered += 1
        except Busy as exc:
            self.refusals.append(exc)


def ask_s(client: Client, after_s: float) -> float:
    """How long an answer takes to somebody who asks by a clock of their own."""
    begun_s = time.monotonic()
    wait_for(lambda: time.monotonic() - begun_s >= after_s, 5, "the moment to ask")
    from_s = time.monotonic()
    assert client.point("mug", timeout_s=20).text == "here"
    return time.monotonic() - from_s


@pytest.mark.timeout(90)
def test_flood_of_one_does_not_starve_the_other(stack: Stack) -> None:
    stack.camera()
    worker = stack.worker({"answers": [{"delay_s": DELAY_S, "reply": "here"}]})
    quiet, loud = stack.client(), stack.client()
    stack.wait_ready(quiet, "front")
    usual_s = statistics.median(ask_s(quiet, after_s) for after_s in PAUSES_S)
    before_bytes = psutil.Process(worker.pid).memory_info().rss

    flood = Flood(loud)
    try:
        stack.wait_status(quiet, lambda status: status.queue_length > 4, what="the flood")
        flooded_s = statistics.median(ask_s(quiet, after_s) for after_s in PAUSES_S)
    finally:
        flood.close()

    growth_bytes = psutil.Process(worker.pid).memory_info().rss - before_bytes
    print(
        f"usual {usual_s * 1e3:.0f} ms, in the flood {flooded_s * 1e3:.0f} ms; {flood.asked} asked,"
        f" {flood.answered} answered, {len(flood.refusals)} busy, {growth_bytes / 1e6:.1f} MB more"
    )
    assert flood.asked == flood.answered + len(flood.refusals)
    assert flood.answered > 0
    assert len(flood.refusals) > FLOOD / 2
    assert all(refusal.wait_ms and refusal.wait_ms > 0 for refusal in flood.refusals)
    assert growth_bytes <= GROWTH_BYTES
    within("median answer to the other in the flood", flooded_s, 2 * usual_s)

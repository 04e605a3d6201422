"""Row 17: a deadline passes in the queue, or while the model works."""

from __future__ import annotations

import statistics
import time

import pytest

from molmo_node.client import Client
from molmo_node.errors import DeadlineExceeded
from molmo_node.messages import Question
from tests.support.machine import within
from tests.support.stack import Stack

pytestmark = pytest.mark.process

DEADLINE_S = 0.15
LATE_S = 0.1
TIMES = 20
SCRIPT = {"answers": [{"task": "ask", "delay_s": 30, "reply": "late"}, {"reply": "here"}]}


def overrun_s(client: Client, question: Question) -> float:
    """How long after its deadline a question is told that it passed."""
    from_s = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        client.query(question, timeout_s=DEADLINE_S)
    return time.monotonic() - from_s - DEADLINE_S


def start(stack: Stack) -> Client:
    stack.camera()
    stack.worker(SCRIPT)
    client = stack.client()
    stack.wait_ready(client, "front")
    return client


def test_deadline_in_the_model_stops_the_work(stack: Stack) -> None:
    client = start(stack)

    late_s = [overrun_s(client, Question.ask("slow")) for _ in range(TIMES)]

    from_s = time.monotonic()
    assert client.point("mug", timeout_s=10).text == "here"
    free_s = time.monotonic() - from_s
    counters = client.status().counters
    assert counters["deadline_exceeded"] == TIMES
    assert counters["jobs"] == TIMES + 1  # each was given to the model, and left by it
    within(
        f"median of {TIMES}, told after the deadline in the model",
        statistics.median(late_s),
        LATE_S,
    )
    within("the next question's answer", free_s, 0.5)


def test_deadline_in_the_queue_is_never_started(stack: Stack) -> None:
    client = start(stack)
    working = client.submit(Question.ask("slow"), timeout_s=60)
    stack.wait_status(client, lambda status: status.state == "busy")

    late_s = [overrun_s(client, Question.point("mug")) for _ in range(TIMES)]

    status = client.status()
    assert status.counters["deadline_exceeded"] == TIMES
    assert status.counters.get("jobs", 0) == 0
    assert status.queue_length == 0
    working.cancel()
    within(
        f"median of {TIMES}, told after the deadline in the queue",
        statistics.median(late_s),
        LATE_S,
    )


def test_late_answer_is_dropped_and_counted(stack: Stack) -> None:
    stack.camera()
    stack.worker({"answers": [{"delay_s": 0.6, "reply": "done"}]})
    client = stack.client()
    stack.wait_ready(client, "front")

    first = client.submit(Question.point("mug"), timeout_s=10)
    stack.wait_status(client, lambda status: status.state == "busy")
    kept = client.submit(Question.ask("kept"), timeout_s=10)
    short = client.submit(Question.ask("short"), timeout_s=0.9)  # in one batch with the one kept

    assert first.result(timeout_s=10).text == "done"
    with pytest.raises(DeadlineExceeded):
        short.result(timeout_s=10)
    assert kept.result(timeout_s=10).text == "done"
    counters = client.status().counters
    assert (counters["answered"], counters["late_answers"]) == (2, 1)

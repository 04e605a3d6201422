"""Row 1: the worker is killed while it works on a question."""

from __future__ import annotations

import os
import signal
import time

import pytest

from molmo_node.errors import WorkerLost
from molmo_node.messages import Question
from tests.support.stack import Stack
from tests.support.waiting import wait_for

pytestmark = pytest.mark.process

SLOW = {"answers": [{"task": "ask", "delay_s": 30, "reply": "late"}, {"reply": "here"}]}
SERVED_S = 0.6  # who served for half a second is in no crash loop, and starts again at once
KILLS = int(os.environ.get("MOLMO_TEST_KILLS", "10"))


def test_asker_is_told_within_a_quarter_second(stack: Stack) -> None:
    stack.camera()
    worker = stack.worker(SLOW)
    client = stack.client()
    stack.wait_ready(client, "front")
    pending = client.submit(Question.ask("slow"), timeout_s=60)
    stack.wait_status(client, lambda status: status.state == "busy")

    worker.send(signal.SIGKILL)

    with pytest.raises(WorkerLost):
        pending.result(timeout_s=0.25)


def test_waiting_questions_are_answered_by_the_next_worker(stack: Stack) -> None:
    stack.camera()
    worker = stack.worker(SLOW)
    client = stack.client()
    stack.wait_ready(client, "front")
    begun = client.submit(Question.ask("slow"), timeout_s=60)
    stack.wait_status(client, lambda status: status.state == "busy")
    waiting = [client.submit(Question.point("mug"), timeout_s=30) for _ in range(5)]
    stack.wait_status(client, lambda status: status.queue_length == 5)

    worker.send(signal.SIGKILL)
    worker.wait()
    stack.worker({**SLOW, "load_s": 0.7})  # who has waited already is not told that it loads

    with pytest.raises(WorkerLost):
        begun.result(timeout_s=1)
    assert [pending.result(timeout_s=20).text for pending in waiting] == ["here"] * 5


@pytest.mark.timeout(900)
def test_no_answer_is_lost_or_doubled_over_many_kills(stack: Stack) -> None:
    stack.up(
        {
            "cameras": [{"name": "front", "source": "pattern:320x240@30"}],
            "worker": {"model": f"scripted:{stack.file('s.yaml', 'answers: [{reply: here}]')}"},
        }
    )
    client = stack.client(retries=100, connect_s=20)
    stack.wait_ready(client, "front")

    restart_s = []
    for _ in range(KILLS):
        pid = stack.nodes()["worker"]
        pending = [client.submit(Question.point("mug"), timeout_s=60) for _ in range(8)]
        os.kill(pid, signal.SIGKILL)
        killed_s = time.monotonic()
        wait_for(lambda old=pid: stack.nodes().get("worker", old) != old, 40, "a new worker")
        restart_s.append(time.monotonic() - killed_s)
        assert [answer.result(timeout_s=40).text for answer in pending] == ["here"] * 8
        answered_s = time.monotonic()
        wait_for(lambda since=answered_s: time.monotonic() - since > SERVED_S, 5, "some service")

    print(f"{KILLS} kills, longest time to a new worker {max(restart_s):.2f} s")

"""Row 2: the worker lives and does nothing."""

from __future__ import annotations

import os
import signal
import time

import pytest

from molmo_node.errors import WorkerLost
from molmo_node.messages import Question
from tests.support.machine import within
from tests.support.stack import Stack
from tests.support.waiting import wait_for

pytestmark = pytest.mark.process

LONGEST_QUERY_S = 1.0
SILENT_S = 3.0  # how long a supervised node may say nothing
SCRIPT = "answers: [{task: ask, fault: hang}, {task: describe, delay_s: 20}, {reply: here}]"


def up(stack: Stack) -> None:
    stack.up(
        {
            "cameras": [{"name": "front", "source": "pattern:320x240@30"}],
            "worker": {
                "model": f"scripted:{stack.file('s.yaml', SCRIPT)}",
                "longest_query_s": LONGEST_QUERY_S,
            },
        }
    )


def test_engine_that_hangs_is_found_by_the_longest_query(stack: Stack) -> None:
    up(stack)
    client = stack.client(connect_s=20)
    stack.wait_ready(client, "front")
    hung_pid = stack.nodes()["worker"]

    begun_s = time.monotonic()
    hanging = client.submit(Question.ask("hang"), timeout_s=30)
    stack.wait_status(client, lambda status: status.state == "busy")
    waiting = client.submit(Question.point("mug"), timeout_s=30)
    with pytest.raises(WorkerLost):
        hanging.result(timeout_s=10)
    told_s = time.monotonic() - begun_s

    assert told_s > LONGEST_QUERY_S
    assert waiting.result(timeout_s=20).text == "here"
    assert stack.nodes()["worker"] != hung_pid
    within("asker told of a hung engine", told_s, LONGEST_QUERY_S + 1.0)


def test_worker_that_is_stopped_is_killed_and_replaced(stack: Stack) -> None:
    up(stack)
    client = stack.client(connect_s=20)
    stack.wait_ready(client, "front")
    pid = stack.nodes()["worker"]
    wait_for(lambda: "worker: ready" in stack.output(), 5, "the supervisor's word")
    begun = client.submit(Question.describe(), timeout_s=30)
    stack.wait_status(client, lambda status: status.state == "busy")

    os.kill(pid, signal.SIGSTOP)
    stopped_s = time.monotonic()
    with pytest.raises(WorkerLost):
        begun.result(timeout_s=20)
    told_s = time.monotonic() - stopped_s

    assert client.point("mug", timeout_s=20).text == "here"
    assert stack.nodes()["worker"] != pid
    assert "worker: killed hung" in stack.output()
    within("asker told of a stopped worker", told_s, SILENT_S + 1.0)

"""Row 18: a client is killed while the worker works for it."""

from __future__ import annotations

import signal
import sys
import time

import pytest

from molmo_node.messages import Status
from tests.support.machine import within
from tests.support.stack import Stack

pytestmark = pytest.mark.process

FREE_S = 1.0
WAITING = 12
SCRIPT = {"answers": [{"task": "ask", "delay_s": 60, "reply": "late"}, {"reply": "here"}]}


def test_killed_client_frees_the_engine_and_its_places(stack: Stack) -> None:
    stack.camera()
    stack.worker(SCRIPT)
    client = stack.client()
    stack.wait_ready(client, "front")
    argv = [sys.executable, "-m", "tests.support.asker", str(stack.run_dir), str(WAITING)]
    asker = stack.run("asker", argv)
    stack.wait_status(client, lambda status: status.state == "busy" and status.queue_length > 0)

    with client.statuses() as statuses:
        asker.send(signal.SIGKILL)
        killed_s = time.monotonic()
        status = statuses.get(5)
        while not is_free(status):
            status = statuses.get(5)
        freed_s = time.monotonic() - killed_s

    assert status.counters["client_gone"] >= 1
    assert client.point("mug", timeout_s=5).text == "here"
    assert client.status().counters.get("answered") == 1
    within("a killed client's places are free after", freed_s, FREE_S)


def is_free(status: Status) -> bool:
    return status.node == "worker" and status.state == "ready" and status.queue_length == 0

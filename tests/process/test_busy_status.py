"""What a worker says of itself while it works."""

from __future__ import annotations

import pytest

from molmo_node.messages import Question
from tests.support.stack import Stack

pytestmark = pytest.mark.process

AT_ONCE = {"answers": [{"reply": "here"}]}
ANSWERS = 20


def test_short_jobs_do_not_flicker_through_the_status(stack: Stack) -> None:
    stack.camera()
    stack.worker(AT_ONCE)
    client = stack.client()
    first = stack.wait_ready(client, "front")

    for _ in range(ANSWERS):
        client.query(Question.point("mug"))

    # Each change of state is a status of its own, and counts.
    last = client.status()
    assert last.state == "ready"
    assert last.counters["answered"] == ANSWERS
    assert last.seq - first.seq < ANSWERS

"""Row 11: who joins late knows the state of every node at once."""

from __future__ import annotations

import statistics
import time

import pytest

from molmo_node.client import Client
from tests.support.machine import count, within
from tests.support.stack import Stack

pytestmark = pytest.mark.process

JOINS = count("MOLMO_TEST_JOINS", 200)
SNAPSHOT_S = 0.1


def join_s(client: Client, nodes: set[str]) -> float:
    """How long until a new subscriber has a status of each node."""
    from_s = time.monotonic()
    with client.statuses() as statuses:
        missing = set(nodes)
        while missing:
            missing.discard(statuses.get(timeout_s=5).node)
    return time.monotonic() - from_s


def test_no_snapshot_is_lost_in_many_joins(stack: Stack) -> None:
    stack.camera()
    stack.worker({"answers": [{"reply": "here"}]})
    client = stack.client()
    stack.wait_ready(client, "front")

    took_s = [join_s(client, {"worker", "camera.front"}) for _ in range(JOINS)]

    late = sum(took > SNAPSHOT_S for took in took_s)
    print(f"{JOINS} joins, slowest {max(took_s) * 1e3:.0f} ms, {late} over {SNAPSHOT_S} s")
    within(f"{JOINS} joins, median until all snapshots", statistics.median(took_s), SNAPSHOT_S)


def test_late_subscriber_gets_the_stream_after_the_snapshot(stack: Stack) -> None:
    stack.camera()
    stack.worker({"answers": [{"reply": "here"}]})
    client = stack.client()
    stack.wait_ready(client, "front")

    with client.statuses() as statuses:
        seen = [
            status for status in (statuses.get(5) for _ in range(12)) if status.node == "worker"
        ]

    assert len({status.session for status in seen}) == 1
    assert [status.seq for status in seen] == sorted({status.seq for status in seen})

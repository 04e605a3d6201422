"""`/health`: what a node says of itself becomes ready, degraded or not ready."""

from __future__ import annotations

import msgspec
import pytest

from molmo_node.client.view import NodeView
from molmo_node.web.health import as_json, health_of
from tests.support import said
from tests.support.clocks import FakeClock

DEAD = msgspec.structs.replace(said.HERTZ_10, alive=False)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def view(clock):
    return NodeView(clock)


@pytest.mark.parametrize(
    ("said_by_worker", "state", "detail"),
    [
        ({}, "ready", "ready"),
        ({"state": "busy"}, "ready", "ready"),
        ({"state": "loading", "load_pct": 43.2}, "loading", "loading 43 %"),
        ({"state": "loading"}, "loading", "loading"),
        ({"state": "starting"}, "loading", "starting"),
        ({"counters": {"model_error": 3}}, "failing", "failed on the last 3 questions"),
        ({"counters": {"model_error": 2}}, "ready", "ready"),
        ({"cameras": (DEAD,)}, "degraded", "camera front: no frame comes"),
        ({"state": "failed", "detail": "no memory"}, "lost", "no memory"),
    ],
)
def test_the_workers_words_decide(view, said_by_worker, state, detail):
    view.note(said.worker(**said_by_worker))

    found = health_of(view)

    assert found.state == state
    assert detail in found.detail
    assert found.is_ready == (state in ("ready", "degraded"))


def test_a_worker_that_was_never_heard_and_one_that_fell_silent_are_lost(view, clock):
    assert health_of(view).state == "lost"
    view.note(said.worker())
    clock.advance(2.5)

    assert health_of(view).detail == "the worker is silent for 2.5 s (ready)"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"state": "degraded", "detail": "broker away"}, "sink.mqtt: broker away"),
        ({"state": "ready"}, ""),
        ({"state": "stopped"}, ""),
        ({"state": "failed", "detail": "no disk"}, "sink.mqtt: silent for 0.0 s"),
    ],
)
def test_a_sink_that_is_not_well_degrades_the_node(view, fields, reason):
    view.note(said.worker(cameras=()))
    view.note(said.worker(node="sink.mqtt", kind="client", cameras=(), **fields))

    assert health_of(view).reasons == ((reason,) if reason else ())


def test_json_leaves_out_what_a_silent_worker_said(view, clock):
    view.note(said.worker(tasks=("ask",)))
    assert as_json(health_of(view), view)["model"] == "tiny"
    clock.advance(3)

    told = as_json(health_of(view), view)

    assert (told["model"], told["queue_length"], told["ready"]) == (None, None, False)
    assert told["cameras"][0]["alive"] is False

"""What is remembered of nodes, cameras and watches, and for how long it holds."""

from __future__ import annotations

import msgspec
import pytest

from molmo_node.client.view import REMEMBERED, NodeView, overdue_s
from tests.support import said
from tests.support.clocks import FakeClock


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def view(clock):
    return NodeView(clock)


def front(view):
    return next(camera for camera in view.cameras() if camera.name == "front")


def test_a_node_that_falls_silent_is_lost_after_two_seconds(view, clock):
    view.note(said.worker())
    clock.advance(1.9)
    assert not view.worker().is_lost
    clock.advance(0.2)
    assert view.worker().is_lost


@pytest.mark.parametrize("state", ["stopped", "failed"])
def test_a_node_that_says_it_ends_is_lost_at_once(view, state):
    view.note(said.worker(state=state))

    assert view.worker().is_lost


def test_a_camera_lives_while_everybody_heard_says_so(view):
    view.note(said.camera())
    view.note(said.worker())
    assert front(view).is_alive

    dead = msgspec.structs.replace(said.HERTZ_10, alive=False)
    view.note(said.camera(health=dead, detail="cable pulled"))

    assert (front(view).is_alive, front(view).reason) == (False, "cable pulled")


def test_a_camera_whose_frames_do_not_reach_the_worker_is_not_alive(view):
    view.note(said.camera())
    view.note(said.worker(cameras=(msgspec.structs.replace(said.HERTZ_10, alive=False),)))

    assert (front(view).is_alive, front(view).reason) == (False, "no frame comes")


def test_a_camera_that_nobody_speaks_of_any_more_is_not_alive_and_keeps_its_last_frame(view, clock):
    view.note(said.camera(last_frame_ns=77))
    clock.advance(3)

    assert front(view).is_alive is False
    assert front(view).reason == "nothing is heard of it"
    assert front(view).last_frame_ns == 77


def test_the_last_frame_is_dated_by_its_age_where_only_the_worker_speaks(view):
    health = msgspec.structs.replace(said.HERTZ_10, age_ms=500.0)
    view.note(said.worker(cameras=(health,), stamp_ns=2_000_000_000))

    assert front(view).last_frame_ns == 1_500_000_000


def test_answers_hold_until_three_periods_have_passed_without_one(view, clock):
    view.note(said.worker())
    view.note(said.read(4.2))

    for _ in range(4):
        clock.advance(1)
        view.note(said.worker())
    assert [seen.answer.reading.value for seen in view.current_answers()] == [4.2]
    clock.advance(1.5)
    view.note(said.worker())
    assert view.current_answers() == []


def test_answers_of_a_watch_that_ended_or_of_a_lost_worker_do_not_hold(view, clock):
    view.note(said.worker())
    view.note(said.read(4.2))
    view.note(said.worker(watches=()))
    assert view.current_answers() == []

    view.note(said.worker())
    clock.advance(2.1)
    assert view.current_answers() == []


def test_slow_cameras_and_slow_engines_are_given_their_time():
    assert overdue_s(said.BOILER, None, 0.0) == 5.0
    assert overdue_s(said.BOILER, 0.1, 0.0) == 32.0
    assert overdue_s(said.BOILER, 10.0, 4.0) == 14.0


def test_failures_count_from_the_last_success(view):
    def failures(**counters):
        view.note(said.worker(counters=counters))
        return view.worker().failures

    assert failures(model_error=2) == 2
    assert failures(model_error=2, answered=1) == 0
    assert failures(model_error=4, answered=1, watch_model_error=1) == 3
    assert failures(model_error=4, watch_answers=1, answered=1, watch_model_error=1) == 0


def test_failures_before_we_listened_do_not_count_where_something_was_answered(view):
    view.note(said.worker(counters={"model_error": 9, "answered": 1}))
    assert view.worker().failures == 0
    view.note(said.worker(session="new", counters={"model_error": 1}))
    assert view.worker().failures == 1


def test_memory_is_bounded(view):
    for number in range(REMEMBERED + 10):
        view.note(said.worker(node=f"n{number}"))
        view.note(msgspec.structs.replace(said.read(1.0), watch=f"w{number}"))

    assert len(view.nodes()) == len(view.answers()) == REMEMBERED
    assert len(view._failed) <= REMEMBERED

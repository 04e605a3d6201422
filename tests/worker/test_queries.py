"""The queue is bounded, takes turns between clients, and knows what it has seen."""

from __future__ import annotations

import pytest

from molmo_node.bus import limits
from molmo_node.errors import Busy, ProtocolError
from molmo_node.messages import Query, Question
from molmo_node.worker.queries import Asked, QueryQueue

QUESTION = Question.point("mug")


def asked(client, number, image=None):
    query = Query(id=f"{client}-{number}", question=QUESTION)
    return Asked(client.encode(), query, arrived_ns=0, deadline_ns=1, image=image)


def ids(taken):
    return [one.query.id for one in taken]


def fill(queue, client, count):
    for number in range(count):
        queue.add(asked(client, number))


def test_questions_of_one_client_come_out_in_their_order():
    queue = QueryQueue()
    fill(queue, "a", 3)
    assert ids(queue.take(lambda _: True, 2)) == ["a-0", "a-1"]
    assert ids(queue.take(lambda _: True, 2)) == ["a-2"]
    assert len(queue) == 0


def test_a_flood_takes_one_place_beside_another_client():
    queue = QueryQueue()
    fill(queue, "flood", 10)
    fill(queue, "quiet", 1)
    assert ids(queue.take(lambda _: True, 8)) == ["flood-0", "quiet-0"]


def test_clients_take_turns():
    queue = QueryQueue()
    fill(queue, "a", 2)
    fill(queue, "b", 2)
    taken = [ids(queue.take(lambda _: True, 1)) for _ in range(4)]
    assert taken == [["a-0"], ["b-0"], ["a-1"], ["b-1"]]


def test_a_question_that_is_not_ready_lets_later_ones_pass():
    queue = QueryQueue()
    fill(queue, "a", 3)
    assert ids(queue.take(lambda one: one.query.id != "a-0", 8)) == ["a-1", "a-2"]
    assert ids(queue) == ["a-0"]


def test_the_place_in_the_queue_is_told():
    queue = QueryQueue()
    assert [queue.add(asked(client, 0)) for client in "abc"] == [0, 1, 2]


def test_a_full_queue_says_when_to_come_again():
    queue = QueryQueue(most=1)
    fill(queue, "a", 1)
    with pytest.raises(Busy) as caught:
        queue.add(asked("b", 0), wait_ms=30.0)
    assert caught.value.wait_ms == 30.0


def test_one_client_cannot_take_every_place():
    queue = QueryQueue(most_per_client=2)
    fill(queue, "a", 2)
    with pytest.raises(Busy, match="of yours"):
        queue.add(asked("a", 2))
    queue.add(asked("b", 0))


def test_only_so_many_clients_may_wait():
    queue = QueryQueue(most=1000)
    for number in range(limits.CLIENTS):
        queue.add(asked(f"c{number}", 0))
    with pytest.raises(Busy, match="clients"):
        queue.add(asked("late", 0))


def test_waiting_pictures_are_bounded_in_bytes():
    queue = QueryQueue()
    picture = ("jpeg", bytes(limits.FRAME_BYTES))
    for number in range(limits.PICTURES_WAITING_BYTES // limits.FRAME_BYTES):
        queue.add(asked("a", number, picture))
    with pytest.raises(Busy, match="pictures"):
        queue.add(asked("b", 0, picture))
    queue.add(asked("b", 1))


def test_a_question_is_taken_once():
    queue = QueryQueue()
    fill(queue, "a", 1)
    queue.take(lambda _: True, 1)
    with pytest.raises(ProtocolError, match="used before"):
        queue.add(asked("a", 0))


def test_a_question_that_was_refused_may_be_asked_again():
    queue = QueryQueue(most=1)
    fill(queue, "a", 1)
    with pytest.raises(Busy):
        queue.add(asked("b", 0))
    queue.take(lambda _: True, 1)
    assert queue.add(asked("b", 0)) == 0


def test_removed_questions_leave_nothing_behind():
    queue = QueryQueue()
    fill(queue, "a", 2)
    fill(queue, "b", 1)
    assert ids(queue.remove(lambda one: one.client == b"a")) == ["a-0", "a-1"]
    assert ids(queue.take(lambda _: True, 8)) == ["b-0"]
    assert queue.remove(lambda _: True) == []

"""Subscriptions give what passes their filters, once, and end when nothing comes."""

from __future__ import annotations

import asyncio
import os

import msgspec
import pytest

from molmo_node.bus import wire
from molmo_node.bus.address import node_address
from molmo_node.bus.broadcast import Broadcaster
from molmo_node.bus.lock import NodeEntry, NodeLock
from molmo_node.bus.poll import soonest_ms
from molmo_node.bus.topics import answer_key
from molmo_node.client import AsyncClient, Client
from molmo_node.client.subscription import (
    answer_prefix,
    answer_stream,
    fits,
    status_stream,
)
from molmo_node.errors import DeadlineExceeded
from molmo_node.messages import Status
from tests.support import samples
from tests.support.waiting import wait_for


def answer(seq=1, watch="mug", camera="front", session="s", task="point", query_id=""):
    frame = msgspec.structs.replace(samples.REF, camera=camera, session=session, seq=seq)
    return msgspec.structs.replace(samples.ANSWER, id=query_id, watch=watch, frame=frame, task=task)


def accept(stream, *messages):
    return [stream.accept([b"key", wire.encode(one)]) is not None for one in messages]


def test_a_watchs_answers_are_taken_once_and_in_their_order():
    stream = answer_stream()
    assert accept(stream, *[answer(seq) for seq in (1, 3, 2, 3, 4)]) == [1, 1, 0, 0, 1]
    assert stream.repeated == 2


def test_watches_cameras_and_sessions_do_not_disturb_each_other():
    stream = answer_stream()
    others = [answer(5), answer(1, watch="cup"), answer(1, camera="left"), answer(1, session="t")]
    assert all(accept(stream, *others))


def test_one_shot_answers_come_in_any_order_and_once():
    stream = answer_stream()
    shots = [answer(seq, watch="", query_id=f"q{seq}") for seq in (2, 1, 2)]
    assert accept(stream, *shots) == [1, 1, 0]


def test_ten_thousand_replayed_messages_are_all_dropped():
    stream = status_stream()
    told = [msgspec.structs.replace(samples.STATUS, seq=seq) for seq in range(1, 101)]
    raws = [[b"status/worker", wire.encode(one)] for one in told]
    assert all(stream.accept(raw) for raw in raws)
    for _ in range(100):
        assert not any(stream.accept(raw) for raw in raws)
    assert stream.repeated == 10_000


def test_what_is_no_message_is_counted():
    stream = answer_stream()
    for parts in ([], [b"key"], [b"key", b"junk"], [b"key", b"", b""]):
        assert stream.accept(parts) is None
    assert stream.rejected == 4


@pytest.mark.parametrize(
    ("filters", "prefix"),
    [
        ((None, None, None), b"answer/"),
        (("front", None, None), b"answer/front/"),
        (("front", "ask", None), b"answer/front/ask/"),
        (("front", "ask", "w"), b"answer/front/ask/w"),
        ((None, "ask", "w"), b"answer/"),
    ],
)
def test_the_longest_prefix_is_subscribed(filters, prefix):
    assert answer_prefix(*filters) == prefix


def test_filters_see_to_what_the_prefix_lets_through():
    one = answer(watch="mug")
    assert fits(one, None, None, None)
    assert fits(one, "front", "point", "mug")
    assert not fits(one, None, None, "mug2")
    assert not fits(one, "left", None, None)
    assert not fits(one, None, "ask", None)


@pytest.mark.parametrize(
    ("first", "second", "soonest"),
    [(None, None, None), (1.2, None, 2), (None, 5, 5), (7.0, 5, 5), (0.0, None, 0)],
)
def test_the_shorter_wait_counts(first, second, soonest):
    assert soonest_ms(first, second) == soonest


@pytest.fixture
def out(transport, run_dir):
    made = Broadcaster(transport, node_address(run_dir, "worker"), "worker", "worker")
    yield made
    made.close()


def publish_until(out, received):
    seq = 0

    def has_come():
        nonlocal seq
        seq += 1
        out.welcome()
        one = answer(seq)
        out.publish(answer_key("front", "point", "mug"), one)
        return received()

    wait_for(has_come, 5, "an answer")


def test_a_subscriber_gets_its_answers_and_a_deadline_when_none_come(out, run_dir):
    with Client(run_dir=run_dir) as client, client.answers(watch="mug", idle_s=0.05) as answers:

        def received():
            try:
                return answers.get(0.01)
            except DeadlineExceeded:
                return None

        publish_until(out, received)
        with pytest.raises(DeadlineExceeded, match=r"0\.05"):
            list(answers)


def test_iteration_ends_after_the_idle_time(out, run_dir):
    with Client(run_dir=run_dir) as client:
        with client.answers(idle_s=0.05) as answers, pytest.raises(DeadlineExceeded):
            next(iter(answers))
        answers.close()


def test_a_late_joiner_gets_the_status_at_once(out, run_dir):
    out.report("ready", detail="here")
    with Client(run_dir=run_dir) as client, client.statuses() as statuses:
        wait_for(lambda: out.welcome() or statuses._connection.socket.poll(0), 2, "the snapshot")
        status = statuses.get(1)
    assert (status.state, status.detail) == ("ready", "here")


def test_a_node_that_starts_later_is_heard_too(out, transport, run_dir):
    with Client(run_dir=run_dir) as client, client.statuses() as statuses:
        address = node_address(run_dir, "camera.late")
        lock = NodeLock(run_dir, NodeEntry("camera.late", "camera", os.getpid(), address.text))
        late = Broadcaster(transport, address, "camera.late", "camera")
        late.report("ready", detail="I came later")

        wait_for(lambda: late.welcome() or statuses._feed.take(), 3, "the late node's word")

        late.close()
        lock.release()


def test_two_hundred_joins_lose_no_first_message(out, run_dir):
    with Client(run_dir=run_dir) as client:
        for number in range(200):
            out.report(detail=str(number))
            with client.statuses() as statuses:
                wait_for(
                    lambda one=statuses: out.welcome() or one._connection.socket.poll(0),
                    2,
                    f"the snapshot of join {number}",
                )
                assert statuses.get(0.5).detail == str(number)


def test_asyncio_subscribers_get_the_same(out, run_dir):
    async def receive():
        async with AsyncClient(run_dir=run_dir) as client, client.statuses() as statuses:
            joining = asyncio.ensure_future(statuses.get(2))
            while not joining.done():
                out.welcome()
                await asyncio.sleep(0.005)
            with pytest.raises(DeadlineExceeded):
                await statuses.get(0.05)
            out.report(detail="next")
            async for status in statuses:
                return joining.result(), status

    first, second = asyncio.run(receive())
    assert isinstance(first, Status)
    assert second.detail == "next"

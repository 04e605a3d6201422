"""The asyncio client asks, is refused and takes back as the plain one does."""

from __future__ import annotations

import asyncio

import pytest

from molmo_node.bus.address import node_address
from molmo_node.client import AsyncClient
from molmo_node.errors import Busy, NotConnected
from molmo_node.messages import Accepted, Cancel, Error, Query, Unwatch, Watch
from tests.support.fake_worker import FakeWorker, answer_to

pytestmark = pytest.mark.process


@pytest.fixture
def worker(transport, run_dir):
    return FakeWorker(transport, node_address(run_dir, "worker"))


def run(run_dir, program):
    async def main():
        async with AsyncClient(run_dir=run_dir, connect_s=0.5) as client:
            return await program(client)

    return asyncio.run(main())


def test_questions_are_asked_side_by_side(worker, run_dir):
    async def program(client):
        asking = [asyncio.create_task(client.point(text)) for text in ("a", "b")]
        queries = [await asyncio.to_thread(worker.hear, Query) for _ in asking]
        for query in queries:
            worker.say(answer_to(query, query.question.text))
        return [answer.text for answer in await asyncio.gather(*asking)]

    assert run(run_dir, program) == ["a", "b"]


def test_a_refusal_is_raised_where_it_is_awaited(worker, run_dir):
    async def program(client):
        asking = asyncio.create_task(client.ask("why?"))
        query = await asyncio.to_thread(worker.hear, Query)
        worker.say(Error(id=query.id, code="busy", message="full", wait_ms=7.0))
        with pytest.raises(Busy) as caught:
            await asking
        return caught.value.wait_ms

    assert run(run_dir, program) == 7.0


def test_a_cancelled_task_takes_its_question_back(worker, run_dir):
    async def program(client):
        asking = asyncio.create_task(client.describe())
        query = await asyncio.to_thread(worker.hear, Query)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        return query.id, (await asyncio.to_thread(worker.hear, Cancel)).id

    asked, cancelled = run(run_dir, program)
    assert asked == cancelled


def test_nobody_there_is_said(run_dir):
    async def program(client):
        with pytest.raises(NotConnected):
            await client.status()

    run(run_dir, program)


def test_a_watch_is_leased_and_ended(worker, run_dir):
    async def program(client):
        from molmo_node.messages import Question

        asking = asyncio.create_task(client.watch(Question.point("mug"), name="mug"))
        made = await asyncio.to_thread(worker.hear, Watch)
        worker.say(Accepted(id=made.id))
        async with await asking as watch:
            assert watch.name == "mug"
        return (await asyncio.to_thread(worker.hear, Unwatch)).name

    assert run(run_dir, program) == "mug"

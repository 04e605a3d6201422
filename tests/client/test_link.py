"""A question is answered once, or fails with the reason, whatever becomes of the worker."""

from __future__ import annotations

import threading

import msgspec
import pytest

from molmo_node.bus.address import node_address
from molmo_node.bus.keys import new_key
from molmo_node.bus.sockets import Security
from molmo_node.client import Client
from molmo_node.client import link as links
from molmo_node.errors import (
    Busy,
    Cancelled,
    ConfigError,
    DeadlineExceeded,
    ModelError,
    NotConnected,
    ProtocolError,
    WorkerLost,
)
from molmo_node.messages import (
    Accepted,
    Cancel,
    Error,
    Ping,
    Query,
    Question,
    Started,
    Unwatch,
    Watch,
)
from tests.support import samples
from tests.support.fake_worker import FakeWorker, answer_to
from tests.support.frames import free_ports
from tests.support.waiting import wait_for

pytestmark = pytest.mark.process

QUESTION = Question.point("mug")


@pytest.fixture
def worker(transport, run_dir):
    return FakeWorker(transport, node_address(run_dir, "worker"))


@pytest.fixture
def client(run_dir):
    with Client(run_dir=run_dir, connect_s=1.0) as made:
        yield made


def test_an_answer_reaches_its_asker(worker, client):
    pending = client.submit(QUESTION)
    query = worker.hear(Query)
    worker.say(Accepted(id=query.id))
    worker.say(Started(id=query.id))
    worker.say(answer_to(query))
    assert pending.result(2).text == "here"
    assert pending.is_done()


def test_answers_may_come_in_any_order(worker, client):
    pending = [client.submit(QUESTION) for _ in range(3)]
    queries = [worker.hear(Query) for _ in pending]
    for query in reversed(queries):
        worker.say(answer_to(query, query.id))
    assert [one.result(2).text for one in pending] == [query.id for query in queries]


def test_the_first_of_two_answers_counts(worker, client):
    pending = client.submit(QUESTION)
    query = worker.hear(Query)
    for text in ("first", "second"):
        worker.say(answer_to(query, text))
    after = client.submit(QUESTION)
    worker.say(answer_to(worker.hear(Query), "after"))
    assert pending.result(2).text == "first"
    assert after.result(2).text == "after"


def test_what_nobody_asked_and_what_is_no_message_is_passed_over(worker, client):
    pending = client.submit(QUESTION)
    query = worker.hear(Query)
    worker.say(answer_to(msgspec.structs.replace(query, id="stranger")))
    worker.say({"type": "nonsense"})
    worker.socket.send_multipart([worker.client, b"\xff", b"\xff"])
    worker.say(answer_to(query))
    assert pending.result(2).text == "here"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("busy", Busy),
        ("model_error", ModelError),
        ("protocol_error", ProtocolError),
        ("from_the_future", Exception),
    ],
)
def test_an_error_becomes_its_exception(worker, client, code, kind):
    pending = client.submit(QUESTION)
    query = worker.hear(Query)
    worker.say(Error(id=query.id, code=code, message="why", hint="what now", wait_ms=5.0))
    with pytest.raises(kind, match="why") as caught:
        pending.result(2)
    assert caught.value.hint == "what now"
    assert getattr(caught.value, "wait_ms", 5.0) == 5.0


def test_a_question_that_was_begun_dies_with_its_worker(worker, client):
    pending = client.submit(QUESTION)
    worker.say(Started(id=worker.hear(Query).id))
    wait_for(lambda: pending._request.is_started, 2, "the start to be known")
    worker.die()
    with pytest.raises(WorkerLost):
        pending.result(1)


def test_a_question_that_waited_is_asked_again_of_the_next_worker(worker, client):
    pending = client.submit(QUESTION)
    first = worker.hear(Query)
    worker.say(Accepted(id=first.id))
    worker.die()
    worker.come_back()
    second = worker.hear(Query)
    worker.say(answer_to(second))
    assert second.id == first.id
    assert pending.result(2).text == "here"


def test_a_question_may_be_begun_again_as_often_as_the_caller_said(worker, run_dir):
    with Client(run_dir=run_dir, retries=1) as client:
        pending = client.submit(QUESTION)
        for _ in range(2):
            worker.say(Started(id=worker.hear(Query).id))
            wait_for(lambda: pending._request.is_started, 2, "the start to be known")
            worker.die()
            worker.come_back()
        with pytest.raises(WorkerLost):
            pending.result(1)


def test_the_deadline_holds_and_the_worker_is_told(worker, client):
    pending = client.submit(QUESTION, timeout_s=0.2)
    query = worker.hear(Query)
    assert query.deadline_ms == 200.0
    with pytest.raises(DeadlineExceeded):
        pending.result(1)
    assert worker.hear(Cancel).id == query.id


def test_nobody_there_is_said_when_the_time_to_connect_is_over(run_dir):
    with (
        Client(run_dir=run_dir, connect_s=0.1) as client,
        pytest.raises(NotConnected, match=r"worker\.0"),
    ):
        client.point("mug")


def test_a_question_taken_back_is_over_for_both(worker, client):
    pending = client.submit(QUESTION)
    query = worker.hear(Query)
    pending.cancel()
    assert worker.hear(Cancel).id == query.id
    with pytest.raises(Cancelled):
        pending.result(1)


def test_a_client_closed_with_a_question_taken_back_ends_cleanly(worker, run_dir):
    client = Client(run_dir=run_dir)
    pending = client.submit(QUESTION)
    pending._request.future.cancel()
    client.close()
    assert not client._core.link._thread.is_alive()


def test_a_closed_client_fails_what_waits_and_what_comes_later(worker, run_dir):
    client = Client(run_dir=run_dir)
    pending = client.submit(QUESTION)
    client.close()
    client.close()
    with pytest.raises(NotConnected):
        pending.result(1)
    with pytest.raises(NotConnected):
        client.point("mug")


def test_ids_differ_between_threads(client):
    link = client._core.link
    found = []
    threads = [
        threading.Thread(target=lambda: found.extend(link.new_id() for _ in range(500)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 2000


def test_a_ping_brings_the_status(worker, client):
    found = []
    asking = threading.Thread(target=lambda: found.append(client.status()))
    asking.start()
    worker.hear(Ping)
    worker.say(samples.STATUS)
    asking.join()
    assert found == [samples.STATUS]


@pytest.fixture
def leased(worker, client):
    """An accepted watch named mug."""
    found = []
    asking = threading.Thread(target=lambda: found.append(client.watch(QUESTION, name="mug")))
    asking.start()
    worker.say(Accepted(id=worker.hear(Watch).id))
    asking.join()
    with found[0] as watch:
        yield watch


def test_a_watch_is_renewed_and_made_again_after_a_restart(worker, leased, monkeypatch):
    monkeypatch.setattr(links, "RENEW_NS", 50_000_000)
    assert worker.hear(Watch).spec.name == "mug"
    worker.die()
    worker.come_back()
    assert worker.hear(Watch).spec.name == "mug"


def test_a_closed_watch_is_ended_and_not_renewed(worker, leased, monkeypatch):
    leased.close()
    worker.hear(Unwatch)
    monkeypatch.setattr(links, "RENEW_NS", 0)
    assert worker.hears_nothing(0.6)


def test_a_refused_watch_does_not_end_the_one_that_has_the_name(worker, client, leased):
    refused = []

    def ask():
        with pytest.raises(ProtocolError) as caught:
            client.watch(Question.point("cup"), name="mug")
        refused.append(caught.value)

    asking = threading.Thread(target=ask)
    asking.start()
    wait_for(lambda: not asking.is_alive() or _refuse(worker), 3, "the refusal")
    asking.join()
    assert refused
    renewed = worker.hear(Watch)
    assert renewed.spec.question == QUESTION


def _refuse(worker):
    watch = worker.hear(Watch)
    if watch.spec.question.text == "cup":
        worker.say(Error(id=watch.id, code="protocol_error", message="another watch"))
    return False


def test_missing_keys_are_the_callers_error(tmp_path):
    with pytest.raises(ConfigError, match="keys new"):
        Client("tcp://10.1.2.3:5760", security=Security("auto", tmp_path))


@pytest.mark.process
def test_a_refused_asker_is_told_at_once_each_time(tmp_path):
    for folder in ("node", "robot"):
        for name in ("node", "robot"):
            new_key(tmp_path / folder, name)
    from molmo_node.bus.address import Address
    from tests.support.transports import KeepingTransport

    transport = KeepingTransport(Security("required", tmp_path / "node"))
    address = f"tcp://127.0.0.1:{free_ports()}"
    FakeWorker(transport, Address(address))
    security = Security("required", tmp_path / "robot", "robot", tmp_path / "node" / "node.key")
    with Client(address, security=security) as client:
        for _ in range(2):
            with pytest.raises(NotConnected, match=f"{address} refused .* 'robot'"):
                client.submit(QUESTION).result(1)
    transport.close()

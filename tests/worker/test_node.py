"""A whole worker in a thread: frames and questions in, answers, refusals and states out."""

from __future__ import annotations

import threading
import time

import msgspec
import pytest
import zmq

from molmo_node.bus import limits, wire
from molmo_node.bus.address import Address, node_address
from molmo_node.bus.frames import FramePublisher
from molmo_node.bus.lock import running_nodes
from molmo_node.bus.topics import QUERY
from molmo_node.client import Client
from molmo_node.errors import (
    Busy,
    ConfigError,
    DeadlineExceeded,
    ModelError,
    NoAnswer,
    ProtocolError,
    WorkerLost,
)
from molmo_node.messages import Error, Query, Question, WatchSpec
from molmo_node.worker.cameras import CameraPlace
from tests.support.frames import free_ports, raw_frame, to_jpeg
from tests.support.waiting import wait_for
from tests.support.worker_thread import WorkerThread

pytestmark = pytest.mark.process

POINT = {"task": "point", "points": [[12.5, 20.0, "mug"]], "reply": "there"}
SLOW = {"task": "ask", "delay_s": 30.0, "reply": "at last"}


class Camera:
    """Publishes frames at about 100 Hz until it is closed."""

    def __init__(self, transport, run_dir, name="front"):
        self.address = node_address(run_dir, f"camera.{name}")
        self._frames = FramePublisher(transport, self.address, name, to_jpeg)
        self._name = name
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="test camera")
        self._thread.start()

    def close(self):
        self._is_stopping.set()
        self._thread.join()
        self._frames.close()

    def _run(self):
        seq = 0
        while not self._is_stopping.wait(0.01):
            seq += 1
            self._frames.publish(*raw_frame(seq, self._name))


@pytest.fixture
def camera(transport, run_dir):
    made = Camera(transport, run_dir)
    yield made
    made.close()


@pytest.fixture
def start(run_dir, camera):
    """Starts a worker that looks at the camera and answers by these rules."""
    made = []

    def start(*rules, **options):
        options.setdefault("cameras", (CameraPlace("front", camera.address),))
        made.append(WorkerThread(run_dir, {"answers": list(rules or [POINT])}, **options))
        return made[-1]

    yield start
    for worker in made:
        worker.close()


@pytest.fixture
def client(run_dir):
    with Client(run_dir=run_dir) as made:
        yield made


def when_ready(client):
    wait_for(lambda: client.status().state == "ready", 5, "the worker to be ready")
    return client


def jpeg():
    from molmo_node.bus.frames import Frame

    return to_jpeg(Frame(*raw_frame(1)))


def test_a_question_is_answered_on_a_frame_of_the_camera(start, client):
    start()
    answer = when_ready(client).point("mug")
    assert (answer.points[0].x_px, answer.points[0].y_px) == (12.5, 20.0)
    assert (answer.frame.camera, answer.frame.session) == ("front", "s1")
    assert answer.timing_ms.total >= answer.timing_ms.wait >= 0


def test_a_picture_of_the_askers_own_is_answered(start, client):
    start()
    answer = when_ready(client).point("mug", image=jpeg())
    assert (answer.width, answer.height, answer.frame.session) == (64, 48, "attached")


def test_the_next_frame_is_captured_after_the_question(start, client):
    start()
    when_ready(client)
    asked_ns = time.monotonic_ns()
    assert client.point("mug", frame="next").frame.mono_ns > asked_ns


def test_a_verb_that_the_engine_lacks_is_refused_with_what_it_has(start, client):
    start()
    when_ready(client)
    with pytest.raises(NoAnswer, match="point"):
        client.describe()
    with pytest.raises(NoAnswer, match="point"):
        client.watch(Question.describe())
    with pytest.raises(NoAnswer, match="front"):
        client.point("mug", camera="back")


def test_a_watch_answers_again_and_again(start, client):
    start()
    with when_ready(client).watch(Question.point("mug"), rate_hz=30.0) as watch:
        answers = [watch.get(2) for _ in range(3)]
    seqs = [answer.frame.seq for answer in answers]
    assert sorted(set(seqs)) == seqs
    assert {answer.watch for answer in answers} == {watch.name}


def test_a_permanent_watch_needs_no_client(start, client):
    start(watches=(WatchSpec(name="mug", question=Question.point("mug"), rate_hz=30.0),))
    with client.answers(watch="mug") as answers:
        assert answers.get(5).points


def test_a_held_watch_stands_until_it_is_released(start, client):
    start()
    when_ready(client).hold(WatchSpec(name="mug", question=Question.point("mug"), rate_hz=30.0))
    with client.answers(watch="mug") as answers:
        assert answers.get(5).points
    assert [spec.name for spec in client.status().watches] == ["mug"]

    client.release("mug")

    wait_for(lambda: not client.status().watches, 5, "the watch's end")


def test_a_deadline_holds_while_the_engine_works_and_frees_it(start, client):
    start(SLOW, POINT)
    when_ready(client)
    with pytest.raises(DeadlineExceeded, match="engine worked"):
        client.ask("why?", timeout_s=0.1)
    assert client.point("mug").points


def test_a_question_taken_back_frees_the_engine(start, client):
    start(SLOW, POINT)
    pending = when_ready(client).submit(Question.ask("why?"))
    wait_for(lambda: client.status().state == "busy", 2, "the engine to work")
    pending.cancel()
    assert client.point("mug").points


def test_the_questions_of_a_client_that_went_are_dropped(start, client, run_dir):
    start(SLOW, POINT)
    when_ready(client)
    gone = Client(run_dir=run_dir)
    gone.submit(Question.ask("why?"))
    wait_for(lambda: client.status().state == "busy", 2, "the engine to work")
    gone._core.link._connection.socket.setsockopt(zmq.LINGER, 0)
    gone.close()
    assert client.point("mug", timeout_s=2).points
    assert client.status().counters["client_gone"] == 1


def test_a_flood_is_refused_and_another_client_served(start, client, run_dir):
    start({**POINT, "delay_s": 0.02})
    when_ready(client)
    with Client(run_dir=run_dir) as flood:
        pending = [flood.submit(Question.point("mug")) for _ in range(200)]
        assert client.point("mug", timeout_s=2).points
        errors = [one._request.future.exception(5) for one in pending]
    refused = [error for error in errors if error is not None]
    assert 0 < len(refused) < 200
    assert all(isinstance(error, Busy) and "wait already" in error.message for error in refused)


def test_the_queue_is_as_long_as_the_settings_say(start, client):
    start(SLOW, queries_waiting=3, queries_waiting_per_client=2)
    when_ready(client)
    client.submit(Question.ask("why?"))
    wait_for(lambda: client.status().state == "busy", 2, "the engine to work")

    for _ in range(2):
        client.submit(Question.ask("why?"))

    with pytest.raises(Busy, match="2 questions of yours wait already"):
        client.ask("why?", timeout_s=2)


def test_an_engine_that_fails_lives_on(start, client):
    start({"task": "ask", "fault": "error"}, POINT)
    when_ready(client)
    with pytest.raises(ModelError):
        client.ask("why?")
    assert client.point("mug").points


def test_an_answer_too_long_to_send_is_an_error_and_cuts_off_nobody(start, client):
    start({"task": "ask", "reply": "x" * (limits.ANSWER_BYTES + 1)}, POINT)
    when_ready(client)
    with client.answers() as answers:
        with pytest.raises(ModelError, match="bytes"):
            client.ask("why?")
        wait_for(lambda: client.point("mug") and answers._connection.socket.poll(0), 2, "answers")
        assert answers.get(1).task == "point"


def test_a_lost_device_ends_the_worker_and_tells_the_asker(start, client):
    worker = start({"task": "ask", "fault": "device_lost"})
    when_ready(client)
    with pytest.raises(ModelError, match="device"):
        client.ask("why?")
    assert worker.wait() == 1


def test_an_engine_that_hangs_is_given_up(start, client):
    worker = start(SLOW, longest_query_s=0.2)
    when_ready(client)
    with pytest.raises(WorkerLost, match="hangs"):
        client.ask("why?")
    assert worker.wait() == 70


def test_a_worker_that_stops_tells_who_waits(start, client):
    worker = start(SLOW)
    pending = when_ready(client).submit(Question.ask("why?"))
    wait_for(lambda: client.status().state == "busy", 2, "the engine to work")
    worker.node.stop()
    with pytest.raises(WorkerLost, match="shutting down"):
        pending.result(3)


def test_a_model_that_cannot_be_loaded_ends_the_worker(run_dir):
    worker = WorkerThread(run_dir, {"load_fault": "no such file"})
    assert worker.wait() == 1
    assert worker.node._out.status.detail == "no such file"


def test_while_the_model_loads_askers_are_told_to_come_again(run_dir, client):
    worker = WorkerThread(run_dir, {"load_s": 0.5, "answers": [POINT]})
    with pytest.raises(Busy, match="loading"):
        client.point("mug")
    worker.close()


def test_a_port_in_use_leaves_nothing_behind(run_dir, camera, transport):
    import socket

    port = free_ports()
    before = threading.active_count()
    with socket.create_server(("127.0.0.1", port)), pytest.raises(ConfigError, match=f"{port}"):
        WorkerThread(
            run_dir,
            address=Address(f"tcp://127.0.0.1:{port}"),
            cameras=(CameraPlace("front", camera.address),),
        )
    assert threading.active_count() == before
    assert running_nodes(run_dir) == []


@pytest.fixture
def dealer(transport, run_dir):
    """A socket that may say anything to the worker."""
    return transport.connect(zmq.DEALER, QUERY, node_address(run_dir, "worker"))


def hear(dealer):
    wait_for(lambda: dealer.poll(50), 3, "a reply")
    return wire.worker_message(dealer.recv())


@pytest.mark.parametrize(
    "parts",
    [
        [b""],
        [b"\x91" * 3000],
        [b"\xa2\xff\xfe"],
        [b"\xc0", b"", b""],
        [wire.encode({"type": "query", "id": "7"})],
        [wire.encode({"type": "watch", "id": "7", "spec": 1, "lease_s": float("nan")})],
    ],
    ids=len,
)
def test_what_is_no_message_is_answered_with_an_error(start, client, dealer, parts):
    start()
    when_ready(client)
    dealer.send_multipart(parts)
    error = hear(dealer)
    assert isinstance(error, Error)
    assert error.code == ProtocolError.code
    assert client.status().counters["rejected"] == 1


def test_a_refused_message_names_the_id_it_came_with(start, client, dealer):
    start()
    dealer.send(wire.encode({"type": "query", "id": "7", "question": {"task": "sing"}}))
    assert hear(dealer).id == "7"


def test_numbers_that_are_none_do_not_end_the_worker(start, client, dealer):
    start()
    when_ready(client)
    query = msgspec.to_builtins(Query(id="q", question=Question.point("mug")))
    for value in (float("nan"), float("inf"), -1.0, 1e300):
        dealer.send(wire.encode(query | {"max_age_ms": value}))
        assert hear(dealer).code == ProtocolError.code
    spec = msgspec.to_builtins(WatchSpec(name="w", question=Question.point("mug")))
    for value in (float("nan"), 5e-324):
        dealer.send(wire.encode({"type": "watch", "id": "w", "spec": spec | {"rate_hz": value}}))
        assert hear(dealer).code == ProtocolError.code
    assert client.point("mug").points


def test_a_question_that_comes_twice_is_answered_once(start, client, dealer):
    start({**POINT, "delay_s": 0.1})
    when_ready(client)
    raw = wire.encode(Query(id="q", question=Question.point("mug")))
    for _ in range(2):
        dealer.send(raw)
    heard = [type(hear(dealer)).__name__ for _ in range(3)]
    assert heard == ["Accepted", "Started", "Answer"]
    wait_for(lambda: client.status().counters.get("repeated") == 1, 2, "the count")
    assert not dealer.poll(50)

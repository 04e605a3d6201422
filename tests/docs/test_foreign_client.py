"""A client and a camera made of pyzmq and msgpack alone, by the words of docs/PROTOCOL.md."""

from __future__ import annotations

import time

import msgpack
import pytest
import zmq

from molmo_node.bus.address import node_address
from molmo_node.worker.cameras import CameraPlace
from tests.support.frames import raw_frame, to_jpeg
from tests.support.waiting import wait_for
from tests.support.worker_thread import WorkerThread

pytestmark = pytest.mark.process


class Foreign:
    """Sockets of a program that has never heard of molmo_node."""

    def __init__(self, base: str):
        self.base = base
        self.context = zmq.Context()
        self.sockets = []

    def open(self, kind, node, part):
        socket = self.context.socket(kind)
        socket.linger = 0
        self.sockets.append(socket)
        (socket.bind if kind == zmq.PUB else socket.connect)(f"{self.base}/{node}.{part}")
        return socket

    def close(self):
        for socket in self.sockets:
            socket.close()
        self.context.term()


def hear(socket, kind, within_s=5.0):
    """The next message of that type on a DEALER."""

    def heard():
        if not socket.poll(50):
            return None
        message = msgpack.unpackb(socket.recv())
        return message if message["type"] == kind else None

    return wait_for(heard, within_s, kind)


@pytest.fixture
def foreign(run_dir):
    made = Foreign(f"ipc://{run_dir}")
    yield made
    made.close()


@pytest.fixture
def worker(run_dir):
    place = CameraPlace("front", node_address(run_dir, "camera.front"))
    made = WorkerThread(run_dir, cameras=(place,))
    yield made
    made.close()


@pytest.fixture
def dealer(foreign, worker):
    """Connected to a worker that is ready."""
    socket = foreign.open(zmq.DEALER, "worker", 0)

    def is_ready():
        socket.send(msgpack.packb({"type": "ping", "id": "p"}))
        return hear(socket, "status")["state"] == "ready"

    wait_for(is_ready, 5, "the worker to be ready")
    return socket


def jpeg():
    from molmo_node.bus.frames import Frame

    return to_jpeg(Frame(*raw_frame(1)))


def test_a_picture_is_asked_about(dealer):
    query = {"type": "query", "id": "1", "frame": "attached"}
    query["question"] = {"task": "point", "text": "the mug"}
    dealer.send_multipart([msgpack.packb(query), jpeg()])
    assert hear(dealer, "accepted")["id"] == "1"
    assert hear(dealer, "started")["id"] == "1"
    answer = hear(dealer, "answer")
    assert answer["id"] == "1"
    assert answer["points"] == [{"x_px": 12.5, "y_px": 20.0, "label": "mug"}]
    assert (answer["width"], answer["height"]) == (64, 48)


def test_a_mistake_is_explained(dealer):
    dealer.send(msgpack.packb({"type": "query", "id": "2", "question": {"task": "sing"}}))
    error = hear(dealer, "error")
    assert (error["id"], error["code"]) == ("2", "protocol_error")
    assert "sing" in error["message"]


def test_a_foreign_cameras_frames_are_watched_and_the_answers_heard(foreign, dealer):
    camera = foreign.open(zmq.PUB, "camera.front", 0)
    answers = foreign.open(zmq.SUB, "worker", 1)
    answers.subscribe(b"answer/front/point/mug")
    spec = {"name": "mug", "question": {"task": "point", "text": "mug"}, "rate_hz": 30}
    dealer.send(msgpack.packb({"type": "watch", "id": "w", "spec": spec}))
    assert hear(dealer, "accepted")["id"] == "w"
    body, seq = jpeg(), 0

    def is_answered():
        nonlocal seq
        seq += 1
        now = {"stamp_ns": time.time_ns(), "mono_ns": time.monotonic_ns(), "host": "elsewhere"}
        ref = {"camera": "front", "session": "s", "seq": seq, **now}
        header = {"v": 1, "ref": ref, "width": 64, "height": 48, "encoding": "jpeg"}
        header["nbytes"] = len(body)
        for key in (b"ring/front", b"jpeg/front"):
            camera.send_multipart([key, msgpack.packb(header), body])
        return answers.poll(20)

    wait_for(is_answered, 5, "an answer")
    key, raw = answers.recv_multipart()
    answer = msgpack.unpackb(raw)
    assert key == b"answer/front/point/mug"
    assert (answer["watch"], answer["frame"]["session"]) == ("mug", "s")


def test_the_status_comes_to_a_late_subscriber_at_once(foreign, dealer):
    statuses = foreign.open(zmq.SUB, "worker", 1)
    statuses.subscribe(b"status/worker")
    assert statuses.poll(1000)
    _, raw = statuses.recv_multipart()
    status = msgpack.unpackb(raw)
    assert (status["type"], status["kind"]) == ("status", "worker")
    assert status["tasks"] == ["point", "read_clock", "read_gauge"]

"""Row 12: anything but messages, at every socket that listens and every one that subscribes."""

from __future__ import annotations

import contextlib
import socket
import time

import msgpack
import psutil
import pytest
import yaml
import zmq

from molmo_node.bus.address import node_address
from molmo_node.client import Client
from molmo_node.errors import NoAnswer
from molmo_node.messages import Question, Status
from tests.support.machine import count
from tests.support.stack import Stack
from tests.support.strangers import VALID_QUERY, bodies, close_raw, raw_socket, send_bytes
from tests.support.waiting import wait_for

pytestmark = pytest.mark.process

MESSAGES = count("MOLMO_TEST_FUZZ", 12_000)
STRANGERS = 60
GROWTH_BYTES = 50 * 1024 * 1024
HEADER = {
    "v": 1,
    "ref": {"camera": "far", "session": "s", "seq": 1, "stamp_ns": 1, "mono_ns": 1},
    "width": 320,
    "height": 240,
    "encoding": "jpeg",
    "nbytes": 9,
}


def start(stack: Stack) -> Client:
    stack.camera()
    stack.worker({"answers": [{"reply": "here"}]})
    client = stack.client()
    stack.wait_ready(client, "front")
    return client


def rss_bytes(stack: Stack) -> dict[str, int]:
    return {node: psutil.Process(pid).memory_info().rss for node, pid in stack.nodes().items()}


def test_query_socket_rejects_counts_and_lives(stack: Stack) -> None:
    client = start(stack)
    before, from_s = rss_bytes(stack), time.monotonic()

    stranger = raw_socket(zmq.DEALER, node_address(stack.run_dir, "worker").part(0))
    for number, parts in enumerate(bodies(12, MESSAGES, VALID_QUERY)):
        stranger.send_multipart(parts)
        if number % 32 == 0:
            while stranger.poll(0):  # it reads what it is told, so that it is not cut off
                stranger.recv_multipart()
    close_raw(stranger)

    def rejected() -> int:
        counters = client.status().counters
        return counters["rejected"] + counters.get("queries", 0) + counters.get("repeated", 0)

    wait_for(lambda: rejected() >= 0.95 * MESSAGES, 60, "the worker to have looked at all")
    took_s = time.monotonic() - from_s
    assert client.point("mug").text == "here"
    growth = rss_bytes(stack)["worker"] - before["worker"]
    print(
        f"{MESSAGES} messages in {took_s:.1f} s, {client.status().counters['rejected']} rejected,"
        f" {growth / 1e6:.1f} MB more"
    )
    assert growth <= GROWTH_BYTES


def test_all_listening_sockets_outlive_strangers(stack: Stack) -> None:
    client = start(stack)
    before, pids = rss_bytes(stack), stack.nodes()

    for node in ("worker", "camera.front"):
        for part in (0, 1):
            endpoint = node_address(stack.run_dir, node).part(part)
            send_bytes(endpoint, seed=part, connections=STRANGERS)
            for kind in (zmq.XSUB, zmq.DEALER, zmq.PUSH):
                stranger = raw_socket(kind, endpoint)
                stranger.linger = 0
                stranger.sndtimeo = 100
                with contextlib.suppress(zmq.Again):  # shown the door: no such peer is wanted
                    for parts in bodies(kind, 300, VALID_QUERY):
                        stranger.send_multipart(parts)
                close_raw(stranger)

    assert client.point("mug").text == "here"
    assert stack.nodes() == pids
    stack.wait_ready(client, "front")
    growth = {node: size - before[node] for node, size in rss_bytes(stack).items()}
    print({node: f"{size / 1e6:.1f} MB more" for node, size in growth.items()})
    assert max(growth.values()) <= GROWTH_BYTES
    assert "Traceback" not in stack.output()


def test_worker_outlives_a_camera_that_sends_anything(stack: Stack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    context = zmq.Context()
    camera = context.socket(zmq.XPUB)
    camera.bind(f"tcp://127.0.0.1:{port}")
    script = stack.file("s.yaml", yaml.safe_dump({"answers": [{"reply": "here"}]}))
    settings = {
        "cameras": [{"name": "far", "endpoint": f"tcp://127.0.0.1:{port}"}],
        "worker": {"model": f"scripted:{script}"},
    }
    stack.start("worker", "worker", "-c", str(stack.file("w.yaml", yaml.safe_dump(settings))))
    stack.camera()
    client = stack.client()
    stack.wait_ready(client, "front")
    assert camera.poll(10_000)  # the worker has subscribed
    key = camera.recv()[1:]

    sent = 0
    for parts in bodies(7, MESSAGES // 4, HEADER):
        camera.send_multipart([key, *parts])
        sent += 1
        if sent % 100 == 0:
            time.sleep(0.001)  # PUB drops for a reader whose queue is full
    last: list[Status] = []

    def has_rejected() -> bool:
        last[:] = [client.status()]
        return next(one for one in last[0].cameras if one.name == "far").rejected > 100

    wait_for(has_rejected, 20, "rejected frames to be counted")
    context.destroy(linger=0)
    far = next(one for one in last[0].cameras if one.name == "far")
    print(f"{sent} sent, {far.rejected} rejected")
    assert client.point("mug", camera="front").text == "here"
    assert "Traceback" not in stack.output()


def test_client_outlives_a_worker_that_sends_anything(stack: Stack) -> None:
    context = zmq.Context()
    worker = context.socket(zmq.ROUTER)
    worker.sndhwm = 0
    worker.bind(node_address(stack.run_dir, "worker").part(0))
    client = stack.client()
    pending = client.submit(Question.point("mug"), timeout_s=30)
    assert worker.poll(10_000)
    name, raw = worker.recv_multipart()

    reply = {"type": "accepted", "id": msgpack.unpackb(raw)["id"], "position": 0}
    for parts in bodies(3, 3_000, {**reply, "id": "other"}):
        worker.send_multipart([name, *parts])
    error = {"type": "error", "id": reply["id"], "code": "no_answer", "message": "nothing"}
    worker.send_multipart([name, msgpack.packb(error)])

    with pytest.raises(NoAnswer, match="nothing"):
        pending.result(timeout_s=20)
    context.destroy(linger=0)

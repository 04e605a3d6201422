"""Row 32: the way out is away, slow, or hangs; the core does not notice, and little is lost."""

from __future__ import annotations

import signal
import socket
import time
from contextlib import ExitStack

import pytest

from molmo_node.client import Client
from molmo_node.sinks.pump import LONGEST_RETRY_S
from molmo_node.sinks.records import iso
from tests.support.broker import Broker, Listener, needs_mosquitto
from tests.support.reading_node import ReadingNode
from tests.support.waiting import wait_for

pytestmark = pytest.mark.process

WILL_S = 1.0
BACK_S = 5.0


def settings(port: int, **fields) -> dict:
    return {"host": "127.0.0.1", "port": port, "node": "plant", "watches": ["pressure"], **fields}


class Answers:
    """What the bus gives of the watch from now on, for comparison with what the broker got."""

    def __init__(self, client: Client) -> None:
        self._answers = client.answers(watch="pressure")
        self.times: list[str] = []

    def collect(self, count: int) -> None:
        """Wait for so many readings."""
        until = len(self.times) + count
        while len(self.times) < until:
            answer = self._answers.get(20)
            if answer.reading is not None and answer.reading.status == "ok":
                self.times.append(iso(answer.frame.stamp_ns))

    def close(self) -> None:
        self._answers.close()


@pytest.fixture
def listen(node: ReadingNode):
    """Begins to listen to the bus when it is called: not before the sink does."""
    with ExitStack() as stack:

        def listen() -> Answers:
            answers = Answers(node.client)
            stack.callback(answers.close)
            return answers

        yield listen


def times(listener: Listener) -> list[str]:
    return [heard.data["time"] for heard in listener.of("watch/pressure/reading")]


@needs_mosquitto
def test_a_killed_sink_is_offline_within_a_second(node, broker, listener):
    process = node.sink("mqtt", settings(broker.port))
    listener.wait("plant/availability", "online")
    listener.wait("watch/pressure/reading")

    killed_s = time.monotonic()
    process.send(signal.SIGKILL)
    will = listener.wait("plant/availability", "offline", 5)

    assert will.at_s - killed_s <= WILL_S
    node.sink("mqtt", settings(broker.port))
    listener.wait("plant/availability", "online")


@needs_mosquitto
def test_a_broker_that_restarts_gets_everything_and_is_found_again_within_five_seconds(
    node, tmp_path, listen
):
    broker = Broker(tmp_path, remembers=True)
    keeper = Listener(broker.port, session="keeper")
    try:
        node.sink("mqtt", settings(broker.port))
        keeper.wait("watch/pressure/reading")
        answers = listen()
        answers.collect(2)

        broker.stop(signal.SIGTERM)
        node.sink_status("mqtt", lambda status: status.state == "degraded")
        answers.collect(10)
        broker.start()
        started_s = time.monotonic()
        status = node.sink_status("mqtt", lambda status: status.state == "ready")

        assert time.monotonic() - started_s <= BACK_S
        assert status.counters["dropped"] == 0
        wait_for(lambda: set(answers.times) <= set(times(keeper)), 10, "every reading")
    finally:
        keeper.close()
        broker.stop()


@needs_mosquitto
def test_nothing_is_lost_while_a_broker_does_not_answer(node, broker, listener, listen):
    node.sink("mqtt", settings(broker.port, keepalive_s=2))
    listener.wait("watch/pressure/reading")
    answers = listen()
    answers.collect(3)

    broker.send(signal.SIGSTOP)
    node.sink_status("mqtt", lambda status: status.state == "degraded")
    answers.collect(5)
    broker.send(signal.SIGCONT)

    node.sink_status("mqtt", lambda status: status.state == "ready" and not status.queue_length)
    wait_for(lambda: set(answers.times) <= set(times(listener)), 10, "every reading")
    first = {stamp: number for number, stamp in reversed(list(enumerate(times(listener))))}
    order = [first[stamp] for stamp in answers.times]
    assert order == sorted(order)


@needs_mosquitto
def test_beyond_the_buffer_the_oldest_are_dropped_and_counted_and_a_new_broker_is_told_all(
    node, broker, listener, listen
):
    node.sink("mqtt", settings(broker.port, buffer=4))
    listener.wait("watch/pressure/reading")

    broker.stop()
    node.sink_status("mqtt", lambda status: status.state == "degraded")
    answers = listen()
    answers.collect(12)
    full = node.sink_status("mqtt", lambda status: status.counters.get("dropped", 0) >= 4)
    assert full.queue_length <= 4
    broker.start()
    late = Listener(broker.port)
    try:
        within_s = BACK_S + LONGEST_RETRY_S
        wait_for(lambda: times(late)[-1:] > answers.times[-1:], within_s, "newer readings")
        late.wait("plant/availability", "online", 5)
        late.wait("homeassistant/sensor/molmo_node_plant_watch_pressure/config", within_s=5)
    finally:
        late.close()


def test_no_broker_at_all_leaves_the_core_alone(node, listen):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, and not listening: refused at once
        node.sink("mqtt", settings(nobody.getsockname()[1]))
        status = node.sink_status("mqtt", lambda status: status.state == "degraded")
        listen().collect(5)

    assert "connection refused" in status.detail
    assert "readings wait" in status.detail


def test_scrapers_that_hang_do_not_keep_others_out_or_the_sink_from_ending(node):
    process = node.sink("prometheus", {"port": 0})
    node.sink_status("prometheus", lambda status: status.state == "ready")
    line = wait_for(
        lambda: next((one for one in process.lines if "http://127.0.0.1:" in one), ""), 5, "a port"
    )
    port = int(line.rsplit(":", 1)[1].split("/")[0])
    with ExitStack() as hung:
        for _ in range(3):
            hung.enter_context(socket.create_connection(("127.0.0.1", port), 5)).send(b"GET /m")
        with socket.create_connection(("127.0.0.1", port), 5) as scraper:
            scraper.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            body = b"".join(iter(lambda: scraper.recv(65536), b""))
        process.send(signal.SIGTERM)
        assert process.wait() == 0, process.output

    assert b"molmo_node_reading" in body
    assert b"molmo_node_up" in body

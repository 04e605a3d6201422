"""The buffer and the thread between the bus and a way out."""

from __future__ import annotations

import pytest

from molmo_node.client.view import NodeView
from molmo_node.sinks.base import SinkDown
from molmo_node.sinks.pump import Buffer, Pump
from tests.support import said
from tests.support.waiting import wait_for


def answers(count: int) -> list:
    return [said.read(float(number), seq=number) for number in range(count)]


def seqs(messages) -> list[int]:
    return [message.frame.seq for message in messages]


def test_a_full_buffer_drops_its_oldest_and_counts():
    buffer = Buffer(3)
    for message in answers(5):
        buffer.put(message)

    assert seqs(buffer.take(10, 0)) == [2, 3, 4]
    assert buffer.dropped == 2


def test_what_is_put_back_comes_first_again():
    buffer = Buffer(10)
    for message in answers(4):
        buffer.put(message)

    buffer.put_back(buffer.take(2, 0))

    assert seqs(buffer.take(10, 0)) == [0, 1, 2, 3]
    assert buffer.dropped == 0


@pytest.mark.parametrize(("newer", "kept"), [(0, [0, 1]), (2, [1, 2, 3]), (3, [2, 3, 4])])
def test_what_is_put_back_is_the_first_to_go(newer, kept):
    buffer = Buffer(3)
    messages = answers(2 + newer)
    for message in messages[:2]:
        buffer.put(message)
    batch = buffer.take(2, 0)
    for message in messages[2:]:
        buffer.put(message)

    buffer.put_back(batch)

    assert seqs(buffer.take(10, 0)) == kept
    assert buffer.dropped == 2 + newer - len(kept)


class GatedSink:
    """Open, closed or broken, as a test wants it."""

    def __init__(self) -> None:
        self.is_open = True
        self.error: Exception | None = None
        self.written: list = []
        self.tended = 0
        self.is_closed = False

    def wants(self, message) -> bool:
        return True

    def write(self, messages) -> None:
        self._check()
        self.written += messages

    def tend(self, view) -> None:
        self._check()
        self.tended += 1

    def close(self) -> None:
        self.is_closed = True

    def _check(self) -> None:
        if self.error is not None:
            raise self.error
        if not self.is_open:
            raise SinkDown("the gate is shut", hint="open it")


@pytest.fixture
def sink():
    return GatedSink()


@pytest.fixture
def pump(sink):
    pump = Pump("gated", sink, NodeView(), 5, lambda: None)
    yield pump
    pump.stop()


def test_messages_wait_while_the_way_out_is_closed_and_then_go_in_order(sink, pump, caplog):
    sink.is_open = False
    pump.start()
    for message in answers(7):
        pump.put(message)
    wait_for(lambda: pump.state().error, 3, "an error")
    assert "the gate is shut" in str(pump.state().error)
    assert not pump.state().has_worked

    sink.is_open = True

    wait_for(lambda: pump.state().error is None, 5, "an open way out")
    assert seqs(sink.written) == [2, 3, 4, 5, 6]
    assert (pump.state().delivered, pump.state().dropped) == (5, 2)
    shut = [one for one in caplog.records if one.message == "the gate is shut"]
    assert len(shut) == 1, "one clear error, however often it is tried"


def test_a_sink_is_tended_without_messages(sink, pump):
    pump.start()

    wait_for(lambda: sink.tended >= 2, 3, "two rounds")
    assert pump.state().has_worked


def test_what_waits_goes_out_at_the_end(sink):
    pump = Pump("gated", sink, NodeView(), 500, lambda: None)
    for message in answers(200):
        pump.put(message)
    pump.start()
    pump.stop()

    assert len(sink.written) == 200
    assert sink.is_closed


def test_a_sink_with_a_bug_is_reported_and_stays_off(sink, pump, caplog):
    sink.error = ZeroDivisionError("oops")
    pump.start()

    wait_for(lambda: sink.is_closed, 3, "the end")
    wait_for(lambda: not pump.is_running, 3, "the end of its thread")
    assert "the sink failed" in str(pump.state().error)
    assert any(record.exc_info for record in caplog.records)

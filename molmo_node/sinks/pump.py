"""Between the bus, which never waits, and a way out, which may: a buffer and a thread."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from molmo_node.client.view import NodeView
from molmo_node.sinks.base import Message, Sink, SinkDown

log = logging.getLogger(__name__)

BATCH = 64
TEND_S = 0.5
FIRST_RETRY_S = 0.25
LONGEST_RETRY_S = 2.0
STOP_S = 3.5


class Buffer:
    """A bounded queue between two threads; a full one drops its oldest and counts it."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: deque[Message] = deque()
        self._changed = threading.Condition()
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, message: Message) -> None:
        """Add the newest; never waits."""
        with self._changed:
            if len(self._waiting) >= self._limit:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(message)
            self._changed.notify()

    def take(self, most: int, wait_s: float) -> list[Message]:
        """The oldest ones, at most so many; waits so long for the first."""
        with self._changed:
            if not self._waiting:
                self._changed.wait(wait_s)
            return [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]

    def wake(self) -> None:
        """End a `take` that waits."""
        with self._changed:
            self._changed.notify()

    def put_back(self, messages: Sequence[Message]) -> None:
        """Return what could not be sent; it is the oldest, and so what a full buffer drops."""
        with self._changed:
            room = max(0, self._limit - len(self._waiting))
            kept = list(messages)[-room:] if room else []
            self.dropped += len(messages) - len(kept)
            self._waiting.extendleft(reversed(kept))


@dataclass(frozen=True)
class PumpState:
    """How a sink does. `error` is None while it is up; `has_worked`: it was up at least once."""

    error: SinkDown | None
    has_worked: bool
    waiting: int
    delivered: int
    dropped: int


class Pump:
    """Moves messages out in a thread of its own, again and again until it works.

    Args:
        name: of the sink, for the log.
        limit: messages that may wait.
        on_change: called in the pump's thread when the sink goes down or comes back.
    """

    def __init__(
        self, name: str, sink: Sink, view: NodeView, limit: int, on_change: Callable[[], None]
    ) -> None:
        self._name = name
        self._sink = sink
        self._view = view
        self._buffer = Buffer(limit)
        self._on_change = on_change
        self._error: SinkDown | None = None
        self._has_worked = False
        self._delivered = 0
        self._is_stopping = threading.Event()
        # A name server that does not answer holds its asker for ever: the process still ends.
        self._thread = threading.Thread(target=self._run, name=f"pump-{name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def put(self, message: Message) -> None:
        """Hand a message over; never waits."""
        self._buffer.put(message)

    def state(self) -> PumpState:
        """How it does now."""
        buffer = self._buffer
        return PumpState(
            self._error, self._has_worked, len(buffer), self._delivered, buffer.dropped
        )

    @property
    def is_running(self) -> bool:
        """Whether it still moves messages; a fault of ours ends it."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Send what waits if that works at once, say goodbye, and end."""
        self._is_stopping.set()
        self._buffer.wake()
        self._thread.join(STOP_S)
        if self._thread.is_alive():
            log.warning("sink does not end", extra={"sink": self._name})

    def _run(self) -> None:
        retry_s, tend_at_s = FIRST_RETRY_S, 0.0
        try:
            while not self._is_stopping.is_set():
                try:
                    self._move(TEND_S)
                    if (now_s := time.monotonic()) >= tend_at_s:
                        self._sink.tend(self._view)
                        tend_at_s = now_s + TEND_S
                except SinkDown as exc:
                    self._note(exc)
                    self._is_stopping.wait(retry_s)
                    retry_s = min(LONGEST_RETRY_S, 2 * retry_s)
                else:
                    self._note(None)
                    retry_s = FIRST_RETRY_S
            self._move_rest()
        except Exception:
            log.exception("sink failed", extra={"sink": self._name})
            self._note(SinkDown("the sink failed", hint="the log has the trace"))
        finally:
            self._sink.close()

    def _move(self, wait_s: float) -> None:
        batch = self._buffer.take(BATCH, wait_s)
        if not batch:
            return
        try:
            self._sink.write(batch)
        except SinkDown:
            self._buffer.put_back(batch)
            raise
        self._delivered += len(batch)

    def _move_rest(self) -> None:
        until_s = time.monotonic() + 1.0
        try:
            while self._error is None and len(self._buffer) and time.monotonic() < until_s:
                self._move(0.0)
        except SinkDown as exc:
            self._note(exc)
        if len(self._buffer):
            log.warning("sink ends early", extra={"sink": self._name, "lost": len(self._buffer)})

    def _note(self, error: SinkDown | None) -> None:
        before, self._error = self._error, error
        is_first = error is None and not self._has_worked
        self._has_worked |= error is None
        if str(before) == str(error) and not is_first:
            return
        facts = {"sink": self._name, "waiting": len(self._buffer), "dropped": self._buffer.dropped}
        if error is not None:
            log.error(error.message, extra={**facts, "next": error.hint})
        else:
            log.info("sink is up", extra=facts)
        self._on_change()

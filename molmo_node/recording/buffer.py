"""What waits to be written: bounded, and when it is full the oldest gives way and is counted."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Literal

from molmo_node.bus.frames import Frame
from molmo_node.messages import Answer, Status

FRAME_BYTES = 96 * 1024 * 1024
MESSAGES = 4096
Lane = Literal["frames", "messages"]


@dataclass(frozen=True)
class Waiting:
    """Something to record, and when it came, on the recorder's clock."""

    number: int
    news: Frame | Answer | Status
    log_ns: int

    @property
    def nbytes(self) -> int:
        """What it takes in memory, as far as it counts here."""
        return self.news.body.nbytes if isinstance(self.news, Frame) else 0


class DropOldest:
    """A queue from the listening thread to the writing one. `put` never waits.

    Frames and messages give way in their own lanes, so that a flood of pictures pushes no
    answer out; they come out in the order they were put in.

    Args:
        frame_bytes: bodies of all waiting frames; the newest always finds room.
        messages: answers and states.
    """

    def __init__(self, frame_bytes: int = FRAME_BYTES, messages: int = MESSAGES) -> None:
        self._frame_bytes, self._messages = frame_bytes, messages
        self._lanes: dict[Lane, deque[Waiting]] = {"frames": deque(), "messages": deque()}
        self._waiting_bytes = self._number = 0
        self._is_closed = False
        self._change = threading.Condition()
        self.dropped: dict[Lane, int] = {"frames": 0, "messages": 0}

    def put(self, news: Frame | Answer | Status, log_ns: int) -> None:
        """Add one; the oldest of its lane gives way where there is no room."""
        with self._change:
            self._number += 1
            lane: Lane = "frames" if isinstance(news, Frame) else "messages"
            added = Waiting(self._number, news, log_ns)
            self._lanes[lane].append(added)
            self._waiting_bytes += added.nbytes
            while len(self._lanes[lane]) > 1 and self._is_full(lane):
                self._waiting_bytes -= self._lanes[lane].popleft().nbytes
                self.dropped[lane] += 1
            self._change.notify()

    def take(self, timeout_s: float) -> Waiting | None:
        """The oldest of all; None if none comes in time, or none will come any more."""
        with self._change:
            self._change.wait_for(lambda: self._is_closed or any(self._lanes.values()), timeout_s)
            heads = [lane for lane in self._lanes.values() if lane]
            if not heads:
                return None
            taken = min(heads, key=lambda lane: lane[0].number).popleft()
            self._waiting_bytes -= taken.nbytes
            return taken

    def close(self) -> None:
        """Nothing is put in any more; what is in can still be taken."""
        with self._change:
            self._is_closed = True
            self._change.notify()

    @property
    def is_over(self) -> bool:
        """Whether it is closed and empty."""
        with self._change:
            return self._is_closed and not any(self._lanes.values())

    def _is_full(self, lane: Lane) -> bool:
        if lane == "frames":
            return self._waiting_bytes > self._frame_bytes
        return len(self._lanes[lane]) > self._messages

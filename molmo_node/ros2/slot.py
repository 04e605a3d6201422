"""One place for the newest message between the thread that receives and the one that uses."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class SlotClosed(Exception):
    """Nothing comes any more; no error."""


class NewestSlot(Generic[T]):
    """Keeps the newest item; a new one takes the place of one that nobody took.

    Attributes:
        received: items that came.
        replaced: items that nobody took (rule: keep_newest).
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: T | None = None
        self._is_closed = False
        self.received = 0
        self.replaced = 0

    def put(self, item: T) -> None:
        """Leave an item; never waits."""
        with self._changed:
            self.received += 1
            self.replaced += self._item is not None
            self._item = item
            self._changed.notify()

    def wait(self, timeout_s: float) -> T | None:
        """The newest item without taking it; None if none comes in time.

        Raises:
            SlotClosed: the slot was closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._item is not None, timeout_s)
            if self._is_closed:
                raise SlotClosed
            return self._item

    def take(self, timeout_s: float) -> T | None:
        """The newest item, once; None if none comes in time.

        Raises:
            SlotClosed: the slot was closed.
        """
        with self._changed:
            item = self.wait(timeout_s)  # a Condition's lock may be taken again by its owner
            self._item = None
            return item

    def close(self) -> None:
        """Wake whoever waits, for good."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

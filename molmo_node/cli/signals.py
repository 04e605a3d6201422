"""SIGTERM and SIGINT end a node in order, from the first line of its verb on."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType

from molmo_node.cli.exits import DONE, INTERRUPTED


class StopSignals:
    """Takes the signals when it is made; what comes before `attach` is kept until then."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._stop: Callable[[], None] | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def attach(self, stop: Callable[[], None]) -> None:
        """Call `stop` at a signal; at once if one has come already."""
        self._stop = stop
        if self.received is not None:
            stop()

    def exit_code(self, code: int) -> int:
        """The process's exit code: 130 after Ctrl-C, else `code`."""
        return INTERRUPTED if code == DONE and self.received == signal.SIGINT else code

    def _note(self, number: int, _: FrameType | None) -> None:
        self.received = number
        if self._stop is not None:
            self._stop()

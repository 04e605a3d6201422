"""Wakes a thread that polls sockets, from any other thread."""

from __future__ import annotations

import contextlib
import os


class Wake:
    """A flag one can poll on. Messages themselves travel in a queue beside it."""

    def __init__(self) -> None:
        self._read_fd, self._write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def fileno(self) -> int:
        """What the poller watches."""
        return self._read_fd

    def set(self) -> None:
        """Wake the poller; any thread and signal handler may call it, even after `close`."""
        if self._write_fd >= 0:
            with contextlib.suppress(BlockingIOError):  # full: it is awake already
                os.write(self._write_fd, b"\0")

    def clear(self) -> None:
        """Called by the poller, before it looks into its queue."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._read_fd, 4096)

    def close(self) -> None:
        """After every thread that sets it has ended."""
        write_fd, self._write_fd = self._write_fd, -1
        os.close(write_fd)
        os.close(self._read_fd)

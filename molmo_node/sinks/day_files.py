"""Lines into a file a day, whole or not at all."""

from __future__ import annotations

import logging
import os
import re
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from molmo_node.clock import SYSTEM_CLOCK, Clock
from molmo_node.sinks.base import SinkDown

log = logging.getLogger(__name__)

_TAIL_BYTES = 1 << 20


class DayFiles:
    """Appends to ``FOLDER/2026-11-25.SUFFIX``; the day is that of writing, in UTC.

    What a full disk let through only in part is taken back, and a last line that a power cut
    left unfinished is removed: a file holds whole lines. Belongs to one thread.

    Args:
        header: the first line of every file, if any.
        keep_days: files of earlier days are removed; None keeps all.
    """

    def __init__(
        self,
        folder: Path,
        suffix: str,
        *,
        header: str = "",
        keep_days: int | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._folder = folder
        self._suffix = suffix
        self._header = header
        self._keep_days = keep_days
        self._clock = clock
        self._day: date | None = None
        self._fd = -1

    def append(self, lines: list[str]) -> None:
        """Write lines, each without its end.

        Raises:
            SinkDown: the folder or file cannot be written; nothing of them is in the file.
        """
        try:
            self.check()
            self._write("".join(f"{line}\n" for line in lines).encode())
        except OSError as exc:
            self.close()
            raise self._down(exc) from exc

    def check(self) -> None:
        """Make sure that today's file is open and still there.

        Raises:
            SinkDown: it cannot be.
        """
        try:
            today = datetime.fromtimestamp(self._clock.wall_ns() // 10**9, UTC).date()
            if self._fd >= 0 and (today != self._day or not self._is_there()):
                self.close()
            if self._fd < 0:
                self._open(today)
        except OSError as exc:
            self.close()
            raise self._down(exc) from exc

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            with suppress(OSError):
                os.close(self._fd)
        self._fd = -1

    def _open(self, day: date) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(self._path(day), flags, 0o640)
        self._day = day
        self._mend()
        if self._header and not os.fstat(self._fd).st_size:
            self._write(f"{self._header}\n".encode())
        self._remove_old(day)

    def _mend(self) -> None:
        """Cut off a last line without an end."""
        size = os.fstat(self._fd).st_size
        tail = os.pread(self._fd, _TAIL_BYTES, max(0, size - _TAIL_BYTES))
        cut = len(tail) - (tail.rfind(b"\n") + 1)
        if cut:
            os.ftruncate(self._fd, size - cut)
            log.warning("unfinished line removed", extra={"file": str(self._day), "bytes": cut})

    def _write(self, body: bytes) -> None:
        size = os.fstat(self._fd).st_size
        view = memoryview(body)
        at = size
        try:
            while view:
                written = os.pwrite(self._fd, view, at)
                view, at = view[written:], at + written
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._fd, size)
            raise

    def _is_there(self) -> bool:
        """Whether the open file is still the one under its name: rotated away, it is not."""
        assert self._day is not None
        try:
            return os.path.samestat(os.fstat(self._fd), self._path(self._day).stat())
        except FileNotFoundError:
            return False

    def _remove_old(self, today: date) -> None:
        if self._keep_days is None:
            return
        oldest = today - timedelta(days=self._keep_days - 1)
        for path in self._folder.glob(f"*.{self._suffix}"):
            if re.fullmatch(r"\d{4}-\d\d-\d\d", path.stem) and path.stem < oldest.isoformat():
                path.unlink(missing_ok=True)

    def _path(self, day: date) -> Path:
        return self._folder / f"{day.isoformat()}.{self._suffix}"

    def _down(self, exc: OSError) -> SinkDown:
        reason = (exc.strerror or str(exc)).lower()
        return SinkDown(
            f"{self._folder}: cannot be written ({reason})",
            hint="make room, or give this user the folder; readings wait and are written then",
        )

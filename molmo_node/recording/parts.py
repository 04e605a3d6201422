"""From one recording to the next: when a file is full, what it is called, which ones are kept."""

from __future__ import annotations

import contextlib
import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from molmo_node.recording.entries import Entry
from molmo_node.recording.writer import RecordingFile

SECOND_NS = 1_000_000_000
Counters = Callable[[], Mapping[str, int]]


@dataclass(frozen=True)
class Bounds:
    """How much is recorded. None is no bound.

    Attributes:
        most_bytes, most_s: of a file.
        splits: whether a full file is followed by the next one, or ends the recording.
        kept: so many files stay, those of earlier recordings of this name among them; the oldest
            go.
    """

    most_bytes: int | None = None
    most_s: float | None = None
    splits: bool = False
    kept: int | None = None


class Parts:
    """The files of one recording: ``NAME.mcap``, or ``NAME-0001.mcap`` … where it splits.

    Belongs to one thread. Raises as `RecordingFile` does.
    """

    def __init__(self, out: Path, bounds: Bounds, about: Mapping[str, str]) -> None:
        self._out, self._bounds, self._about = out, bounds, about
        earlier = _earlier(out) if bounds.splits else {}
        self._made = deque(earlier[number] for number in sorted(earlier))
        self._number = max(earlier, default=0)
        self._first_ns: int | None = None
        self.messages = 0
        self.refused = 0
        self.nbytes = 0
        self.file = self._next()

    def write(self, entries: list[Entry], log_ns: int, counters: Counters) -> bool:
        """Write messages that belong together into one file; False if no more are to come.

        Args:
            counters: asked and written at the end of a file that is full.
        """
        if self._is_full(entries, log_ns):
            self.finish(counters())
            if not self._bounds.splits:
                return False
            self.file = self._next()
        if self._first_ns is None:
            self._first_ns = log_ns
        for entry in entries:
            self.file.write(entry, log_ns)
        return True

    def finish(self, counters: Mapping[str, int]) -> None:
        """End the file that is open."""
        self.file.finish(counters)
        self.messages += self.file.messages
        self.refused += self.file.refused
        self.nbytes += self.file.written_bytes

    def _is_full(self, entries: list[Entry], log_ns: int) -> bool:
        if self._first_ns is None:  # one frame always fits
            return False
        most_bytes, most_s = self._bounds.most_bytes, self._bounds.most_s
        if most_s is not None and log_ns - self._first_ns >= most_s * SECOND_NS:
            return True
        if most_bytes is None:
            return False
        costs = sum(self.file.cost_bytes(entry) for entry in entries)
        if self.file.nbytes + costs > most_bytes:
            self.file.flush()  # how small it got by compression is known only then
        return self.file.nbytes + costs > most_bytes

    def _next(self) -> RecordingFile:
        self._number += 1
        self._first_ns = None
        path = self._out
        if self._bounds.splits:
            path = path.with_name(f"{path.stem}-{self._number:04d}{path.suffix}")
        file = RecordingFile(path, self._about)
        self._made.append(path)
        # Only now: where no file can be begun, none is given up for it.
        while self._bounds.kept is not None and len(self._made) > self._bounds.kept:
            with contextlib.suppress(FileNotFoundError):  # somebody was quicker
                self._made.popleft().unlink()
        return file


def _earlier(out: Path) -> dict[int, Path]:
    """The parts that a recording of this name left before, by number: a restart goes on there."""
    name = re.compile(rf"{re.escape(out.stem)}-(\d{{4,9}}){re.escape(out.suffix)}")
    found = {name.fullmatch(path.name): path for path in out.parent.glob(f"*{out.suffix}")}
    return {int(match[1]): path for match, path in found.items() if match}

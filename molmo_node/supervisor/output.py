"""What a child writes: cut into lines, the last ones kept, all of them passed on."""

from __future__ import annotations

import contextlib
from collections import deque
from typing import TextIO

from molmo_node.supervisor.spec import KEPT_LINES

LONGEST_LINE_BYTES = 4096


class Output:
    """Takes the bytes of one child's stdout and stderr; is a stream of circus.

    Args:
        name: written before each line that is passed on.
        sink: where lines go, or None to keep them only.
    """

    def __init__(self, name: str, sink: TextIO | None) -> None:
        self._name = name
        self._sink = sink
        self._kept: deque[str] = deque(maxlen=KEPT_LINES)
        self._rest = {"stdout": b"", "stderr": b""}

    def __call__(self, data: dict[str, object]) -> None:
        """Take what was read: circus gives ``{"name": "stdout", "data": bytes, "pid": int}``."""
        raw, stream = data["data"], str(data["name"])
        assert isinstance(raw, bytes)
        *lines, rest = (self._rest[stream] + raw).split(b"\n")
        while len(rest) > LONGEST_LINE_BYTES:
            lines.append(rest[:LONGEST_LINE_BYTES])
            rest = rest[LONGEST_LINE_BYTES:]
        self._rest[stream] = rest
        self._take(lines)

    def end(self) -> None:
        """The child is gone: what it wrote without an end of line is a line too."""
        for stream, rest in self._rest.items():
            if rest:
                self._take([rest])
            self._rest[stream] = b""

    def forget(self) -> None:
        """A new run begins: the lines of the last one are dropped."""
        self._kept.clear()

    @property
    def lines(self) -> tuple[str, ...]:
        """The last lines of this run, oldest first."""
        return tuple(self._kept.copy())

    def _take(self, raw_lines: list[bytes]) -> None:
        lines = [_text(raw[:LONGEST_LINE_BYTES]) for raw in raw_lines]
        self._kept.extend(lines)
        if self._sink is None or not lines:
            return
        # A closed terminal must not end the processes that wrote to it.
        with contextlib.suppress(OSError, ValueError):
            self._sink.write("".join(f"{self._name} | {line}\n" for line in lines))
            self._sink.flush()


def _text(raw: bytes) -> str:
    return raw.rstrip(b"\r").decode("utf-8", "replace")

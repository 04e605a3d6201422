"""A supervisor in a thread, and waiting for what it tells."""

from __future__ import annotations

import io
import sys
import threading
import time
from collections.abc import Callable

import pytest

from molmo_node.supervisor import ProcessEvent, ProcessSpec, Supervisor

SLEEPER = "import time; print('up', flush=True); time.sleep(600)"


def python(code: str, name: str = "child", **more) -> ProcessSpec:
    """A process that runs `code`."""
    return ProcessSpec(name=name, argv=(sys.executable, "-c", code), **more)


def wait_until(is_so: Callable[[], object], what: str, within_s: float = 8.0) -> None:
    end_s = time.monotonic() + within_s
    while not is_so():
        if time.monotonic() > end_s:
            pytest.fail(f"not within {within_s} s: {what}")
        time.sleep(0.005)


class Running:
    """A supervisor that runs in a thread of its own."""

    def __init__(
        self,
        *specs: ProcessSpec,
        on_event: Callable[[ProcessEvent], object] = lambda event: None,
        **more,
    ) -> None:
        self.events: list[tuple[float, ProcessEvent]] = []
        self.sink = io.StringIO()
        self.code: int | None = None
        self.supervisor = Supervisor(
            specs,
            lambda event: (self.events.append((time.monotonic(), event)), on_event(event)),
            sink=self.sink,
            **more,
        )
        self._thread = threading.Thread(target=self._run, name="supervisor")
        self._thread.start()

    def _run(self) -> None:
        self.code = self.supervisor.run()

    def told(self, kind: str, name: str = "child") -> list[ProcessEvent]:
        return [event for _, event in self.events if (event.kind, event.name) == (kind, name)]

    def when(self, kind: str, name: str = "child") -> list[float]:
        return [at_s for at_s, event in self.events if (event.kind, event.name) == (kind, name)]

    def wait_for(self, kind: str, name: str = "child", times: int = 1) -> ProcessEvent:
        wait_until(lambda: len(self.told(kind, name)) >= times, f"{times} × {kind} of {name}")
        return self.told(kind, name)[times - 1]

    def wait_for_line(self, line: str) -> None:
        wait_until(lambda: line in self.sink.getvalue(), f"the line {line!r}")

    def state(self, name: str = "child"):
        return next(found for found in self.supervisor.states() if found.name == name)

    def end(self) -> int | None:
        self.supervisor.stop()
        self._thread.join(timeout=10)
        assert not self._thread.is_alive()
        return self.code

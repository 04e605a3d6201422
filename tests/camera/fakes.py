"""Stand-ins for time and cameras: a clock that is turned by hand, sources that follow a script."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from molmo_node import imaging
from molmo_node.camera.base import EndOfStream, Grabbed, Source, SourceInfo
from molmo_node.camera.loop import CaptureLoop
from molmo_node.clock import Clock
from molmo_node.messages import FrameRef

SECOND_NS = 1_000_000_000
PIXELS = np.zeros((48, 64, 3), np.uint8)
JPEG = imaging.encode_jpeg(PIXELS)


class FakeClock(Clock):
    """Stands still until it is advanced; the wall may jump on its own."""

    def __init__(self) -> None:
        self.now_ns = 1000 * SECOND_NS
        self.wall_offset_ns = 1_700_000_000 * SECOND_NS

    def mono_ns(self) -> int:
        return self.now_ns

    def wall_ns(self) -> int:
        return self.now_ns + self.wall_offset_ns

    def advance(self, seconds: float) -> None:
        self.now_ns += round(seconds * SECOND_NS)


def good_frame(clock: Clock, **changes: object) -> Grabbed:
    """A frame that passes every check, with what a test changes."""
    facts: dict[str, object] = {
        "body": JPEG, "encoding": "jpeg", "width": 64, "height": 48,
        "stamp_ns": clock.wall_ns(), "mono_ns": clock.mono_ns(),
    }  # fmt: skip
    return Grabbed(**(facts | changes))  # type: ignore[arg-type]


Step = Grabbed | Exception | Callable[[], Grabbed]


class ScriptedSource:
    """Gives the steps of a script, one a read; an exception is raised, a callable is called."""

    def __init__(
        self, steps: Iterable[Step], *, is_live: bool = True, fps: float = 10.0,
        open_error: Exception | None = None,
    ) -> None:  # fmt: skip
        self._steps: Iterator[Step] = iter(steps)
        self._info = SourceInfo(backend="scripted", stable_id="s", is_live=is_live, fps=fps)
        self._open_error = open_error
        self.closed = 0

    def open(self) -> SourceInfo:
        if self._open_error:
            raise self._open_error
        return self._info

    def read(self) -> Grabbed:
        step = next(self._steps, None)
        if step is None:
            raise EndOfStream
        if isinstance(step, Exception):
            raise step
        return step if isinstance(step, Grabbed) else step()

    def close(self) -> None:
        self.closed += 1


@dataclass
class Recorder:
    """What a loop published and reported."""

    frames: list[tuple[Grabbed, FrameRef]] = field(default_factory=list)
    reports: list[tuple[str, str]] = field(default_factory=list)

    def publish(self, grabbed: Grabbed, ref: FrameRef) -> None:
        self.frames.append((grabbed, ref))

    def report(self, state: str, detail: str) -> None:
        self.reports.append((state, detail))

    @property
    def refs(self) -> list[FrameRef]:
        return [ref for _, ref in self.frames]

    @property
    def states(self) -> list[str]:
        return [state for state, _ in self.reports]


def make_loop(
    sources: Iterable[Source], recorder: Recorder, clock: FakeClock, **options: object
) -> CaptureLoop:
    """A loop on a fake clock whose waits advance that clock; it ends after the last source."""
    pending = iter(sources)

    def wait(seconds: float) -> bool:
        clock.advance(seconds)
        return False

    def factory() -> Source:
        source = next(pending, None)
        return source if source is not None else ScriptedSource([])

    numbers = iter(range(10_000))
    facts: dict[str, object] = {
        "camera": "front", "wait": wait, "make_session": lambda: f"s{next(numbers)}"
    }  # fmt: skip
    return CaptureLoop(
        factory, recorder.publish, recorder.report, clock,
        **(facts | options),  # type: ignore[arg-type]
    )  # fmt: skip

"""The thread in which pictures are decoded and the engine works, one job at a time."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from molmo_node.bus.frames import Frame
from molmo_node.bus.wake import Wake
from molmo_node.errors import ModelError, MolmoNodeError
from molmo_node.messages import Answer
from molmo_node.worker.answering import Answerer, Result
from molmo_node.worker.queries import Asked
from molmo_node.worker.watches import StandingWatch

log = logging.getLogger(__name__)

Load = Callable[[Callable[[float], None]], Answerer]


@dataclass(eq=False)
class Job:
    """Everything due on one frame.

    Attributes:
        take: gives the frame, the newest at the moment the job starts; None if it is gone.
        started_ns: monotonic, when the job was handed over.
        on_look: for a job without questions, which only looks: is given the frame.
    """

    camera: str
    take: Callable[[], Frame | None]
    asked: list[Asked]
    watches: list[StandingWatch]
    started_ns: int
    on_look: Callable[[Frame], None] | None = None
    results: list[Result] = field(default_factory=list)


class EngineThread:
    """Loads the engine, then works on jobs until it is stopped.

    Args:
        load: makes the answerer; gets a function to report progress in percent.
        wake: set whenever `done` or the state has something new.
    """

    def __init__(self, load: Load, wake: Wake) -> None:
        self._load = load
        self._wake = wake
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self.done: deque[Job] = deque()
        self.answerer: Answerer | None = None
        self.load_pct: float | None = None
        self.load_error: MolmoNodeError | None = None
        self.thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Begin to load. The thread is a daemon only because a hung engine cannot be joined."""
        self.thread.start()

    def submit(self, job: Job) -> None:
        """Hand over the next job; the caller waits for it in `done` before the next."""
        self._jobs.put(job)

    def stop(self, within_s: float) -> bool:
        """Ask the thread to end and wait; False if it still works then."""
        self._jobs.put(None)
        self.thread.join(within_s)
        return not self.thread.is_alive()

    def _run(self) -> None:
        try:
            self.answerer = self._load(self._report_progress)
        except MolmoNodeError as exc:
            self.load_error = exc
        except Exception as exc:
            log.exception("engine could not be loaded")
            self.load_error = ModelError(f"the engine could not be loaded: {type(exc).__name__}")
        self._wake.set()
        while self.answerer is not None and (job := self._jobs.get()) is not None:
            job.results = self._work_on(job, self.answerer)
            self.done.append(job)
            self._wake.set()
        if self.answerer is not None and self.answerer.engine is not None:
            self.answerer.engine.close()

    def _report_progress(self, percent: float) -> None:
        self.load_pct = percent
        self._wake.set()

    def _work_on(self, job: Job, answerer: Answerer) -> list[Result]:
        count = len(job.asked) + len(job.watches)
        started = time.perf_counter()
        try:
            frame = job.take()
            if frame is None:
                return [ModelError("the frame was gone before it was looked at")] * count
            image = frame.rgb()
            if job.on_look is not None:
                job.on_look(frame)  # first: a picture that cannot be seen is not tried for ever
                answerer.look(image)
                return []
            prepare_ms = (time.perf_counter() - started) * 1e3
            questions = [asked.query.question for asked in job.asked]
            questions += [watch.spec.question for watch in job.watches]
            drafts = [None] * len(job.asked) + [watch.draft for watch in job.watches]
            results = answerer.answer(
                image, frame.header.ref, questions, drafts, lambda i: _is_over(job, i)
            )
        except MolmoNodeError as exc:
            return [exc] * count
        except Exception:
            log.exception("job failed", extra={"camera": job.camera})
            return [ModelError("this frame could not be worked on")] * count
        return [_with_prepare(result, prepare_ms) for result in results]


def _is_over(job: Job, index: int) -> bool:
    return index < len(job.asked) and job.asked[index].is_over


def _with_prepare(result: Result, prepare_ms: float) -> Result:
    if not isinstance(result, Answer):
        return result
    timing = result.timing_ms
    timing = msgspec.structs.replace(timing, prepare=timing.prepare + prepare_ms)
    return msgspec.structs.replace(result, timing_ms=timing)

"""What the engine does next: everything that is due on one frame, as one batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

import msgspec
import numpy as np

from molmo_node.bus.frames import Frame
from molmo_node.clock import SYSTEM_CLOCK, Clock
from molmo_node.errors import MolmoNodeError
from molmo_node.imaging import image_size
from molmo_node.messages import Answer, FrameHeader, FrameRef
from molmo_node.worker.ahead import LookAhead
from molmo_node.worker.cameras import Cameras
from molmo_node.worker.engine_thread import Job
from molmo_node.worker.health import captured_ns
from molmo_node.worker.queries import Asked, QueryQueue
from molmo_node.worker.watches import StandingWatch, Watches

BATCH = 8
SMOOTHING = 0.3
_ATTACHED = ""  # the source of pictures that came with their questions; no camera's name


class Scheduler:
    """Chooses the next job: an attached picture, or a camera with questions due.

    Cameras and attached pictures take turns, so that none starves the others. Belongs to one
    thread.
    """

    def __init__(
        self, cameras: Cameras, clock: Clock = SYSTEM_CLOCK, ahead: LookAhead | None = None
    ) -> None:
        self._cameras = cameras
        self._ahead = ahead or LookAhead(clock=clock)
        self._clock = clock
        self._turn = 0
        self._seen: dict[str, FrameRef] = {}
        self._job_ms: float | None = None
        self.counters: Counter[str] = Counter()

    def wait_ms(self, waiting: int) -> float | None:
        """About how long a question waits behind `waiting` others; None before the first job."""
        if self._job_ms is None:
            return None
        return round(self._job_ms * (1 + waiting // BATCH), 1)

    def note_done(self, job: Job, now_ns: int) -> None:
        """Learn how long jobs take."""
        took_ms = (now_ns - job.started_ns) / 1e6
        last = self._job_ms
        self._job_ms = took_ms if last is None else last + SMOOTHING * (took_ms - last)
        self.counters["jobs"] += 1

    def next_job(self, queue: QueryQueue, watches: Watches) -> Job | None:
        """The next job, or None if nothing is due now. Questions taken leave the queue."""
        sources = [_ATTACHED, *self._cameras.names]
        for offset in range(len(sources)):
            source = sources[(self._turn + offset) % len(sources)]
            if source == _ATTACHED:
                job = self._attached_job(queue)
            else:
                job = self._camera_job(source, queue, watches)
            if job:
                self._turn = (self._turn + offset + 1) % len(sources)
                return job
        return self._look_job() if self._ahead.is_wanted() else None

    def publish_watch(
        self,
        watch: StandingWatch,
        result: Answer | MolmoNodeError,
        publish: Callable[[Answer], None],
    ) -> None:
        """Send a watch's answer out; a failure is counted and seen in the status."""
        if isinstance(result, Answer):
            watch.draft = result.text or None
            self.counters["watch_answers"] += 1
            publish(msgspec.structs.replace(result, watch=watch.spec.name))
        else:
            self.counters[f"watch_{result.code}"] += 1

    def _camera_job(self, name: str, queue: QueryQueue, watches: Watches) -> Job | None:
        receiver = self._cameras.receiver(name)
        newest, received_ns = receiver.newest, receiver.stats.received_ns
        if newest is None or received_ns is None:
            return None
        now_ns = self._clock.mono_ns()
        seen_ns = captured_ns(newest, received_ns)
        asked = queue.take(lambda asked: self._is_ready(asked, name, seen_ns, now_ns), BATCH)
        due = self._due(name, newest, watches, now_ns, now_ns - seen_ns)
        if not asked and not due:
            return None
        if asked:
            self._ahead.note_question()
        # A watch wants the newest frame; a question alone takes one that was looked at already.
        take = receiver.take if due else partial(self._take, name, asked)
        return Job(name, take, asked, due, now_ns)

    def _take(self, name: str, asked: list[Asked]) -> Frame | None:
        """In the engine's thread: the frame that was looked at ahead, or else the newest."""
        after_ns = max((a.arrived_ns for a in asked if a.query.frame == "next"), default=0)
        most_age_ns = min(self._most_age_ns(name, a.query.max_age_ms) for a in asked)
        seen = self._ahead.fresh(name, after_ns, most_age_ns)
        return seen or self._cameras.receiver(name).take()

    def _look_job(self) -> Job | None:
        """A job without questions: the newest frame of a camera that was not looked at yet."""
        for name in self._cameras.names:
            receiver = self._cameras.receiver(name)
            newest = receiver.newest
            if newest and not self._ahead.has_seen(name, newest.ref.session, newest.ref.seq):
                return Job(name, receiver.take, [], [], self._clock.mono_ns(), self._ahead.keep)
        return None

    def _is_ready(self, asked: Asked, name: str, seen_ns: int, now_ns: int) -> bool:
        """Whether the newest frame of camera `name` is one that this question may be about."""
        query = asked.query
        is_here = query.camera == name or (not query.camera and len(self._cameras.names) == 1)
        if asked.image is not None or not is_here:
            return False
        if query.frame == "next" and seen_ns <= asked.arrived_ns:
            return False
        return now_ns - seen_ns <= self._most_age_ns(name, query.max_age_ms)

    def _most_age_ns(self, name: str, max_age_ms: float | None) -> int:
        if max_age_ms is not None:
            return int(max_age_ms * 1e6)
        return self._cameras.alive_within_ns(name)

    def _due(
        self, name: str, newest: FrameHeader, watches: Watches, now_ns: int, age_ns: int
    ) -> list[StandingWatch]:
        if self._seen.get(name) == newest.ref:  # a frame is watched once
            return []
        due = watches.due(name, now_ns, len(self._cameras.names) == 1)
        fresh = [w for w in due if age_ns <= self._most_age_ns(name, w.spec.max_age_ms)]
        if due:
            self._seen[name] = newest.ref
        return fresh

    def _attached_job(self, queue: QueryQueue) -> Job | None:
        taken = queue.take(lambda asked: asked.image is not None, 1)
        if not taken:
            return None
        frame = partial(_attached_frame, taken[0], self._clock)
        return Job("", frame, taken, [], self._clock.mono_ns())


def _attached_frame(asked: Asked, clock: Clock) -> Frame:
    assert asked.image is not None
    encoding, body = asked.image
    width, height = image_size(body, encoding)
    ref = FrameRef(
        camera="", session="attached", seq=0, stamp_ns=clock.wall_ns(), mono_ns=clock.mono_ns()
    )
    header = FrameHeader(ref=ref, width=width, height=height, encoding=encoding, nbytes=len(body))
    return Frame(header, np.frombuffer(body, np.uint8))

"""What a node and everything around it said last: behind `/health`, `/metrics` and the sinks."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from molmo_node.clock import SYSTEM_CLOCK, Clock
from molmo_node.messages import Answer, CameraHealth, Status, WatchSpec

LOST_AFTER_S = 2.0
OVERDUE_PERIODS = 3
REMEMBERED = 512
K = TypeVar("K")
V = TypeVar("V")
_ENDED = ("stopped", "failed")
_FAILURES = ("model_error", "device_lost", "watch_model_error", "watch_device_lost")
_SUCCESSES = ("answered", "watch_answers")


@dataclass(frozen=True)
class SeenNode:
    """A node's last status.

    Attributes:
        age_s: since it came.
        failures: questions that failed in the engine since the last one that was answered.
    """

    status: Status
    age_s: float
    failures: int = 0

    @property
    def is_lost(self) -> bool:
        """Whether it has fallen silent, or said that it ends."""
        return self.age_s > LOST_AFTER_S or self.status.state in _ENDED


@dataclass(frozen=True)
class SeenCamera:
    """A camera, by its own account and by the worker's.

    Attributes:
        is_alive: everybody who can say it says that frames come.
        reason: why not, for people; empty while alive.
        last_frame_ns: wall clock of the newest frame; None if there was none.
        health: the worker's view, or else the camera's own; None if nobody is heard.
    """

    name: str
    is_alive: bool
    reason: str
    last_frame_ns: int | None
    health: CameraHealth | None


@dataclass(frozen=True)
class SeenAnswer:
    """The newest answer of one watch.

    Attributes:
        age_s: since it came.
        gap_s: between it and the one before; 0 for the first.
    """

    answer: Answer
    age_s: float
    gap_s: float


class NodeView:
    """Keeps the newest of everything. Any thread may write or read.

    It remembers at most `REMEMBERED` nodes and as many watches, the latest.
    """

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._nodes: OrderedDict[str, tuple[int, Status, int]] = OrderedDict()
        self._answers: OrderedDict[tuple[str, ...], tuple[int, Answer, int]] = OrderedDict()
        self._failed: OrderedDict[str, tuple[str, int, int]] = OrderedDict()

    def note(self, message: Answer | Status) -> None:
        """Take in what a subscription gave."""
        now_ns = self._clock.mono_ns()
        with self._lock:
            if isinstance(message, Status):
                failures = self._failures(message)
                _remember(self._nodes, message.node, (now_ns, message, failures))
            elif message.watch:
                key = (message.frame.camera, message.task, message.watch)
                before_ns = self._answers[key][0] if key in self._answers else now_ns
                _remember(self._answers, key, (now_ns, message, now_ns - before_ns))

    def nodes(self) -> list[SeenNode]:
        """Every node that was ever heard, by name."""
        now_ns = self._clock.mono_ns()
        with self._lock:
            heard = sorted(self._nodes.items())
        return [SeenNode(status, (now_ns - ns) / 1e9, bad) for _, (ns, status, bad) in heard]

    def worker(self) -> SeenNode | None:
        """The worker, if it was ever heard."""
        workers = [node for node in self.nodes() if node.status.kind == "worker"]
        return min(workers, key=lambda node: node.age_s, default=None)

    def cameras(self) -> list[SeenCamera]:
        """Every camera that anybody spoke of, by name."""
        nodes = self.nodes()
        names = {camera.name for node in nodes for camera in node.status.cameras}
        return [_camera(name, nodes) for name in sorted(names)]

    def answers(self) -> list[SeenAnswer]:
        """The newest answer of every watch there was, by camera, task and name."""
        now_ns = self._clock.mono_ns()
        with self._lock:
            heard = [self._answers[key] for key in sorted(self._answers)]
        return [SeenAnswer(answer, (now_ns - ns) / 1e9, gap / 1e9) for ns, answer, gap in heard]

    def current_answers(self) -> list[SeenAnswer]:
        """Those that still hold: their watch stands, and its next answer is not overdue."""
        worker = self.worker()
        if worker is None or worker.is_lost:
            return []
        hertz = {camera.name: camera.expected_hz for camera in worker.status.cameras}
        watches = {watch.name: watch for watch in worker.status.watches}
        return [
            seen
            for seen in self.answers()
            if (watch := watches.get(seen.answer.watch)) is not None
            and seen.age_s <= overdue_s(watch, hertz.get(seen.answer.frame.camera), seen.gap_s)
        ]

    def _failures(self, status: Status) -> int:
        """Engine failures since the last success, from totals that only rise in a session."""
        failed = sum(status.counters.get(name, 0) for name in _FAILURES)
        good = sum(status.counters.get(name, 0) for name in _SUCCESSES)
        session, known_good, base = self._failed.get(status.node, ("", 0, 0))
        if session != status.session:
            base = failed if good else 0
        elif good > known_good:
            base = failed
        _remember(self._failed, status.node, (status.session, good, base))
        return failed - base


def overdue_s(watch: WatchSpec, camera_hz: float | None, gap_s: float) -> float:
    """After how long without an answer a watch is overdue: three of its periods, and 2 s.

    Args:
        camera_hz: the rate of its camera, where it is known: no frame, no answer.
        gap_s: between its last answers: a slow engine is no failure.
    """
    periods_s = (1 / watch.rate_hz, 1 / camera_hz if camera_hz else 0.0, gap_s)
    return LOST_AFTER_S + OVERDUE_PERIODS * max(periods_s)


def last_frame_ns(status: Status, name: str) -> int | None:
    """When a camera's newest frame was captured, on the wall clock, by this node's account."""
    if status.kind == "camera":
        return status.last_frame_ns
    for camera in status.cameras:
        if camera.name == name and camera.age_ms is not None:
            return status.stamp_ns - int(camera.age_ms * 1e6)
    return None


def _camera(name: str, nodes: list[SeenNode]) -> SeenCamera:
    voices = list(_spoken_of(name, nodes))
    heard = [(node, health) for node, health in voices if not node.is_lost]
    stamps = [ns for node, _ in voices if (ns := last_frame_ns(node.status, name)) is not None]
    reason = "" if heard else "nothing is heard of it"
    for node, health in heard:
        if not health.alive and not reason:
            told = node.status.detail if node.status.kind == "camera" else "no frame comes"
            reason = told or "no frame comes"
    heard.sort(key=lambda pair: pair[0].status.kind != "worker")
    return SeenCamera(
        name=name,
        is_alive=not reason,
        reason=reason,
        last_frame_ns=max(stamps, default=None),
        health=heard[0][1] if heard else None,
    )


def _spoken_of(name: str, nodes: list[SeenNode]) -> Iterator[tuple[SeenNode, CameraHealth]]:
    for node in nodes:
        for health in node.status.cameras:
            if health.name == name:
                yield node, health


def _remember(memory: OrderedDict[K, V], key: K, value: V) -> None:
    memory[key] = value
    memory.move_to_end(key)
    if len(memory) > REMEMBERED:
        memory.popitem(last=False)

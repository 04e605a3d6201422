"""The bridge's side towards the worker: standing questions, single ones, and all answers.

One thread listens, and keeps the watches standing: one that the worker refuses is tried again,
with the reason at hand, because what it refuses today (too many watches) it may take tomorrow.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from molmo_node.bus.sockets import Security
from molmo_node.client.core import Core
from molmo_node.client.request import Request
from molmo_node.client.subscription import (
    Subscription,
    answer_prefix,
    answer_stream,
    subscribe,
)
from molmo_node.clock import SYSTEM_CLOCK
from molmo_node.errors import DeadlineExceeded, MolmoNodeError, NotConnected
from molmo_node.messages import Answer, Question, WatchSpec

log = logging.getLogger(__name__)

LISTEN_S = 0.25
RETRY_NS = 2_000_000_000


@dataclass(frozen=True)
class WorkerPlace:
    """Where the worker is; see `client.Client`."""

    address: str
    run_dir: Path
    security: Security


@dataclass
class _Lease:
    """One watch: wanted, asked for, standing or refused."""

    spec: WatchSpec
    request: Request | None = None
    is_standing: bool = False
    problem: str = ""
    retry_ns: int = 0


class WorkerLink:
    """Connects on creation; `close` ends everything.

    Args:
        camera: whose answers are listened to, and who is asked about.
        on_answer: called in the listening thread with each answer about that camera.
    """

    def __init__(
        self, place: WorkerPlace, camera: str, on_answer: Callable[[Answer], None]
    ) -> None:
        self._camera = camera
        self._on_answer = on_answer
        self._leases: dict[str, _Lease] = {}
        self._lock = threading.Lock()
        self._is_stopping = threading.Event()
        self._core = Core(place.address, run_dir=place.run_dir, security=place.security)
        connection = subscribe(
            self._core.transport, [self._core.address], answer_prefix(camera, None, None)
        )
        self._answers = Subscription(connection, answer_stream(), (camera, None, None))
        self._thread = threading.Thread(target=self._run, name="ros2-answers")
        self._thread.start()

    @property
    def is_connected(self) -> bool:
        """Whether a worker is there."""
        return self._core.link.is_connected

    def watch(self, specs: Mapping[str, WatchSpec]) -> None:
        """Let exactly these watches stand; what stood before and is not among them ends."""
        with self._lock:
            for name, lease in list(self._leases.items()):
                if specs.get(name) != lease.spec:
                    del self._leases[name]
                    self._core.end_lease(name)
            for name, spec in specs.items():
                self._leases.setdefault(name, _Lease(spec))

    def problems(self) -> dict[str, str]:
        """Watches that the worker refuses, and why."""
        with self._lock:
            return {name: one.problem for name, one in self._leases.items() if one.problem}

    def ask(self, question: Question, timeout_s: float, max_age_ms: float | None = None) -> Request:
        """Ask once about the newest frame; the request's future has the answer."""
        return self._core.ask(question, self._camera, "latest", max_age_ms, timeout_s, None)

    def cancel(self, request: Request) -> None:
        """Take a question back."""
        self._core.link.cancel(request)
        request.future.cancel()

    def close(self) -> None:
        """End the watches and the connection; what is asked fails."""
        self.watch({})
        self._is_stopping.set()
        self._thread.join()
        self._core.close()

    def _run(self) -> None:
        while not self._is_stopping.is_set():
            try:
                self._tend()
                self._on_answer(self._answers.get(LISTEN_S))
            except DeadlineExceeded:
                continue
            except NotConnected as exc:
                log.error("worker refuses this bridge", extra={"why": str(exc)})
                self._is_stopping.wait(LISTEN_S)
            except Exception:
                log.exception("answer could not be passed on")
        self._answers.close()

    def _tend(self) -> None:
        now_ns = SYSTEM_CLOCK.mono_ns()
        with self._lock:
            for name, lease in self._leases.items():
                if lease.request is None and not lease.is_standing and now_ns >= lease.retry_ns:
                    lease.request = self._core.lease(lease.spec)
                elif lease.request is not None and lease.request.future.done():
                    self._settle(name, lease, now_ns)

    def _settle(self, name: str, lease: _Lease, now_ns: int) -> None:
        assert lease.request is not None
        error = lease.request.future.exception()
        lease.request = None
        lease.is_standing = error is None
        if error is None:
            self._core.keep_lease(lease.spec)
            lease.problem = ""
            return
        lease.retry_ns = now_ns + RETRY_NS
        problem = error.message if isinstance(error, MolmoNodeError) else str(error)
        if problem != lease.problem:
            log.warning("watch does not stand", extra={"watch": name, "why": problem})
        lease.problem = problem

"""The client for plain programs."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from typing import Any

from molmo_node.bus.sockets import Security
from molmo_node.client.core import Core, watch_spec
from molmo_node.client.request import Request
from molmo_node.client.subscription import (
    Subscription,
    answer_prefix,
    answer_stream,
    status_stream,
    subscribe,
)
from molmo_node.errors import Cancelled, DeadlineExceeded, MolmoNodeError
from molmo_node.messages import Answer, FrameChoice, Question, Roi, Status, Task, WatchSpec


class Pending:
    """A question on its way."""

    def __init__(self, core: Core, request: Request) -> None:
        self._core = core
        self._request = request

    def result(self, timeout_s: float | None = None) -> Answer:
        """The answer.

        Raises:
            MolmoNodeError: its children say why there is none; `DeadlineExceeded` also when
                `timeout_s` passes first (the question then still runs).
        """
        try:
            answer = self._request.future.result(timeout_s)
        except FutureTimeout as exc:
            raise DeadlineExceeded(f"no answer within {timeout_s} s") from exc
        except CancelledError as exc:
            raise Cancelled("the question was taken back") from exc
        assert isinstance(answer, Answer)
        return answer

    def is_done(self) -> bool:
        """Whether `result` would return or raise at once."""
        return self._request.future.done()

    def cancel(self) -> None:
        """Take the question back; nothing comes for it any more."""
        self._core.link.cancel(self._request)
        self._request.future.cancel()


class LeasedWatch:
    """A standing question of this program: iterate over its answers; close it to end it.

    It is renewed while it is open, made again when the worker restarts, and forgotten by the
    worker when this program is gone.
    """

    def __init__(self, core: Core, name: str, answers: Subscription[Answer]) -> None:
        self._core = core
        self._answers = answers
        self.name = name

    def get(self, timeout_s: float | None = None) -> Answer:
        """The next answer; `DeadlineExceeded` if none comes in time."""
        return self._answers.get(timeout_s)

    def __iter__(self) -> Iterator[Answer]:
        return iter(self._answers)

    def close(self) -> None:
        """End the watch."""
        self._core.end_lease(self.name)
        self._answers.close()

    def __enter__(self) -> LeasedWatch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Client:
    """Asks a running node. Thread-safe; use it as a context manager.

    Every verb waits for its answer and raises a `MolmoNodeError` when there is none. Their
    common keywords: `camera` (empty: the only one), `frame` ("latest", or "next": one
    captured after asking), `image` (a JPEG or PNG file's bytes, asked about instead of a
    camera's frame), `roi` (pixels; only that part is looked at), `max_age_ms` (how old the
    frame may be), `timeout_s` (the deadline).

    Args:
        address: the worker's base address, as ``tcp://host:port``; None: this host's worker.
        run_dir: this host's sockets; None for the default.
        security: keys, when the worker is on another host.
        retries: how often a question is asked again when a worker died while working on it.
        connect_s: how long to wait for a worker that was never there.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        run_dir: Path | str | None = None,
        security: Security | None = None,
        retries: int = 0,
        connect_s: float = 3.0,
    ) -> None:
        self._core = Core(
            address, run_dir=run_dir, security=security, retries=retries, connect_s=connect_s
        )

    def point(
        self, text: str, *, roi: Roi | None = None, refine: bool = False, **options: Any
    ) -> Answer:
        """Where is it? 0..n points in pixels of the frame."""
        return self.query(Question.point(text, roi=roi, refine=refine), **options)

    def count(self, text: str, *, roi: Roi | None = None, **options: Any) -> Answer:
        """How many are there? A number, and the points that were counted."""
        return self.query(Question.count(text, roi=roi), **options)

    def ask(self, text: str, *, roi: Roi | None = None, **options: Any) -> Answer:
        """A free question; the answer is text."""
        return self.query(Question.ask(text, roi=roi), **options)

    def describe(self, *, roi: Roi | None = None, **options: Any) -> Answer:
        """What is to be seen; the answer is text."""
        return self.query(Question.describe(roi=roi), **options)

    def extract(
        self, schema: str | None = None, *, roi: Roi | None = None, **options: Any
    ) -> Answer:
        """The text in the picture as JSON, checked against a JSON schema if one is given."""
        return self.query(Question.extract(schema, roi=roi), **options)

    def read_gauge(self, gauge: str = "", *, roi: Roi | None = None, **options: Any) -> Answer:
        """What does the gauge read? `answer.reading` has value, unit, or a reason."""
        return self.query(Question.read_gauge(gauge, roi=roi), **options)

    def read_clock(self, clock: str = "", *, roi: Roi | None = None, **options: Any) -> Answer:
        """What time does the clock show? `answer.reading` has hour and minute, or a reason."""
        return self.query(Question.read_clock(clock, roi=roi), **options)

    def query(self, question: Question, *, timeout_s: float = 10.0, **options: Any) -> Answer:
        """Ask and wait."""
        return self.submit(question, timeout_s=timeout_s, **options).result()

    def submit(
        self,
        question: Question,
        *,
        camera: str = "",
        frame: FrameChoice = "latest",
        image: bytes | None = None,
        max_age_ms: float | None = None,
        timeout_s: float = 10.0,
    ) -> Pending:
        """Ask without waiting."""
        request = self._core.ask(question, camera, frame, max_age_ms, timeout_s, image)
        return Pending(self._core, request)

    def watch(
        self,
        question: Question,
        *,
        name: str = "",
        camera: str = "",
        rate_hz: float = 1.0,
        max_age_ms: float | None = None,
        idle_s: float | None = None,
    ) -> LeasedWatch:
        """Ask again and again; the watch lives as long as it is open here."""
        spec = watch_spec(
            question, name=name, camera=camera, rate_hz=rate_hz, max_age_ms=max_age_ms
        )
        answers = self.answers(watch=spec.name, idle_s=idle_s)
        try:
            self._core.lease(spec).future.result()
        except MolmoNodeError:
            answers.close()
            raise
        self._core.keep_lease(spec)
        return LeasedWatch(self._core, spec.name, answers)

    def hold(self, spec: WatchSpec) -> None:
        """Have a watch stand without listening to it, until `release` or the client's end.

        Raises:
            MolmoNodeError: why the worker does not take it; it is then not tried again.
        """
        self._core.lease(spec).future.result()
        self._core.keep_lease(spec)

    def release(self, name: str) -> None:
        """End a watch that `hold` made."""
        self._core.end_lease(name)

    def answers(
        self,
        *,
        camera: str | None = None,
        task: Task | None = None,
        watch: str | None = None,
        idle_s: float | None = None,
    ) -> Subscription[Answer]:
        """Everybody's answers as they are made, filtered."""
        connection = subscribe(
            self._core.transport, [self._core.address], answer_prefix(camera, task, watch)
        )
        return Subscription(connection, answer_stream(), (camera, task, watch), idle_s)

    def statuses(self, *, idle_s: float | None = None) -> Subscription[Status]:
        """The state of the worker and of every node on this host, at once and on change; nodes
        that start later are heard too."""
        connection, around = self._core.statuses()
        return Subscription(connection, status_stream(), idle_s=idle_s, around=around)

    def status(self) -> Status:
        """The worker's state now."""
        status = self._core.ping().future.result()
        assert isinstance(status, Status)
        return status

    def close(self) -> None:
        """End the connection; pending questions fail."""
        self._core.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

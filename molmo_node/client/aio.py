"""The client for asyncio: the verbs of `Client`, awaited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Generic

import zmq
import zmq.asyncio

from molmo_node.bus.connection import Connection
from molmo_node.bus.sockets import Security
from molmo_node.client.core import Core, watch_spec
from molmo_node.client.subscription import (
    Around,
    Feed,
    Stream,
    T,
    answer_prefix,
    answer_stream,
    status_stream,
    subscribe,
)
from molmo_node.errors import DeadlineExceeded, MolmoNodeError
from molmo_node.messages import Answer, FrameChoice, Question, Roi, Status, Task, WatchSpec


class AsyncSubscription(Generic[T]):
    """Messages as they come, for ``async for``; see `Subscription`."""

    def __init__(
        self,
        connection: Connection,
        stream: Stream[T],
        filters: tuple[str | None, str | None, str | None] = (None, None, None),
        idle_s: float | None = None,
        around: Around | None = None,
    ) -> None:
        self._connection = connection
        self._feed = Feed(connection, stream, filters, around)
        self._idle_s = idle_s

    async def get(self, timeout_s: float | None = None) -> T:
        """The next message.

        Raises:
            DeadlineExceeded: none came within `timeout_s`.
            NotConnected: a node refuses this process.
        """
        poller = zmq.asyncio.Poller()
        for source in (self._connection.socket, self._connection.monitor):
            poller.register(source, zmq.POLLIN)
        until_s = None if timeout_s is None else time.monotonic() + timeout_s
        while (message := self._feed.take()) is None:
            left_ms = None if until_s is None else (until_s - time.monotonic()) * 1e3
            if left_ms is not None and left_ms <= 0:
                raise DeadlineExceeded(f"no message came within {timeout_s} s")
            wait_ms = self._feed.poll_ms(left_ms)
            await poller.poll(-1 if wait_ms is None else wait_ms)
        return message

    async def __aiter__(self) -> AsyncIterator[T]:
        while True:
            yield await self.get(self._idle_s)

    async def close(self) -> None:
        """Stop listening."""
        self._connection.close()

    async def __aenter__(self) -> AsyncSubscription[T]:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class AsyncWatch:
    """A standing question of this program; see `LeasedWatch`."""

    def __init__(self, core: Core, name: str, answers: AsyncSubscription[Answer]) -> None:
        self._core = core
        self._answers = answers
        self.name = name

    async def get(self, timeout_s: float | None = None) -> Answer:
        """The next answer; `DeadlineExceeded` if none comes in time."""
        return await self._answers.get(timeout_s)

    def __aiter__(self) -> AsyncIterator[Answer]:
        return self._answers.__aiter__()

    async def close(self) -> None:
        """End the watch."""
        self._core.end_lease(self.name)
        await self._answers.close()

    async def __aenter__(self) -> AsyncWatch:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class AsyncClient:
    """Asks a running node, from one event loop. The arguments and verbs are those of `Client`."""

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

    async def point(
        self, text: str, *, roi: Roi | None = None, refine: bool = False, **options: Any
    ) -> Answer:
        """Where is it? 0..n points in pixels of the frame."""
        return await self.query(Question.point(text, roi=roi, refine=refine), **options)

    async def count(self, text: str, *, roi: Roi | None = None, **options: Any) -> Answer:
        """How many are there? A number, and the points that were counted."""
        return await self.query(Question.count(text, roi=roi), **options)

    async def ask(self, text: str, *, roi: Roi | None = None, **options: Any) -> Answer:
        """A free question; the answer is text."""
        return await self.query(Question.ask(text, roi=roi), **options)

    async def describe(self, *, roi: Roi | None = None, **options: Any) -> Answer:
        """What is to be seen; the answer is text."""
        return await self.query(Question.describe(roi=roi), **options)

    async def extract(
        self, schema: str | None = None, *, roi: Roi | None = None, **options: Any
    ) -> Answer:
        """The text in the picture as JSON, checked against a JSON schema if one is given."""
        return await self.query(Question.extract(schema, roi=roi), **options)

    async def read_gauge(
        self, gauge: str = "", *, roi: Roi | None = None, **options: Any
    ) -> Answer:
        """What does the gauge read? `answer.reading` has value, unit, or a reason."""
        return await self.query(Question.read_gauge(gauge, roi=roi), **options)

    async def read_clock(
        self, clock: str = "", *, roi: Roi | None = None, **options: Any
    ) -> Answer:
        """What time does the clock show? `answer.reading` has hour and minute, or a reason."""
        return await self.query(Question.read_clock(clock, roi=roi), **options)

    async def query(
        self,
        question: Question,
        *,
        camera: str = "",
        frame: FrameChoice = "latest",
        image: bytes | None = None,
        max_age_ms: float | None = None,
        timeout_s: float = 10.0,
    ) -> Answer:
        """Ask and wait. Cancelling the awaiting task takes the question back."""
        request = self._core.ask(question, camera, frame, max_age_ms, timeout_s, image)
        try:
            answer = await asyncio.wrap_future(request.future)
        except asyncio.CancelledError:
            self._core.link.cancel(request)
            raise
        assert isinstance(answer, Answer)
        return answer

    async def watch(
        self,
        question: Question,
        *,
        name: str = "",
        camera: str = "",
        rate_hz: float = 1.0,
        max_age_ms: float | None = None,
        idle_s: float | None = None,
    ) -> AsyncWatch:
        """Ask again and again; the watch lives as long as it is open here."""
        spec = watch_spec(
            question, name=name, camera=camera, rate_hz=rate_hz, max_age_ms=max_age_ms
        )
        answers = self.answers(watch=spec.name, idle_s=idle_s)
        try:
            await asyncio.wrap_future(self._core.lease(spec).future)
        except (MolmoNodeError, asyncio.CancelledError):
            await answers.close()
            raise
        self._core.keep_lease(spec)
        return AsyncWatch(self._core, spec.name, answers)

    async def hold(self, spec: WatchSpec) -> None:
        """Have a watch stand without listening to it, until `release` or the client's end.

        Raises:
            MolmoNodeError: why the worker does not take it; it is then not tried again.
        """
        await asyncio.wrap_future(self._core.lease(spec).future)
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
    ) -> AsyncSubscription[Answer]:
        """Everybody's answers as they are made, filtered."""
        connection = subscribe(
            self._core.transport, [self._core.address], answer_prefix(camera, task, watch)
        )
        return AsyncSubscription(connection, answer_stream(), (camera, task, watch), idle_s)

    def statuses(self, *, idle_s: float | None = None) -> AsyncSubscription[Status]:
        """The state of the worker and of every node on this host, at once and on change; nodes
        that start later are heard too."""
        connection, around = self._core.statuses()
        return AsyncSubscription(connection, status_stream(), idle_s=idle_s, around=around)

    async def status(self) -> Status:
        """The worker's state now."""
        status = await asyncio.wrap_future(self._core.ping().future)
        assert isinstance(status, Status)
        return status

    async def close(self) -> None:
        """End the connection; pending questions fail."""
        await asyncio.to_thread(self._core.close)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

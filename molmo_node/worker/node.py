"""The worker process: newest frames in, questions in, answers out.

The main thread owns every socket but the cameras'; the engine has a thread of its own, so
that the node answers, refuses and reports while the engine works.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import zmq

from molmo_node.bus import limits
from molmo_node.bus.address import Address
from molmo_node.bus.broadcast import Broadcaster
from molmo_node.bus.lock import NodeEntry, NodeLock
from molmo_node.bus.rundir import ensure_run_dir
from molmo_node.bus.sockets import Security, Transport
from molmo_node.bus.topics import answer_key
from molmo_node.bus.wake import Wake
from molmo_node.clock import SYSTEM_CLOCK, Clock
from molmo_node.errors import Busy, DeviceLost, MolmoNodeError
from molmo_node.messages import Answer, Query, Status, WatchSpec
from molmo_node.worker.ahead import LookAhead, Policy
from molmo_node.worker.cameras import CameraPlace, Cameras
from molmo_node.worker.desk import Desk
from molmo_node.worker.engine_thread import EngineThread, Job, Load
from molmo_node.worker.finish import timed, within_limit
from molmo_node.worker.queries import Asked, QueryQueue
from molmo_node.worker.schedule import Scheduler
from molmo_node.worker.watches import StandingWatch, Watches

log = logging.getLogger(__name__)

TICK_MS = 200
BUSY_AFTER_NS = 50_000_000  # shorter jobs do not flicker through the status
DISCOVER_NS = 500_000_000
STOP_S = 2.0
EXIT_FAILED = 1
EXIT_HUNG = 70


@dataclass(frozen=True)
class WorkerOptions:
    """What a worker needs to know.

    Attributes:
        longest_query_s: an engine that works longer on one batch counts as hung.
        watches: the permanent ones.
        prefill_ahead: when to look at frames that nobody asked about yet.
    """

    address: Address
    run_dir: Path
    cameras: tuple[CameraPlace, ...] = ()
    watches: tuple[WatchSpec, ...] = ()
    longest_query_s: float = 60.0
    queries_waiting: int = limits.QUERIES_WAITING
    queries_waiting_per_client: int = limits.QUERIES_WAITING_PER_CLIENT
    prefill_ahead: Policy = "off"
    security: Security = field(default_factory=Security)
    node: str = "worker"


class WorkerNode:
    """One worker. `run` blocks until `stop` is called or the engine is lost.

    Args:
        load: makes the answerer, in the engine's thread.
        refresh: called twice a second in the main thread (profiles that changed).
    """

    def __init__(
        self,
        options: WorkerOptions,
        load: Load,
        refresh: Callable[[], None] = lambda: None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._options = options
        self._clock = clock
        self._refresh = refresh
        run_dir = ensure_run_dir(options.run_dir)
        entry = NodeEntry(options.node, "worker", os.getpid(), options.address.text)
        watches = Watches()
        watches.replace_permanent(list(options.watches))
        with contextlib.ExitStack() as undo:  # a port in use must not leave threads behind
            self._lock = NodeLock(run_dir, entry)
            undo.callback(self._lock.release)
            self._wake = Wake()
            undo.callback(self._wake.close)
            self._transport = Transport(options.security)
            undo.callback(self._transport.close)
            self._out = Broadcaster(self._transport, options.address, options.node, "worker", clock)
            undo.callback(self._out.close)
            self._cameras = Cameras(self._transport, list(options.cameras), run_dir, clock)
            undo.callback(self._cameras.close)
            self._scheduler = Scheduler(
                self._cameras, clock, LookAhead(options.prefill_ahead, clock)
            )
            self._desk = Desk(
                self._transport,
                options.address,
                watches,
                self._check,
                self._check_watch,
                self._scheduler.wait_ms,
                self._fresh_status,
                QueryQueue(options.queries_waiting, options.queries_waiting_per_client),
                clock,
            )
            undo.pop_all()
        self._is_stopping = False
        self._engine = EngineThread(load, self._wake)
        self._job: Job | None = None
        self._discovered_ns = 0
        self._exit_code = 0

    def stop(self) -> None:
        """End `run` soon; safe in a signal handler and from any thread."""
        self._is_stopping = True
        self._wake.set()

    def run(self) -> int:
        """Work until stopped.

        Returns:
            The process's exit code: 0 after `stop`, 1 when the engine could not be loaded or
            its device was lost, 70 when it hung (the process must then end at once).
        """
        self._engine.start()
        self._report("loading", detail="the engine is being loaded")
        poller = zmq.Poller()
        for source in (self._desk.socket, self._desk.monitor.socket, self._out.socket, self._wake):
            poller.register(source, zmq.POLLIN)
        try:
            while not self._is_stopping:
                for source in self._cameras.sockets():
                    poller.register(source, zmq.POLLIN)  # again is no harm: cameras are found late
                self._turn(dict(poller.poll(self._poll_ms())))
        finally:
            self._close()
        return self._exit_code

    def _turn(self, readable: Mapping[object, int]) -> None:
        """Hand out, hand over, then the chores: a new frame waits for nothing else."""
        self._wake.clear()
        while self._engine.done:
            self._deliver(self._engine.done.popleft())
        self._cameras.pump(readable)
        if self._desk.socket in readable:
            self._desk.receive()
        self._desk.tend()
        self._dispatch()
        if self._out.socket in readable:
            self._out.welcome()
        if self._desk.monitor.socket in readable:
            self._desk.note_peers()
        self._look_around()
        self._watch_engine()
        if self._out.is_due():
            self._report()

    def _poll_ms(self) -> int:
        now_ns = self._clock.mono_ns()
        events = [now_ns + TICK_MS * 1_000_000]
        if (event_ns := self._desk.next_event_ns()) is not None:
            events.append(event_ns)
        if self._job is not None and self._out.status.state == "ready":
            events.append(self._job.started_ns + BUSY_AFTER_NS)
        return max(0, min(TICK_MS, (min(events) - now_ns) // 1_000_000 + 1))

    def _look_around(self) -> None:
        now_ns = self._clock.mono_ns()
        if now_ns - self._discovered_ns < DISCOVER_NS:
            return
        self._discovered_ns = now_ns
        self._cameras.discover()
        self._refresh()

    def _watch_engine(self) -> None:
        """Follow loading to its end, say when the engine is busy, and notice when it hangs."""
        if self._engine.load_error is not None:
            self._fail(str(self._engine.load_error), EXIT_FAILED)
        elif self._engine.answerer is None:
            if self._engine.load_pct != self._out.status.load_pct:
                self._report(load_pct=self._engine.load_pct)
        elif self._out.status.state == "loading":
            self._report("ready", detail="", load_pct=None)
        if self._job is not None:
            self._watch_job(self._job)

    def _watch_job(self, job: Job) -> None:
        busy_ns = self._clock.mono_ns() - job.started_ns
        if busy_ns >= BUSY_AFTER_NS and self._out.status.state == "ready":
            asked_id = job.asked[0].query.id if job.asked else ""
            self._report("busy", busy_since_ns=job.started_ns, busy_query=asked_id)
        if busy_ns > self._options.longest_query_s * 1e9:
            self._fail(f"the engine hangs: busy for {busy_ns / 1e9:.1f} s", EXIT_HUNG)

    def _fail(self, reason: str, exit_code: int) -> None:
        log.error("worker leaves", extra={"reason": reason, "exit_code": exit_code})
        self._exit_code = exit_code
        self._report("failed", detail=reason)
        self._is_stopping = True

    def _check(self, query: Query) -> None:
        """Refuse what cannot be answered now, before it takes a place in the queue."""
        answerer = self._engine.answerer
        if answerer is None:
            percent = self._engine.load_pct
            progress = "" if percent is None else f" ({percent:.0f} %)"
            raise Busy(f"the model is still loading{progress}")
        if refusal := answerer.refusal(query.question):
            raise refusal
        if query.frame != "attached":
            self._cameras.resolve(query.camera)

    def _check_watch(self, spec: WatchSpec) -> None:
        """Refuse a watch that this engine never answers; while it loads, nobody knows."""
        answerer = self._engine.answerer
        if answerer is not None and (refusal := answerer.refusal(spec.question)):
            raise refusal

    def _dispatch(self) -> None:
        if self._job is not None or self._engine.answerer is None:
            return
        job = self._scheduler.next_job(self._desk.queue, self._desk.watches)
        if job is None:
            return
        self._job = job
        self._desk.start(job.asked)
        self._engine.submit(job)

    def _deliver(self, job: Job) -> None:
        now_ns = self._clock.mono_ns()
        self._job = None
        self._scheduler.note_done(job, now_ns)
        items: list[Asked | StandingWatch] = [*job.asked, *job.watches]
        for item, result in zip(items, job.results, strict=True):
            if isinstance(result, DeviceLost):
                self._fail(result.message, EXIT_FAILED)
            if isinstance(result, Answer):
                since_ns = item.arrived_ns if isinstance(item, Asked) else result.frame.mono_ns
                result = within_limit(timed(result, since_ns, job.started_ns, now_ns))
            if isinstance(item, Asked):
                self._deliver_to(item, result)
            else:
                self._scheduler.publish_watch(item, result, self._publish)
        self._desk.working = []
        if self._out.status.state == "busy":
            self._report("ready", busy_since_ns=None, busy_query="")

    def _deliver_to(self, asked: Asked, result: Answer | MolmoNodeError) -> None:
        if isinstance(result, Answer):
            answer = msgspec.structs.replace(result, id=asked.query.id)
            self._desk.answer(asked, answer)
            self._publish(answer)
        else:
            self._desk.refuse(asked, result)

    def _publish(self, answer: Answer) -> None:
        key = answer_key(answer.frame.camera, answer.task, answer.watch)
        self._out.publish(key, answer)

    def _report(self, state: str | None = None, **fields: object) -> None:
        if self._out.status.state == "failed":
            return
        answerer = self._engine.answerer
        if answerer is not None:
            fields["model"] = answerer.engine.name if answerer.engine else "none"
            fields["tasks"] = tuple(sorted(answerer.tasks()))
        self._out.report(
            state,  # type: ignore[arg-type]
            queue_length=len(self._desk.queue),
            cameras=self._cameras.health(),
            watches=self._desk.watches.specs,
            counters=dict(self._desk.counters + self._scheduler.counters),
            **fields,
        )

    def _fresh_status(self) -> Status:
        self._report()
        return self._out.status

    def _close(self) -> None:
        if self._exit_code:
            self._desk.refuse_begun(self._out.status.detail)
        else:
            self._desk.refuse_all("the worker is shutting down")
        has_ended = self._exit_code != EXIT_HUNG and self._engine.stop(STOP_S)
        self._desk.close()
        self._out.close()
        self._cameras.close()
        self._transport.close()
        self._lock.release()
        if has_ended:
            self._wake.close()
        elif not self._exit_code:
            self._exit_code = 0 if self._job is None else EXIT_HUNG

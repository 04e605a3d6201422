"""Keeps a list of processes alive until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TextIO

from molmo_node.config import start_waves
from molmo_node.supervisor.child import Child
from molmo_node.supervisor.notify import VARIABLES, ServiceManager
from molmo_node.supervisor.spec import ChildState, ProcessEvent, ProcessSpec

TICK_S = 0.1
HANG_TICK_S = 0.5
HANG_GRACE_S = 2.0
STOP_WITHIN_S = 5.0
_KILL_RESERVE_S = 0.7


def _never_hung(name: str) -> str | None:
    return None


def _ready_when_running(name: str) -> bool:
    return True


class Supervisor:
    """Starts processes in the order of their needs, restarts the dead and the hung, stops all.

    Args:
        processes: what to keep alive; `needs` must name others of the list, without circles.
        on_event: is given each event, in the thread of `run`.
        is_hung: asked of each running process each 0.5 s; a reason means: kill it. It is not
            asked in a process's first 2 s, when news of its predecessor may still be about.
        is_ready: whether a running process can serve those that need it.
        sink: where the children's lines go, with their name before them; None: nowhere.
        env: variables that the children get beside their own; None: ours.

    Only one thread may be in `run`, and the children end with that thread (the kernel's rule).
    """

    def __init__(
        self,
        processes: Sequence[ProcessSpec],
        on_event: Callable[[ProcessEvent], None],
        is_hung: Callable[[str], str | None] = _never_hung,
        *,
        is_ready: Callable[[str], bool] = _ready_when_running,
        sink: TextIO | None = sys.stderr,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._on_event = on_event
        self._is_hung = is_hung
        self._is_ready = is_ready
        base = dict(os.environ if env is None else env)
        for name in VARIABLES:
            base.pop(name, None)  # the service manager talks with us, not with our children
        self._children = {
            spec.name: Child(spec, {**base, **spec.env}, sink, on_event) for spec in processes
        }
        self._stop_waves = start_waves({spec.name: spec.needs for spec in processes})[::-1]
        self._manager = ServiceManager()
        self._stop_asked = threading.Event()
        self.stop_signal: signal.Signals | None = None

    def run(self) -> int:
        """Start everything and stay until `stop`, SIGTERM, SIGINT, or until all are finished.

        Signals are taken where this is the main thread; `stop_signal` says which one it was.
        A second one kills at once.

        Returns:
            0; 1 where the processes finished by themselves and one of them not with 0.
        """
        return asyncio.run(self._main())

    def stop(self) -> None:
        """Ask `run` to stop all and return. May be called from any thread, and again."""
        self._stop_asked.set()

    def states(self) -> list[ChildState]:
        """Each process as it is now, in the order of the list. From any thread."""
        return [child.snapshot() for child in self._children.values()]

    async def _main(self) -> int:
        loop = asyncio.get_running_loop()
        taken = self._take_signals(loop)
        try:
            await self._supervise()
        finally:
            self._manager.tell("STOPPING=1")
            await self._stop_all()
            for number in taken:
                loop.remove_signal_handler(number)
        if self._stop_asked.is_set():
            return 0
        return int(any(child.last_exit != 0 for child in self._children.values()))

    def _take_signals(self, loop: asyncio.AbstractEventLoop) -> list[signal.Signals]:
        if threading.current_thread() is not threading.main_thread():
            return []
        numbers = [signal.SIGTERM, signal.SIGINT]
        for number in numbers:
            loop.add_signal_handler(number, self._on_signal, number)
        return numbers

    def _on_signal(self, number: signal.Signals) -> None:
        if self._stop_asked.is_set():
            for child in self._children.values():
                child.kill()
        self.stop_signal = number
        self._stop_asked.set()

    async def _supervise(self) -> None:
        next_hang_check_s = 0.0
        while not self._stop_asked.is_set():
            now_s = time.monotonic()
            for child in self._children.values():
                await child.check(now_s)
            self._look_for_ready(now_s)
            if now_s >= next_hang_check_s:
                next_hang_check_s = now_s + HANG_TICK_S
                self._look_for_hung(now_s)
            if all(child.state == "finished" for child in self._children.values()):
                return
            await self._start_due(now_s)
            self._manager.alive(now_s)
            await asyncio.sleep(TICK_S)

    async def _start_due(self, now_s: float) -> None:
        for child in self._children.values():
            if child.is_due(now_s) and all(
                self._children[name].may_be_used for name in child.spec.needs
            ):
                await child.start(now_s)

    def _look_for_ready(self, now_s: float) -> None:
        for child in self._children.values():
            child.note_ready(now_s, self._is_ready)
        if all(child.is_ready or child.state == "finished" for child in self._children.values()):
            self._manager.ready()

    def _look_for_hung(self, now_s: float) -> None:
        for name, child in self._children.items():
            is_young = child.run_s(now_s) < HANG_GRACE_S
            if child.state != "running" or is_young or child.is_killed:
                continue
            reason = self._is_hung(name)
            if reason is not None:
                child.kill(reason)

    async def _stop_all(self) -> None:
        end_s = time.monotonic() + STOP_WITHIN_S - _KILL_RESERVE_S
        for index, names in enumerate(self._stop_waves):
            left_s = max(0.0, end_s - time.monotonic())
            grace_s = left_s / (len(self._stop_waves) - index)
            await asyncio.gather(*(self._children[name].stop(grace_s) for name in names))

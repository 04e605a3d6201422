"""One process of the list: its runs, its output, and what is next for it."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from molmo_node.messages import ProcessState
from molmo_node.supervisor.backoff import RestartSchedule
from molmo_node.supervisor.output import Output
from molmo_node.supervisor.parts import ChildProcess, ChildWatcher, make_watcher
from molmo_node.supervisor.spec import ChildState, ProcessEvent, ProcessSpec


class Child:
    """Starts, watches and stops one process. All methods belong to the loop's thread.

    Args:
        env: all variables of the process.
        tell: is given each event.
    """

    def __init__(
        self,
        spec: ProcessSpec,
        env: Mapping[str, str],
        sink: TextIO | None,
        tell: Callable[[ProcessEvent], None],
    ) -> None:
        self.spec = spec
        self.state: ProcessState = "waiting"
        self.is_ready = False
        self.is_killed = False
        self.last_exit: int | None = None
        self._starts = 0
        self._started_s = self._ready_s = 0.0
        self._is_late = False
        self._next_start_s = 0.0
        self._tell = tell
        self._output = Output(spec.name, sink)
        self._env = env
        self._watcher: ChildWatcher | None = None
        self._schedule = RestartSchedule(spec.backoff)
        self._process: ChildProcess | None = None
        self._has_failed = False

    @property
    def pid(self) -> int | None:
        return None if self._process is None else int(self._process.pid)

    def snapshot(self) -> ChildState:
        """The process as it is now. May be called from any thread."""
        return ChildState(
            name=self.spec.name,
            state=self.state,
            pid=self.pid,
            is_ready=self.is_ready,
            restarts=max(0, self._starts - 1),
            last_exit=self.last_exit,
            last_lines=self._output.lines,
        )

    def is_due(self, now_s: float) -> bool:
        """Whether it should start now, as far as it alone is concerned."""
        is_idle = self.state in ("waiting", "restarting", "failed")
        return is_idle and now_s >= self._next_start_s

    def run_s(self, now_s: float) -> float:
        """Seconds since it was started last."""
        return now_s - self._started_s

    def note_ready(self, now_s: float, is_ready: Callable[[str], bool]) -> None:
        """Ask whether it is ready; tell when it is, and once when it takes too long."""
        if self.state != "running" or self.is_ready:
            return
        if is_ready(self.spec.name):
            self.is_ready, self._ready_s = True, now_s
            self._tell(ProcessEvent("ready", self.spec.name, pid=self.pid))
        elif not self._is_late and self.run_s(now_s) >= self.spec.ready_within_s:
            self._is_late = True
            self._tell(ProcessEvent("not_ready", self.spec.name, pid=self.pid))

    @property
    def may_be_used(self) -> bool:
        """Whether those that need it may start: it is ready, is done, or took too long."""
        return self.is_ready or self._is_late or self.state == "finished"

    async def start(self, now_s: float) -> None:
        """Start a run."""
        self._output.forget()
        self.is_killed = False
        self._schedule.started(now_s)
        self._started_s = now_s
        self._starts += 1
        # A new one each time: it belongs to the loop that runs now, and keeps nothing.
        self._watcher = make_watcher(
            self.spec.name, self.spec.argv, self._env, self._output, self._note_exit
        )
        await self._watcher._start()
        self._process = next(iter(self._watcher.processes.values()), None)
        self.state = "running"
        self._tell(ProcessEvent("started", self.spec.name, pid=self.pid))

    async def check(self, now_s: float) -> None:
        """Notice that the process ended, and decide what is next."""
        if self.state != "running" or (self._process is not None and self._process.is_alive()):
            return
        pid, served_s = self.pid, now_s - self._ready_s if self.is_ready else 0.0
        await self._bury()
        self._tell(
            ProcessEvent(
                "exited",
                self.spec.name,
                pid=pid,
                exit_code=self.last_exit,
                lines=self._output.lines,
            )
        )
        is_done = self.spec.restart == "on-failure" and self.last_exit == 0
        if is_done or self.spec.restart == "never":
            self.state = "finished"
        else:
            self._plan_restart(now_s, served_s)

    def kill(self, reason: str = "") -> None:
        """Kill it and all it started; with a reason, because it was taken for hung."""
        if self._process is None:
            return
        _kill_group(self._process.pid)
        if reason:
            self.is_killed = True
            self._tell(ProcessEvent("killed_hung", self.spec.name, pid=self.pid, reason=reason))

    async def stop(self, grace_s: float) -> None:
        """End it: SIGTERM, and SIGKILL after `grace_s`. It does not start again."""
        was_running, pid = self.state == "running", self.pid
        self.state = "stopping"
        if was_running:
            await self._bury(grace_s)
            self._tell(ProcessEvent("stopped", self.spec.name, pid=pid, exit_code=self.last_exit))
        self.state = "stopped"

    def _plan_restart(self, now_s: float, served_s: float) -> None:
        in_s = self._schedule.died(now_s, served_s)
        self._next_start_s = now_s + in_s
        was_failed = self._has_failed
        self._has_failed = self._schedule.is_failing
        self.state = "failed" if self._has_failed else "restarting"
        is_news = self._has_failed and not was_failed
        self._tell(
            ProcessEvent(
                "failed" if is_news else "restarting",
                self.spec.name,
                exit_code=self.last_exit,
                in_s=in_s,
                lines=self._output.lines if is_news else (),
            )
        )

    def _note_exit(self, *, exit_code: int, **_: Any) -> None:
        self.last_exit = exit_code

    async def _bury(self, grace_s: float = 0.0) -> None:
        watcher, process = self._watcher, self._process
        if watcher is not None:
            watcher.graceful_timeout = grace_s
            await watcher._stop()
        if process is not None:
            _kill_group(process.pid)
        self._output.end()
        self._watcher = self._process = None
        self.is_ready = False


def _kill_group(pid: int) -> None:
    # The child leads a session of its own: what it left behind is in its group.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)

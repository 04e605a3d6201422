"""Tells the bus how the supervised processes are: the supervisor as a node of its own."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import zmq

from molmo_node.bus.address import node_address
from molmo_node.bus.broadcast import Broadcaster
from molmo_node.bus.lock import NodeEntry, NodeLock
from molmo_node.bus.rundir import ensure_run_dir
from molmo_node.bus.sockets import Transport
from molmo_node.bus.wake import Wake
from molmo_node.clock import SYSTEM_CLOCK, Clock
from molmo_node.messages import NodeState, ProcessHealth
from molmo_node.supervisor.spec import ChildState, ProcessEvent

NODE = "supervisor"
TICK_MS = 100
LINES = 20
LINES_BYTES = 32_768  # of all processes: a status must stay within its limit
_OF_A_DEATH = ("exited", "killed_hung")


class Announcer:
    """Publishes the supervisor's Status, in a thread of its own.

    Args:
        states: gives the processes as they are now; called from this thread.

    Raises:
        ConfigError: another supervisor runs in this run_dir.
    """

    def __init__(
        self, run_dir: Path, states: Callable[[], Sequence[ChildState]], clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._states = states
        self._clock = clock
        self._deaths: dict[str, ProcessHealth] = {}
        self._is_stopping = False
        address = node_address(ensure_run_dir(run_dir), NODE)
        self._lock = NodeLock(run_dir, NodeEntry(NODE, NODE, os.getpid(), address.text))
        self._transport = Transport()
        self._out = Broadcaster(self._transport, address, NODE, "supervisor", clock)
        self._wake = Wake()
        self._thread = threading.Thread(target=self._run, name="announcer")

    def __enter__(self) -> Announcer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_stopping = True
        self._wake.set()
        self._thread.join()
        self._wake.close()
        self._transport.close()
        self._lock.release()

    def note(self, event: ProcessEvent) -> None:
        """Keep what a death left behind, and publish soon. From the supervisor's thread."""
        if event.kind in _OF_A_DEATH:
            self._deaths = {**self._deaths, event.name: self._after(event)}
        self._wake.set()

    def _after(self, event: ProcessEvent) -> ProcessHealth:
        before = self._deaths.get(event.name)
        return ProcessHealth(
            name=event.name,
            state="failed",
            exit_code=event.exit_code,
            exited_ns=self._clock.wall_ns(),
            # A hung process is killed with a reason, and its end is told after that.
            reason=event.reason or (before.reason if before and before.exit_code is None else ""),
            lines=event.lines,
        )

    def _run(self) -> None:
        poller = zmq.Poller()
        for source in (self._out.socket, self._wake):
            poller.register(source, zmq.POLLIN)
        while not self._is_stopping:
            poller.poll(TICK_MS)
            self._wake.clear()
            self._out.welcome()
            processes = self._healths()
            if processes != self._out.status.processes or self._out.is_due():
                self._out.report(_overall(processes), processes=processes)
        self._out.close()

    def _healths(self) -> tuple[ProcessHealth, ...]:
        states, deaths = self._states(), self._deaths
        room_bytes = LINES_BYTES // max(1, len(states))
        return tuple(_health(state, deaths.get(state.name), room_bytes) for state in states)


def _health(state: ChildState, death: ProcessHealth | None, room_bytes: int) -> ProcessHealth:
    return ProcessHealth(
        name=state.name,
        state=state.state,
        pid=state.pid,
        is_ready=state.is_ready,
        restarts=state.restarts,
        exit_code=death.exit_code if death else None,
        exited_ns=death.exited_ns if death else None,
        reason=death.reason if death else "",
        lines=_last(death.lines, room_bytes) if death else (),
    )


def _last(lines: Sequence[str], room_bytes: int) -> tuple[str, ...]:
    """The last lines that fit."""
    kept: list[str] = []
    for line in reversed(lines[-LINES:]):
        room_bytes -= len(line.encode()) + 5
        if room_bytes < 0:
            break
        kept.append(line)
    return tuple(reversed(kept))


def _overall(processes: Sequence[ProcessHealth]) -> NodeState:
    if any(one.state in ("restarting", "failed") for one in processes):
        return "degraded"
    is_up = all(one.is_ready or one.state == "finished" for one in processes)
    return "ready" if is_up else "starting"

"""What the supervisor is told, and what it tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from molmo_node.messages import ProcessState

Restart = Literal["always", "on-failure", "never"]
EventKind = Literal[
    "started", "ready", "not_ready", "exited", "restarting", "failed", "killed_hung", "stopped"
]
KEPT_LINES = 50


@dataclass(frozen=True)
class Backoff:
    """How soon a dead process is started again.

    A process that ran for `stable_after_s`, or was ready for `stable_when_served_s`, starts
    again at once; so does the first one that died early. After that the delay is `first_s`,
    doubled each time up to `longest_s`, and there are never more than `starts_per_minute`
    such starts in 60 s.
    """

    first_s: float = 1.0
    longest_s: float = 30.0
    stable_after_s: float = 10.0
    stable_when_served_s: float = 0.5
    starts_per_minute: int = 6
    failed_after: int = 3
    """Early deaths in a row after which the state is `failed`; it is still tried again."""


@dataclass(frozen=True)
class ProcessSpec:
    """One process to keep alive.

    Attributes:
        argv: the program and its arguments, as they are: no shell reads them.
        env: its variables on top of the supervisor's own.
        needs: names of processes that must be ready before it starts.
        ready_within_s: after this long those that need it start all the same.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    restart: Restart = "always"
    ready_within_s: float = 30.0
    backoff: Backoff = Backoff()


@dataclass(frozen=True)
class ProcessEvent:
    """Something that happened to a process.

    Attributes:
        exit_code: for exited, failed and stopped: its code, or minus the signal's number.
        in_s: for restarting and failed: seconds until it starts again.
        reason: for killed_hung: why it was taken for hung.
        lines: for exited and failed: the last lines that it wrote, stdout and stderr.
    """

    kind: EventKind
    name: str
    pid: int | None = None
    exit_code: int | None = None
    in_s: float | None = None
    reason: str = ""
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class ChildState:
    """A process as it is now; `last_lines` are of the run that is on or was the last."""

    name: str
    state: ProcessState
    pid: int | None
    is_ready: bool
    restarts: int
    last_exit: int | None
    last_lines: tuple[str, ...]

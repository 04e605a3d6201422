"""The process list of a launch file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field

from molmo_node.config.fields import Name, Seconds, Section


class ProcessSettings(Section):
    """One process that `molmo-node up` starts and keeps alive."""

    name: Name
    """The process's name in logs and status."""
    command: tuple[str, ...] = Field(min_length=1)
    """The verb of molmo-node and its arguments, such as [camera, --name, front]."""
    env: dict[str, str] = Field(default_factory=dict)
    """Environment variables of this process, beside the inherited ones."""
    needs: tuple[Name, ...] = ()
    """Processes that must be ready before this one starts; they stop after it."""
    restart: Literal["always", "on-failure", "never"] = "always"
    """When a process that ended is started again."""
    ready_within_s: Seconds = 30.0
    """Seconds after which those that need this one start although it is not ready."""


def start_waves(needs: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Group processes so that each starts after what it needs; reversed, the order to stop in.

    Args:
        needs: from each process's name to the names that it needs.

    Raises:
        ValueError: a need is not in the list, or needs form a circle; names the one at fault.
    """
    waiting = {name: set(names) for name, names in needs.items()}
    for name, names in waiting.items():
        unknown = sorted(names - waiting.keys())
        if unknown:
            known = ", ".join(sorted(waiting.keys() - {name})) or "another process"
            raise ValueError(f"processes: {name} needs {unknown[0]!r}, expected one of {known}")
    waves = []
    while waiting:
        wave = [name for name, names in waiting.items() if not names & waiting.keys()]
        if not wave:
            raise ValueError(f"processes: {', '.join(sorted(waiting))} need each other in a circle")
        waves.append(wave)
        for name in wave:
            del waiting[name]
    return waves

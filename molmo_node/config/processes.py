"""The process list of a launch file."""

from __future__ import annotations

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


def check_order(processes: tuple[ProcessSettings, ...]) -> None:
    """Hold `needs` to processes of the list, without circles.

    Raises:
        ValueError: names the process at fault.
    """
    waiting = {process.name: set(process.needs) for process in processes}
    for name, needs in waiting.items():
        unknown = sorted(needs - waiting.keys())
        if unknown:
            known = ", ".join(sorted(waiting.keys() - {name})) or "another process"
            raise ValueError(f"processes: {name} needs {unknown[0]!r}, expected one of {known}")
    while waiting:
        free = [name for name, needs in waiting.items() if not needs & waiting.keys()]
        if not free:
            raise ValueError(f"processes: {', '.join(sorted(waiting))} need each other in a circle")
        for name in free:
            del waiting[name]

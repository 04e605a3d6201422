"""From settings to the processes that `molmo-node up` keeps alive."""

from __future__ import annotations

import sys

from molmo_node.bus.address import Address
from molmo_node.config import Loaded, ProcessSettings, Settings
from molmo_node.supervisor.spec import ProcessSpec

_ANY_INTERFACE = ("*", "0.0.0.0", "::")  # noqa: S104  # compared with, not bound
PROGRAM = (sys.executable, "-m", "molmo_node")


def process_specs(loaded: Loaded) -> list[ProcessSpec]:
    """The launch file's processes, or the usual ones: cameras of this host, a worker, sinks.

    Each child loads the settings that we loaded: it is given the file and the flags as variables.
    """
    env = loaded.child_env()
    return [
        ProcessSpec(
            name=process.name,
            argv=(*PROGRAM, *process.command),
            env={**env, **process.env},
            needs=process.needs,
            restart=process.restart,
            ready_within_s=process.ready_within_s,
        )
        for process in loaded.settings.processes or _usual(loaded.settings)
    ]


def _usual(settings: Settings) -> tuple[ProcessSettings, ...]:
    cameras = tuple(
        ProcessSettings(
            name=f"camera-{camera.name}"[:64], command=("camera", "--name", camera.name)
        )
        for camera in settings.cameras
        if _is_here(camera.endpoint)
    )
    sinks = tuple(
        ProcessSettings(name=f"sink-{kind}", command=("sink", kind))
        for kind in settings.sinks.kinds
    )
    return (*cameras, ProcessSettings(name="worker", command=("worker",)), *sinks)


def _is_here(endpoint: str | None) -> bool:
    """Whether a camera with this endpoint runs on this host, as far as the endpoint says."""
    if endpoint is None:
        return True
    address = Address(endpoint)
    return address.is_loopback or address.host in _ANY_INTERFACE

"""From settings to the processes that `molmo-node up` keeps alive."""

from __future__ import annotations

import importlib.util
import sys

from molmo_node.bus.address import Address
from molmo_node.config import Loaded, ProcessSettings, Settings
from molmo_node.supervisor.spec import ProcessSpec

_ANY_INTERFACE = ("*", "0.0.0.0", "::")  # noqa: S104  # compared with, not bound
PAGE_NEEDS = ("prometheus_client", "starlette", "uvicorn", "websockets")
PROGRAM = (sys.executable, "-m", "molmo_node")


def process_specs(loaded: Loaded) -> list[ProcessSpec]:
    """The launch file's processes, or the usual ones: cameras, a worker, sinks, and the page.

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
    worker = ProcessSettings(name="worker", command=("worker",))
    page = ProcessSettings(name="page", command=("web",))
    has_page = settings.web.enabled and page_is_installed()
    return (*cameras, worker, *sinks, *((page,) if has_page else ()))


def page_is_installed() -> bool:
    """Whether the extra [web] is here; nothing is imported."""
    return all(importlib.util.find_spec(name) for name in PAGE_NEEDS)


def _is_here(endpoint: str | None) -> bool:
    """Whether a camera with this endpoint runs on this host, as far as the endpoint says."""
    if endpoint is None:
        return True
    address = Address(endpoint)
    return address.is_loopback or address.host in _ANY_INTERFACE

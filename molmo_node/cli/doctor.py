"""doctor: look at everything a node needs, and say the next step for what is wrong."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from molmo_node.cli import options
from molmo_node.cli.exits import FAILED
from molmo_node.errors import MolmoNodeError

if TYPE_CHECKING:
    from molmo_node.config import Settings

Level = Literal["ok", "warning", "failed"]

CORE = ("av", "circus", "cv2", "msgspec", "numpy", "pydantic", "simplejpeg", "yaml", "zmq")
MODEL = ("torch", "transformers", "torchvision", "accelerate", "einops", "safetensors")
SHM_FREE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `step` is what to do about it."""

    what: str
    level: Level
    found: str
    step: str = ""


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog="Example: molmo-node doctor")(doctor)


def doctor(
    json: options.Json = False,
    config: options.Config = None,
    run_dir: options.RunDir = None,
) -> None:
    """Check this machine, the settings and the running node; exit code 1 if something fails."""
    import json as json_module
    from dataclasses import asdict

    has_failed = False
    for number, finding in enumerate(_findings(config, run_dir), start=1):
        has_failed |= finding.level == "failed"
        if json:
            print(json_module.dumps(asdict(finding)))
            continue
        print(f"{number:>2}. {finding.level:<7} {finding.what}: {finding.found}")
        if finding.step:
            print(f"              next: {finding.step}")
    if has_failed:
        raise typer.Exit(FAILED)


def _findings(config: Path | None, run_dir: Path | None) -> Iterator[Finding]:
    from molmo_node.cli import session

    yield _python()
    yield _packages("core packages", CORE, "failed", "pip install molmo_node")
    yield _packages("model packages", MODEL, "warning", "pip install 'molmo_node[model]'")
    try:
        settings = session.load_settings(config, run_dir=run_dir).settings
    except MolmoNodeError as exc:
        yield Finding("settings", "failed", exc.message, exc.hint)
        return
    yield Finding("settings", "ok", f"model {settings.worker.model}, run_dir {settings.run_dir}")
    for check in (_run_dir, _shared_memory, _keys, _gauges, _devices, _gpu, _node):
        yield _guarded(check, settings)


def _guarded(check: Callable[[Settings], Finding], settings: Settings) -> Finding:
    try:
        return check(settings)
    except MolmoNodeError as exc:
        return Finding(_title(check), "failed", exc.message, exc.hint)


def _title(check: Callable[[Settings], Finding]) -> str:
    return check.__name__.strip("_").replace("_", " ")


def _python() -> Finding:
    version = platform.python_version()
    is_new = sys.version_info >= (3, 11)
    step = "" if is_new else "install Python 3.11 or newer"
    return Finding(
        "python", "ok" if is_new else "failed", f"{version} on {platform.platform()}", step
    )


def _packages(what: str, names: tuple[str, ...], missing: Level, step: str) -> Finding:
    absent = [name for name in names if importlib.util.find_spec(name) is None]
    if absent:
        return Finding(what, missing, f"missing: {', '.join(absent)}", step)
    return Finding(what, "ok", f"{len(names)} found")


def _run_dir(settings: Settings) -> Finding:
    from molmo_node.bus.rundir import ensure_run_dir

    return Finding("run dir", "ok", f"{ensure_run_dir(settings.run_dir)} is yours alone")


def _shared_memory(_: Settings) -> Finding:
    from molmo_node.bus.ring import SHM_DIR

    if not SHM_DIR.is_dir():
        return Finding("shared memory", "warning", "none here: frames go as JPEG over sockets")
    free_bytes = shutil.disk_usage(SHM_DIR).free
    found = f"{free_bytes / 1e6:.0f} MB free"
    if free_bytes < SHM_FREE_BYTES:
        return Finding("shared memory", "warning", found, "docker run --shm-size=512m")
    return Finding("shared memory", "ok", found)


def _keys(settings: Settings) -> Finding:
    from molmo_node.bus.keys import allowed_keys, load_pair

    security = settings.security
    if not (security.keys_dir / "node.key_secret").exists():
        return Finding("keys", "ok", "none: this node serves this machine only")
    load_pair(security.keys_dir, "node")
    names = sorted(allowed_keys(security.keys_dir).values())
    return Finding("keys", "ok", f"{len(names)} names may connect: {', '.join(names)}")


def _gauges(settings: Settings) -> Finding:
    from molmo_node.gauge_profiles import ProfileStore

    folder = settings.gauges.folder
    if folder is None:
        return Finding("gauges", "ok", "no folder of profiles is set")
    store = ProfileStore(folder)
    if store.errors:
        first = next(iter(store.errors.values()))
        return Finding("gauges", "failed", first.message, first.hint)
    return Finding("gauges", "ok", f"{len(store.names())} profiles: {', '.join(store.names())}")


def _devices(_: Settings) -> Finding:
    from molmo_node.camera.devices import list_devices

    devices = list_devices()
    problems = [f"{device.path}: {device.problem}" for device in devices if device.problem]
    if problems:
        return Finding(
            "camera devices", "warning", "; ".join(problems), "sudo usermod -aG video $USER"
        )
    if not devices:
        return Finding("camera devices", "ok", "none; streams, files and folders work without")
    return Finding("camera devices", "ok", ", ".join(device.stable_id for device in devices))


def _gpu(_: Settings) -> Finding:
    if importlib.util.find_spec("torch") is None:
        return Finding("gpu", "ok", "not looked for: torch is not installed")
    import torch

    if not torch.cuda.is_available():
        return Finding("gpu", "warning", "none: a 7B model takes minutes a question on a CPU")
    free_bytes, total_bytes = torch.cuda.mem_get_info()
    name = torch.cuda.get_device_name()
    return Finding(
        "gpu", "ok", f"{name}, {free_bytes / 1e9:.1f} of {total_bytes / 1e9:.1f} GB free"
    )


def _node(settings: Settings) -> Finding:
    from molmo_node.bus.lock import running_nodes
    from molmo_node.cli import session

    nodes = running_nodes(settings.run_dir)
    if not any(entry.kind == "worker" for entry in nodes):
        return Finding("node", "ok", "no worker runs here; `molmo-node up` starts one")
    with session.make_client(settings) as client:
        status = client.status()
    lost = [camera.name for camera in status.cameras if not camera.alive]
    late = [camera.name for camera in status.cameras if camera.alive and not camera.on_rate]
    found = f"worker {status.state}, {len(status.cameras)} cameras"
    if lost:
        return Finding(
            "node", "failed", f"{found}; lost: {', '.join(lost)}", "molmo-node node list"
        )
    if late:
        return Finding("node", "warning", f"{found}; below their rate: {', '.join(late)}")
    return Finding("node", "ok", found)

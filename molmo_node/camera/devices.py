"""Which V4L2 cameras are there, what they can do, who holds them, and a picture of each."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from molmo_node import imaging
from molmo_node.camera import v4l2_ioctl
from molmo_node.camera.base import BadFrame, EndOfStream, Source, open_source
from molmo_node.camera.spec import SourceSpec
from molmo_node.camera.v4l2_ioctl import Description, Format
from molmo_node.clock import SYSTEM_CLOCK, Clock
from molmo_node.errors import CameraError, ProtocolError

SNAPSHOT_WAIT_S = 10.0
# A webcam needs some frames until its exposure has settled.
_SETTLING_FRAMES = 5
_MOST_READS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One capture device.

    Attributes:
        path: ``/dev/videoN``; N may change after a re-plug.
        stable_id: the name to configure: in /dev/v4l/by-id, else by-path, else `path`.
        formats: empty where `problem` says why the device could not be asked.
        held_by: programs that have it open, as ``name (pid)``, as far as permitted to see.
    """

    path: str
    stable_id: str
    name: str = ""
    driver: str = ""
    bus: str = ""
    formats: tuple[Format, ...] = ()
    held_by: tuple[str, ...] = ()
    problem: str = ""


def list_devices(
    dev: Path = Path("/dev"),
    proc: Path = Path("/proc"),
    ask: Callable[[Path], Description] | None = None,
) -> list[Device]:
    """All capture devices, by number. Nodes for metadata or output are left out.

    Args:
        dev, proc: where devices and processes are looked for.
        ask: describes one device, raises OSError; None asks the device itself.
    """
    nodes = [path for path in dev.glob("video*") if re.fullmatch(r"video\d+", path.name)]
    found = []
    for path in sorted(nodes, key=lambda path: int(path.name[5:])):
        device = Device(
            path=str(path), stable_id=stable_id(path, dev), held_by=tuple(holders(path, proc))
        )
        try:
            description = (ask or _ask)(path)
        except OSError as exc:
            found.append(replace(device, problem=os.strerror(exc.errno or 0)))
            continue
        if description.can_capture:
            found.append(_described(device, description))
    return found


def stable_id(path: Path, dev: Path = Path("/dev")) -> str:
    """The name of a device that survives a re-plug; `path` itself where it has none."""
    if path.is_relative_to(dev / "v4l"):
        return str(path)
    for folder in (dev / "v4l" / "by-id", dev / "v4l" / "by-path"):
        for link in sorted(folder.glob("*")):
            if link.resolve() == path.resolve():
                return str(link)
    return str(path)


def holders(path: Path, proc: Path = Path("/proc")) -> list[str]:
    """Programs other than this one that have a device open, as ``name (pid)``.

    Other users' processes are only seen by root; they are left out, not guessed.
    """
    target = os.path.realpath(path)
    pids = sorted(int(entry.name) for entry in proc.glob("[0-9]*") if entry.name.isdigit())
    return [
        f"{_program(proc, pid)} ({pid})"
        for pid in pids
        if pid != os.getpid() and _has_open(proc / str(pid) / "fd", target)
    ]


def snapshot(
    spec: SourceSpec, clock: Clock = SYSTEM_CLOCK, wait_s: float = SNAPSHOT_WAIT_S
) -> imaging.ImageRgb:
    """Open a source, take one good picture, close it.

    Returns:
        ``(H, W, 3) uint8, rgb8``.

    Raises:
        CameraError: it cannot be opened, or gave no good picture within `wait_s`.
    """
    result: list[imaging.ImageRgb | CameraError] = []
    # A device may hang inside its driver, where nothing can end it; the caller goes on.
    thread = threading.Thread(
        target=lambda: result.append(_taken(spec, clock)), name="snapshot", daemon=True
    )
    thread.start()
    thread.join(wait_s)
    if not result:
        raise CameraError(
            f"{spec.label}: no picture within {wait_s:g} s",
            hint="unplug it and plug it in again, or look at the kernel's log: dmesg",
        )
    if isinstance(result[0], CameraError):
        raise result[0]
    return result[0]


def _taken(spec: SourceSpec, clock: Clock) -> imaging.ImageRgb | CameraError:
    try:
        source, info = open_source(replace(spec, loop=False), clock)
    except CameraError as exc:
        return exc
    try:
        return _good_picture(source, _SETTLING_FRAMES if info.is_live else 1)
    except EndOfStream:
        return CameraError(f"{spec.label}: ended without a good picture")
    except CameraError as exc:
        return exc
    finally:
        source.close()


def _good_picture(source: Source, wanted: int) -> imaging.ImageRgb:
    """The `wanted`-th picture that decodes."""
    good = 0
    for _ in range(_MOST_READS):
        with contextlib.suppress(BadFrame, ProtocolError):
            grabbed = source.read()
            rgb = imaging.decode_rgb(grabbed.body, grabbed.encoding, grabbed.width, grabbed.height)
            good += 1
            if good == wanted:
                return rgb
    raise CameraError(f"no good picture among {_MOST_READS} frames")


def _ask(path: Path) -> Description:
    fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return v4l2_ioctl.describe(fd)
    finally:
        os.close(fd)


def _described(device: Device, description: Description) -> Device:
    return replace(
        device, name=description.card, driver=description.driver, bus=description.bus,
        formats=description.formats,
    )  # fmt: skip


def _has_open(folder: Path, target: str) -> bool:
    try:
        names = os.listdir(folder)
    except OSError:
        return False
    return any(_link(folder / name) == target for name in names)


def _link(path: Path) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _program(proc: Path, pid: int) -> str:
    try:
        return (proc / str(pid) / "comm").read_text().strip()
    except OSError:
        return "?"

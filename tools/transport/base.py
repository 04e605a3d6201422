"""What every transport under test looks like, and the one table of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

ImageHWC = NDArray[np.uint8]

WARMUP_FRAMES = 20
BASELINE = "raw-zmq"


def always() -> bool:
    """The check of a subscriber whose array is its own: nobody can overwrite it."""
    return True


class Received(NamedTuple):
    """A frame in a subscriber's hands.

    `number` and `stamp_ns` (monotonic) are the publisher's; ask `is_whole` after the last use
    of `image_hwc`. `image_hwc` is None when the frame was overwritten before it was read.
    """

    number: int
    stamp_ns: int
    image_hwc: ImageHWC | None
    is_whole: Callable[[], bool] = always


class Publisher(Protocol):
    """The sending side; made in its process, which is the only one that uses it."""

    def send(self, number: int, stamp_ns: int, image_hwc: ImageHWC) -> None:
        """Send a frame; the array stays unchanged for as long as the process lives."""
        ...

    def close(self) -> None:
        """Close sockets and remove files."""
        ...


class Subscriber(Protocol):
    """The receiving side."""

    def receive(self, timeout_s: float) -> Received | None:
        """The next frame (of a keep-newest transport: the newest), None if none comes."""
        ...

    def close(self) -> None:
        """Close sockets; arrays that were handed out are used no more."""
        ...


@dataclass(frozen=True)
class Kind:
    """A row of the table of transports.

    Attributes:
        publisher, subscriber: ``module:class``, made with a `Setup`.
        needs: modules that must be there to run it.
        is_exact: frames arrive bit for bit, so that checksums can be compared.
    """

    publisher: str
    subscriber: str
    needs: tuple[str, ...]
    is_exact: bool = True


def _kind(module: str, needs: tuple[str, ...], side: str = "", is_exact: bool = True) -> Kind:
    path = f"tools.transport.peers.{module}"
    return Kind(f"{path}:FramePublisher", f"{path}:{side}FrameSubscriber", needs, is_exact)


KINDS: dict[str, Kind] = {
    "ours-view": _kind("ours", ("molmo_node",), side="View"),
    "ours-copy": _kind("ours", ("molmo_node",), side="Copy"),
    BASELINE: _kind("raw_zmq", ("zmq",)),
    "imagezmq": _kind("image_zmq", ("imagezmq",)),
    "json-jpeg": _kind("json_jpeg", ("zmq", "simplejpeg"), is_exact=False),
    "dora-rs": _kind("dora_rs", ("dora", "pyarrow")),
    "rclpy": _kind("ros2", ("rclpy", "sensor_msgs")),
}


@dataclass(frozen=True)
class Case:
    """One measurement: a publisher process and its subscribers.

    Attributes:
        frames: sent and counted after the warm-up; 0 means until each subscriber has
            checked `checked_frames`, as fast as the publisher can.
        busy_s: how long a subscriber is busy with each frame.
    """

    peer: str
    width: int
    height: int
    subscribers: int
    rate_hz: float
    frames: int
    busy_s: float = 0.0
    checked_frames: int = 0

    @property
    def seconds(self) -> float:
        """How long a paced publisher works."""
        return (WARMUP_FRAMES + self.frames) / self.rate_hz if self.rate_hz else 0.0


@dataclass(frozen=True)
class Setup:
    """What the processes of a case are told, as a JSON file.

    Attributes:
        port: a free TCP port of loopback.
        folder: private to the case: pictures.npy, reports, ipc sockets.
        checksums: of the pictures, which are sent in rotation.
        is_steered: standard input says when to start and to stop (dora has no such pipe).
    """

    case: Case
    port: int
    folder: str
    checksums: list[int] = field(default_factory=list)
    is_steered: bool = True

    @property
    def path(self) -> Path:
        """Where its processes read it."""
        return Path(self.folder) / "setup.json"

    def write(self) -> None:
        """Write it into its folder, before any process starts."""
        self.path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Setup:
        """What `write` wrote."""
        fields: dict[str, Any] = json.loads(path.read_text())
        return cls(**{**fields, "case": Case(**fields["case"])})


def load(target: str) -> Any:
    """The class that a row of the table names."""
    module, name = target.split(":")
    return getattr(import_module(module), name)

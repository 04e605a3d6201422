"""What a test sees of a camera: its process, its frames, and what it holds."""

from __future__ import annotations

from pathlib import Path

import psutil

from molmo_node.bus.address import node_address
from molmo_node.bus.receiver import FrameReceiver
from molmo_node.bus.ring import SHM_DIR
from molmo_node.bus.sockets import Transport
from molmo_node.messages import FrameHeader
from tests.support.waiting import wait_for


class CameraView:
    """Receives one camera's frames in the test's own process."""

    def __init__(self, run_dir: Path, name: str = "front") -> None:
        self._transport = Transport()
        self.receiver = FrameReceiver(
            self._transport, node_address(run_dir, f"camera.{name}"), name
        )

    def next(self, within_s: float = 10.0, than: FrameHeader | None = None) -> FrameHeader:
        """A header newer than the newest, or than `than`."""
        before = than or self.receiver.newest
        wait_for(
            lambda: self.receiver.newest is not None and self.receiver.newest != before,
            within_s,
            "a new frame",
        )
        newest = self.receiver.newest
        assert newest is not None
        return newest

    def __enter__(self) -> CameraView:
        return self

    def __exit__(self, *_: object) -> None:
        self.receiver.close()
        self._transport.close()


def rings(pid: int) -> list[str]:
    """The frame rings that a process has mapped (by its maps: others' tests run here too)."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    names = {word for word in maps.split() if word.startswith(f"{SHM_DIR}/molmo-")}
    return sorted(Path(name).name for name in names)


def held(pid: int) -> tuple[int, int]:
    """A process's open descriptors and threads."""
    process = psutil.Process(pid)
    return process.num_fds(), process.num_threads()

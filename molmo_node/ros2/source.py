"""Frames from the slot that a subscription fills: the part of a ROS source that needs no ROS."""

from __future__ import annotations

from molmo_node.camera.base import BadFrame, EndOfStream, Grabbed, SourceInfo
from molmo_node.camera.spec import SourceSpec
from molmo_node.clock import Clock
from molmo_node.errors import CameraError
from molmo_node.ros2.images import Arrived, to_grabbed
from molmo_node.ros2.slot import NewestSlot, SlotClosed

# Below the watchdog's 10 s for opening and 4 s (and one period) for reading.
OPEN_TIMEOUT_S = 8.0
READ_TIMEOUT_S = 3.0


class SlotSource:
    """A live source whose frames somebody else receives. Open as soon as the first one is there.

    Args:
        spec: `label` is the topic as people know it; `fps` the rate that is expected, if any.
        slot: belongs to whoever fills it, and outlives the source.
    """

    def __init__(self, spec: SourceSpec, clock: Clock, slot: NewestSlot[Arrived]) -> None:
        self._spec = spec
        self._slot = slot
        self._read_timeout_s = READ_TIMEOUT_S + (1.0 / spec.fps if spec.fps else 0.0)

    def open(self) -> SourceInfo:
        """Wait for the first image; one that came since the last `close` is there already.

        So that no image is lost of a topic that is slow, or is published on demand.

        Raises:
            CameraError: none came; the hint says what to look at.
        """
        arrived = self._arrived(OPEN_TIMEOUT_S, takes=False)
        try:
            grabbed = to_grabbed(arrived)
        except BadFrame as exc:
            raise CameraError(
                f"{self._spec.label}: the image that came is unusable ({exc.reason})",
                hint="compare its encoding, width, height, step and length of data",
            ) from exc
        return SourceInfo(
            backend="ros2", stable_id=self._spec.label, is_live=True,
            pixel_format=grabbed.encoding, width=grabbed.width, height=grabbed.height,
            fps=self._spec.fps or 0.0,
        )  # fmt: skip

    def read(self) -> Grabbed:
        """The newest image that was not read yet; waits for one."""
        return to_grabbed(self._arrived(self._read_timeout_s, takes=True))

    def close(self) -> None:
        """Nothing is held."""

    def _arrived(self, timeout_s: float, takes: bool) -> Arrived:
        try:
            arrived = (self._slot.take if takes else self._slot.wait)(timeout_s)
        except SlotClosed as exc:
            raise EndOfStream from exc
        if arrived is None:
            raise CameraError(
                f"{self._spec.label}: no image came within {timeout_s:g} s",
                hint="see that it is published: ros2 topic hz TOPIC; its type and QoS must fit",
            )
        return arrived

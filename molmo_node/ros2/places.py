"""Where in space the points of an answer are: depth and intrinsics of its frame. Needs no ROS."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import msgspec

from molmo_node.errors import ProtocolError
from molmo_node.messages import Answer
from molmo_node.ros2.depth import DepthHistory
from molmo_node.ros2.pinhole import Pinhole, PointM, pinhole


@dataclass(frozen=True)
class Located:
    """An answer, and its points in metres of the optical frame.

    Attributes:
        points_m: one a point of the answer, None where there is no depth to be trusted.
        reason: why points have no place; empty where all have, and where none was looked for.
    """

    answer: Answer
    points_m: tuple[PointM | None, ...] = ()
    reason: str = ""

    def as_json(self) -> str:
        """The answer's fields as in docs/PROTOCOL.md, with ``points_m`` and ``depth_reason``."""
        fields: dict[str, Any] = msgspec.to_builtins(self.answer)
        fields["points_m"] = list(self.points_m)
        fields["depth_reason"] = self.reason or None
        return json.dumps(fields)


class Locator:
    """Holds the newest intrinsics and the last depth images of one camera.

    Args:
        depths: None where there is no depth topic: points then stay pixels.
    """

    def __init__(self, depths: DepthHistory | None) -> None:
        self.depths = depths
        self._pinhole: Pinhole | None = None
        self._problem = "no camera_info came yet"
        self.adjust()

    def adjust(
        self,
        *,
        is_rectified: bool = False,
        radius_px: int = 2,
        slop_ms: float = 50.0,
        wait_ms: float = 0.0,
    ) -> None:
        """Set what `pinhole` and `DepthImage.median_m` are told, and how far stamps may differ."""
        self._is_rectified = is_rectified
        self._radius_px = radius_px
        self._slop_ns = int(slop_ms * 1e6)
        self._wait_s = wait_ms / 1e3

    def note_info(self, info: Any) -> None:
        """Take a `sensor_msgs/CameraInfo`."""
        try:
            self._pinhole = pinhole(info, self._is_rectified)
        except ProtocolError as exc:
            self._pinhole, self._problem = None, str(exc)

    def locate(self, answer: Answer) -> Located:
        """Look up the depth of each point in the depth image of the answer's own frame."""
        if self.depths is None or not answer.points:
            return Located(answer)
        nowhere: tuple[PointM | None, ...] = (None,) * len(answer.points)
        camera = self._pinhole
        if camera is None:
            return Located(answer, nowhere, self._problem)
        size = (answer.width, answer.height)
        depth = self.depths.nearest(answer.frame.stamp_ns, self._slop_ns, self._wait_s)
        if depth is None:
            held = self.depths.problem or f"within {self._slop_ns / 1e6:g} ms of the frame's stamp"
            return Located(answer, nowhere, f"no depth image: {held}")
        if not depth.fits(size):
            height, width = depth.values.shape
            return Located(
                answer, nowhere, f"depth image of {width}x{height} px is not aligned to the image"
            )
        points: list[PointM | None] = []
        for point in answer.points:
            found_m = depth.median_m(point.x_px, point.y_px, size, self._radius_px)
            points.append(
                None if found_m is None else camera.deproject(point.x_px, point.y_px, found_m, size)
            )
        return Located(answer, tuple(points), "" if None not in points else "holes in the depth")

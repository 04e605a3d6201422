"""Depth images: metres, the median around a pixel, and the last few of them. Needs no ROS.

Distances are along the optical axis, as REP 118 defines depth images.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molmo_node import imaging
from molmo_node.errors import ProtocolError
from molmo_node.ros2.images import stamp_ns

# Of the pixels around a point; with less, what is left may be another surface.
VALID_SHARE = 0.25
_ASPECT_TOLERANCE = 0.02
# Type, and metres in one of its units.
_ENCODINGS = {"16UC1": ("u2", 1e-3), "mono16": ("u2", 1e-3), "32FC1": ("f4", 1.0)}


@dataclass(frozen=True)
class DepthImage:
    """One depth image as it came.

    Attributes:
        values: ``(H, W)``, unsigned 16 bit or float 32 bit; a view of the message.
        unit_m: metres in one unit of `values`.
    """

    stamp_ns: int
    values: NDArray[Any]
    unit_m: float

    def median_m(
        self, x_px: float, y_px: float, size: tuple[int, int], radius_px: int
    ) -> float | None:
        """The median depth around a pixel; None where there is no depth to be trusted.

        0, negative, NaN and infinite values are holes, not distances; the median of what is
        left is of the surface that covers most of the window, never between two surfaces'.

        Args:
            x_px, y_px: origin at the top-left corner of the colour image.
            size: (width, height) of the colour image, which may be larger or smaller.
            radius_px: the window is ``2 * radius_px + 1`` depth pixels a side.
        """
        height, width = self.values.shape
        column = int(np.floor(x_px * width / size[0]))
        row = int(np.floor(y_px * height / size[1]))
        if not (0 <= column < width and 0 <= row < height):
            return None
        top, left = max(0, row - radius_px), max(0, column - radius_px)
        window = self.values[top : row + radius_px + 1, left : column + radius_px + 1]
        depths = window.astype(np.float64).ravel() * self.unit_m
        valid = np.sort(depths[np.isfinite(depths) & (depths > 0)])
        if len(valid) < max(1.0, VALID_SHARE * len(depths)):
            return None
        return float(valid[len(valid) // 2])

    def fits(self, size: tuple[int, int]) -> bool:
        """Whether it can be aligned with an image of this (width, height): the same shape."""
        height, width = self.values.shape
        ratio: float = width * size[1] / (height * size[0])
        return abs(ratio - 1.0) <= _ASPECT_TOLERANCE


def depth_image(message: Any) -> DepthImage:
    """A `sensor_msgs/Image` with depths.

    Raises:
        ProtocolError: it is no depth image, or its sizes contradict each other.
    """
    if message.encoding not in _ENCODINGS:
        raise ProtocolError(
            f"depth image with encoding {message.encoding[:32]!r}, expected 16UC1 (mm) or 32FC1 (m)"
        )
    code, unit_m = _ENCODINGS[message.encoding]
    kind = np.dtype(code).newbyteorder(">" if message.is_bigendian else "<")
    width, height, step = int(message.width), int(message.height), int(message.step)
    imaging.check_size(width, height)
    flat = np.frombuffer(message.data, np.uint8)
    if step < width * kind.itemsize or len(flat) != step * height:
        raise ProtocolError(
            f"depth image of {width}x{height} px with step {step} has {len(flat)} bytes"
        )
    rows = flat.reshape(height, step)[:, : width * kind.itemsize]
    values = np.ascontiguousarray(rows).view(kind)
    return DepthImage(stamp_ns(message.header.stamp), values, unit_m)


class DepthHistory:
    """The last depth images, by stamp, within a budget of memory; from any thread.

    An answer comes when its frame is long past: the depth that belongs to it must still be there.

    Attributes:
        rejected: messages that were no depth image, with the last one's reason in `problem`.
    """

    def __init__(self, budget_bytes: int) -> None:
        self._budget_bytes = budget_bytes
        self._held: deque[DepthImage] = deque()
        self._held_bytes = 0
        self._newest_ns = 0
        self._is_waiting_worth = True
        self._came = threading.Condition()
        self.received = 0
        self.rejected = 0
        self.problem = ""

    def add(self, message: Any) -> None:
        """Take a message in; the oldest ones make room for it."""
        try:
            image = depth_image(message)
        except ProtocolError as exc:
            self.rejected += 1
            self.problem = exc.message
            return
        with self._came:
            self.received += 1
            self._newest_ns = image.stamp_ns
            self._is_waiting_worth = True
            self._held.append(image)
            self._held_bytes += image.values.nbytes
            while self._held_bytes > self._budget_bytes and len(self._held) > 1:
                self._held_bytes -= self._held.popleft().values.nbytes
            self._came.notify_all()

    def nearest(self, at_ns: int, slop_ns: int, wait_s: float = 0.0) -> DepthImage | None:
        """The image whose stamp is nearest to `at_ns`; None if none is within `slop_ns`.

        Args:
            wait_s: how long to wait for depth to catch up: an answer may be quicker than the
                depth image of its frame. After a wait in vain none is made until depth comes.
        """
        with self._came:
            if self._is_waiting_worth:
                self._is_waiting_worth = self._came.wait_for(
                    lambda: self._newest_ns >= at_ns, wait_s
                )
            held = list(self._held)
        near = min(held, key=lambda image: abs(image.stamp_ns - at_ns), default=None)
        return near if near is not None and abs(near.stamp_ns - at_ns) <= slop_ns else None

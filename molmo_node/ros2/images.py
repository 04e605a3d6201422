"""From ROS image messages to grabbed frames: encodings, row steps, sizes. Needs no ROS."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from molmo_node import imaging
from molmo_node.bus import limits
from molmo_node.camera.base import BadFrame, Grabbed
from molmo_node.errors import CameraError, ProtocolError
from molmo_node.messages import Encoding

FRAME_ID_CHARS = 256

_AS_THEY_ARE: dict[str, Encoding] = {
    "rgb8": "rgb8", "bgr8": "bgr8", "mono8": "mono8", "8UC1": "mono8", "8UC3": "bgr8",
}  # fmt: skip
# Bytes a pixel, and OpenCV's conversion to RGB.
_CONVERTED: dict[str, tuple[int, str]] = {
    "rgba8": (4, "COLOR_RGBA2RGB"),
    "bgra8": (4, "COLOR_BGRA2RGB"),
    "8UC4": (4, "COLOR_BGRA2RGB"),
    "uyvy": (2, "COLOR_YUV2RGB_UYVY"),
    "yuv422": (2, "COLOR_YUV2RGB_UYVY"),
    "yuyv": (2, "COLOR_YUV2RGB_YUY2"),
    "yuv422_yuy2": (2, "COLOR_YUV2RGB_YUY2"),
    "bayer_rggb8": (1, "COLOR_BayerRGGB2RGB"),
    "bayer_bggr8": (1, "COLOR_BayerBGGR2RGB"),
    "bayer_gbrg8": (1, "COLOR_BayerGBRG2RGB"),
    "bayer_grbg8": (1, "COLOR_BayerGRBG2RGB"),
}
ENCODINGS = (*_AS_THEY_ARE, *_CONVERTED)


class Arrived(NamedTuple):
    """An image message and when it came: monotonic clock, nanoseconds."""

    message: Any
    mono_ns: int


def stamp_ns(stamp: Any) -> int:
    """A `builtin_interfaces/Time` as nanoseconds; exact both ways."""
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def to_grabbed(arrived: Arrived) -> Grabbed:
    """A `sensor_msgs/Image` or `CompressedImage` as a frame, stamped with its header's stamp.

    Raw rgb8, bgr8 and mono8 without row padding is a view of the message, not a copy.

    Raises:
        BadFrame: its sizes contradict each other, or it is no JPEG or PNG file.
        CameraError: the topic carries an encoding that is no picture.
    """
    message = arrived.message
    if len(message.header.frame_id) > FRAME_ID_CHARS:
        raise BadFrame("header")
    if hasattr(message, "format"):
        return _from_file(arrived)
    return _from_rows(arrived)


def _from_file(arrived: Arrived) -> Grabbed:
    body = memoryview(arrived.message.data)
    if not 0 < body.nbytes <= limits.FRAME_BYTES:
        raise BadFrame("size" if body.nbytes else "empty")
    try:
        encoding = imaging.sniff(body)
    except ProtocolError as exc:
        raise BadFrame("encoding") from exc
    try:
        width, height = imaging.image_size(body, encoding)
    except ProtocolError as exc:
        raise BadFrame("header") from exc
    return _grabbed(arrived, body, encoding, width, height)


def _from_rows(arrived: Arrived) -> Grabbed:
    message = arrived.message
    width, height = int(message.width), int(message.height)
    try:
        imaging.check_size(width, height)
    except ProtocolError as exc:
        raise BadFrame("size") from exc
    if message.encoding in _AS_THEY_ARE:
        encoding = _AS_THEY_ARE[message.encoding]
        rows = _rows(message, imaging.CHANNELS[encoding])
        return _grabbed(arrived, np.ascontiguousarray(rows), encoding, width, height)
    if message.encoding in _CONVERTED:
        return _grabbed(arrived, _converted(message), "rgb8", width, height)
    raise CameraError(
        f"encoding {message.encoding[:32]!r} is no picture that can be looked at",
        hint="a depth image belongs to depth_topic; pictures: " + ", ".join(ENCODINGS),
    )


def _converted(message: Any) -> imaging.ImageRgb:
    cv2 = imaging.load_cv2()
    channels, conversion = _CONVERTED[message.encoding]
    try:
        rgb: imaging.ImageRgb = cv2.cvtColor(
            np.ascontiguousarray(_rows(message, channels)), getattr(cv2, conversion)
        )
    except cv2.error as exc:  # an odd number of YUV columns
        raise BadFrame("shape") from exc
    return rgb


def _rows(message: Any, channels: int) -> imaging.ImageRgb:
    """The pixels without the rows' padding: ``(H, W)`` for one channel, else ``(H, W, C)``."""
    width, height, step = int(message.width), int(message.height), int(message.step)
    flat = np.frombuffer(message.data, np.uint8)
    if step < width * channels or len(flat) != step * height:
        raise BadFrame("shape")
    rows = flat.reshape(height, step)[:, : width * channels]
    return rows if channels == 1 else rows.reshape(height, width, channels)


def _grabbed(arrived: Arrived, body: Any, encoding: Encoding, width: int, height: int) -> Grabbed:
    header = arrived.message.header
    return Grabbed(
        body=body, encoding=encoding, width=width, height=height,
        stamp_ns=stamp_ns(header.stamp), mono_ns=arrived.mono_ns, frame_id=header.frame_id,
    )  # fmt: skip

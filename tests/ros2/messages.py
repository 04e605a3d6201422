"""ROS messages as the pure parts of the bridge see them: attributes, no ROS."""

from __future__ import annotations

import array
from types import SimpleNamespace
from typing import Any

import numpy as np

from molmo_node.messages import Answer, FrameRef, Point
from tests.ros2.scene import D, Scene


def header(stamp_ns: int = 5_000_000_007, frame_id: str = "camera_optical") -> SimpleNamespace:
    sec, nanosec = divmod(stamp_ns, 10**9)
    return SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec), frame_id=frame_id)


def image(rows: np.ndarray, encoding: str, pad_bytes: int = 0, **fields: Any) -> SimpleNamespace:
    """A `sensor_msgs/Image` of an array ``(H, W, …)``, its rows followed by padding."""
    height, width = rows.shape[:2]
    flat = np.ascontiguousarray(rows).reshape(height, -1).view(np.uint8)
    padded = np.pad(flat, ((0, 0), (0, pad_bytes)), constant_values=77)
    made = {
        "header": header(), "height": height, "width": width, "encoding": encoding,
        "is_bigendian": 0, "step": padded.shape[1], "data": array.array("B", padded.tobytes()),
    }  # fmt: skip
    return SimpleNamespace(**{**made, **fields})


def compressed(body: bytes, **fields: Any) -> SimpleNamespace:
    """A `sensor_msgs/CompressedImage`."""
    made = {"header": header(), "format": "jpeg", "data": array.array("B", body)}
    return SimpleNamespace(**{**made, **fields})


def camera_info(scene: Scene, **fields: Any) -> SimpleNamespace:
    """A `sensor_msgs/CameraInfo` of the scene's camera."""
    k = scene.k
    made = {
        "width": scene.width, "height": scene.height, "distortion_model": "plumb_bob",
        "d": list(D), "k": list(k), "binning_x": 0, "binning_y": 0,
        "p": [k[0], 0.0, k[2], 0.0, 0.0, k[4], k[5], 0.0, 0.0, 0.0, 1.0, 0.0],
        "roi": SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0),
    }  # fmt: skip
    return SimpleNamespace(**{**made, **fields})


def answer(*points: tuple[float, float], stamp_ns: int = 5_000_000_007, **fields: Any) -> Answer:
    """An answer about a VGA frame of camera ros."""
    frame = FrameRef(
        camera="ros", session="s", seq=1, stamp_ns=stamp_ns, mono_ns=1, frame_id="camera_optical"
    )
    found = tuple(Point(x_px=x, y_px=y, label="thing") for x, y in points)
    made = {"task": "point", "query": "thing", "width": 640, "height": 480}
    return Answer(frame=frame, points=found, **{**made, **fields})

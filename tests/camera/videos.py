"""Small real video files, made by PyAV."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import av.video.frame

from molmo_node import imaging
from molmo_node.camera.pattern import background, draw

NOON_NS = 1_700_000_000_000_000_000


def pictures(count: int, width: int = 192, height: int = 128) -> list[imaging.ImageRgb]:
    """Pattern frames 0 to count - 1."""
    base = background(width, height)
    return [draw(base, number, NOON_NS) for number in range(count)]


def write_mjpeg(path: Path, bodies: Sequence[bytes], size: tuple[int, int], fps: int = 20) -> Path:
    """A video whose packets are exactly these JPEG files."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=fps)
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p"
        for number, body in enumerate(bodies):
            packet = av.Packet(body)
            packet.stream = stream
            packet.time_base = Fraction(1, fps)
            packet.pts = packet.dts = number
            packet.is_keyframe = True
            container.mux(packet)
    return path


def write_h264(path: Path, frames: Sequence[imaging.ImageRgb], fps: int = 20) -> Path:
    """A video with B-frames, as phones and cameras make it."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx264", rate=fps, options={"preset": "ultrafast", "bf": "2"}
        )
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for rgb in frames:
            container.mux(stream.encode(av.video.frame.VideoFrame.from_ndarray(rgb, "rgb24")))
        container.mux(stream.encode())
    return path

"""What every camera source gives, and the table of kinds."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Literal, Protocol, get_args, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from molmo_node.camera.spec import SourceSpec
from molmo_node.clock import SYSTEM_CLOCK, Clock
from molmo_node.imaging import CHANNELS
from molmo_node.messages import Encoding

KINDS = {
    "v4l2": "molmo_node.camera.v4l2:V4L2Source",
    "stream": "molmo_node.camera.stream:StreamSource",
    "images": "molmo_node.camera.images:ImagesSource",
    "pattern": "molmo_node.camera.pattern:PatternSource",
    "sim": "molmo_node.camera.sim:SimSource",
    "replay": "molmo_node.camera.replay:ReplaySource",
    "ros2": "molmo_node.ros2.topic:TopicSource",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grabbed:
    """One frame as the source gave it.

    Attributes:
        body: a JPEG or PNG file as bytes, or pixels as ``(H, W, 3) uint8`` (rgb8, bgr8) or
            ``(H, W) uint8`` (mono8), C-contiguous. The receiver owns it: a source never
            writes into a body that it has handed out.
        width, height: pixels; 0 where a file's header could not be read.
        stamp_ns, mono_ns: wall and monotonic clock, read together when the frame was grabbed.
        seq: the number it already has; None where the capture loop numbers it.
        frame_id: coordinate frame, where the source itself says it; empty: as configured.
    """

    body: bytes | memoryview | NDArray[np.uint8]
    encoding: Encoding
    width: int
    height: int
    stamp_ns: int
    mono_ns: int
    seq: int | None = None
    frame_id: str = ""

    @property
    def stride(self) -> int:
        """Bytes from one raw row to the next; 0 for a JPEG or PNG file."""
        return self.width * CHANNELS.get(self.encoding, 0)

    @property
    def nbytes(self) -> int:
        """Length of the body in bytes."""
        return len(self.body) if isinstance(self.body, bytes) else self.body.nbytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInfo:
    """What a source was opened as: the asked-for and what was read back.

    Attributes:
        backend: which library and format speak to it, e.g. ``pyav video4linux2``.
        stable_id: a name that survives a re-plug; for logs, so without user and password.
        is_live: frames come when the device has them; otherwise the capture loop paces.
        pixel_format: the device's or file's own word, e.g. ``mjpeg``, ``yuyv422``, ``h264``.
        width, height, fps: as read back; 0 where unknown or changing.
        asked_width, asked_height, asked_fps: as configured; None where left to the source.
    """

    backend: str
    stable_id: str
    is_live: bool
    pixel_format: str = ""
    width: int = 0
    height: int = 0
    fps: float = 0.0
    asked_width: int | None = None
    asked_height: int | None = None
    asked_fps: float | None = None

    def differences(self) -> str:
        """What is not as asked, for people: ``asked 1920x1080, got 1280x720``; else empty."""
        parts = []
        asked = (self.asked_width or self.width, self.asked_height or self.height)
        if self.width and asked != (self.width, self.height):
            parts.append(f"asked {asked[0]}x{asked[1]}, got {self.width}x{self.height}")
        if self.is_live and self.asked_fps and 0 < self.fps < 0.95 * self.asked_fps:
            parts.append(f"asked {self.asked_fps:g} fps, got {self.fps:g}")
        return "; ".join(parts)


class EndOfStream(Exception):
    """A source with an end (a file, a list played once) has reached it. No error."""


RejectReason = Literal[
    "empty",
    "encoding",
    "shape",
    "size",
    "header",
    "truncated",
    "stamp",
    "undecodable",
    "unreadable",
]
REJECT_REASONS: tuple[RejectReason, ...] = get_args(RejectReason)


class BadFrame(Exception):
    """This one frame is unusable; the source goes on. Counted as rejected for `reason`."""

    def __init__(self, reason: RejectReason) -> None:
        super().__init__(reason)
        self.reason = reason


class Source(Protocol):
    """One camera, file or generator. Used from one thread, opened once, closed once."""

    def open(self) -> SourceInfo:
        """Open it.

        Raises:
            CameraError: it is absent, held by another, or cannot do what was asked.
        """
        ...

    def read(self) -> Grabbed:
        """Give the next frame; a live source blocks until there is one.

        Raises:
            BadFrame: this frame is unusable, the next may be good.
            EndOfStream: there are no more.
            CameraError: the source is lost; close it and make a new one.
        """
        ...

    def close(self) -> None:
        """Free everything. Safe to call twice, and after a failed `open`."""
        ...


@runtime_checkable
class Timed(Protocol):
    """A source that is not live and knows when each of its frames is due."""

    def wait_s(self, now_ns: int) -> float:
        """Seconds from this monotonic time until the next `read`, 0.0 when it is due."""
        ...


class SourceClass(Protocol):
    """How a kind's class is called."""

    def __call__(self, spec: SourceSpec, clock: Clock) -> Source: ...


def make_source(spec: SourceSpec, clock: Clock = SYSTEM_CLOCK) -> Source:
    """Make the source that a spec names, not yet opened; only its own kind is imported."""
    module_name, class_name = KINDS[spec.kind].split(":")
    kind: SourceClass = getattr(importlib.import_module(module_name), class_name)
    return kind(spec, clock)


def open_source(spec: SourceSpec, clock: Clock = SYSTEM_CLOCK) -> tuple[Source, SourceInfo]:
    """Make and open a source; it is closed again where opening fails.

    Raises:
        CameraError: it is absent, held by another, or cannot do what was asked.
    """
    source = make_source(spec, clock)
    try:
        return source, source.open()
    except BaseException:
        source.close()
        raise

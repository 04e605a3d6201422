"""Frames out of a PyAV container: JPEG packets untouched, everything else decoded."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

import av
import av.error

from molmo_node import imaging
from molmo_node.bus import limits
from molmo_node.camera.base import BadFrame, Grabbed
from molmo_node.camera.spec import WantedEncoding
from molmo_node.clock import Clock
from molmo_node.errors import CameraError, ProtocolError

# A stream without a declared rate is given its 90 kHz time base as one.
_HIGHEST_FPS = 1000.0
_OLDEST_GRAB_NS = 500_000_000
# libavcodec refuses larger pictures before it allocates them.
DECODER_OPTIONS = {"max_pixels": str(limits.IMAGE_PX)}


class AvReader:
    """Reads the first video stream of an open container, and closes the container.

    Args:
        container: from ``av.open``; owned from here on.
        label: the source's name for errors, without user and password.
        wanted: ``raw`` decodes MJPEG too; otherwise its packets pass through untouched.
        has_kernel_stamps: packets carry the monotonic time at which the kernel got the frame.

    Raises:
        CameraError: the container has no video stream.
    """

    def __init__(
        self,
        container: Any,
        clock: Clock,
        *,
        label: str,
        wanted: WantedEncoding,
        has_kernel_stamps: bool = False,
    ) -> None:
        self._container = container
        self._clock = clock
        self._has_kernel_stamps = has_kernel_stamps
        if not container.streams.video:
            container.close()
            raise CameraError(f"{label}: has no video stream", hint="try it with ffprobe")
        self._stream = container.streams.video[0]
        # Frame threads would hold frames back: slices cost no delay.
        self._stream.thread_type = "SLICE"
        self._is_passed_through = self.codec == "mjpeg" and wanted != "raw"
        self._packets = iter(container.demux(self._stream))
        self._decoded: deque[Grabbed] = deque()

    @property
    def codec(self) -> str:
        """FFmpeg's name of the stream's codec; for raw devices its pixel format."""
        context = self._stream.codec_context
        return str(context.pix_fmt if context.name == "rawvideo" else context.name)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) as the container declares them; 0 where unknown."""
        return int(self._stream.width or 0), int(self._stream.height or 0)

    @property
    def fps(self) -> float:
        """Frames per second as the container declares them; 0.0 where unknown."""
        rate = float(self._stream.average_rate or self._stream.guessed_rate or 0.0)
        return rate if rate <= _HIGHEST_FPS else 0.0

    def read(self) -> Grabbed | None:
        """Give the next frame, None at the end of the stream.

        Raises:
            BadFrame: one packet could not be decoded; the next may be good.
            av.error.FFmpegError: the container failed.
        """
        while not self._decoded:
            packet = next(self._packets, None)
            if packet is None:
                return None
            stamp_ns, mono_ns = self._stamps(packet)
            self._decoded.extend(self._frames_of(packet, stamp_ns, mono_ns))
        return self._decoded.popleft()

    def close(self) -> None:
        """Free the container and what was decoded ahead. Safe to call twice."""
        self._decoded.clear()
        self._container.close()

    def _stamps(self, packet: Any) -> tuple[int, int]:
        """Wall and monotonic clock at the grab: the kernel's stamp where it is sane, else now."""
        stamp_ns, mono_ns = self._clock.wall_ns(), self._clock.mono_ns()
        if self._has_kernel_stamps and packet.pts is not None:
            age_ns = mono_ns - round(packet.pts * packet.time_base * 1_000_000_000)
            # Some drivers stamp with another clock, or not at all.
            if 0 <= age_ns <= _OLDEST_GRAB_NS:
                return stamp_ns - age_ns, mono_ns - age_ns
        return stamp_ns, mono_ns

    def _frames_of(self, packet: Any, stamp_ns: int, mono_ns: int) -> Iterable[Grabbed]:
        if self._is_passed_through:
            # The demuxer ends with an empty packet that flushes decoders.
            return [self._jpeg(bytes(packet), stamp_ns, mono_ns)] if packet.size else []
        try:
            frames = packet.decode()
        except (av.error.InvalidDataError, av.error.ArgumentError) as exc:
            raise BadFrame("undecodable") from exc
        return [self._pixels(frame, stamp_ns, mono_ns) for frame in frames]

    def _jpeg(self, body: bytes, stamp_ns: int, mono_ns: int) -> Grabbed:
        try:
            width, height = imaging.image_size(body, "jpeg")
        except ProtocolError:
            width, height = 0, 0
        return Grabbed(
            body=body, encoding="jpeg", width=width, height=height,
            stamp_ns=stamp_ns, mono_ns=mono_ns,
        )  # fmt: skip

    def _pixels(self, frame: Any, stamp_ns: int, mono_ns: int) -> Grabbed:
        if frame.is_corrupt:
            raise BadFrame("undecodable")
        return Grabbed(
            body=frame.to_ndarray(format="rgb24"), encoding="rgb8",
            width=frame.width, height=frame.height, stamp_ns=stamp_ns, mono_ns=mono_ns,
        )  # fmt: skip

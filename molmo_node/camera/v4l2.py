"""USB and other V4L2 cameras through PyAV: MJPEG passes through, other formats are decoded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import av.error

from molmo_node.camera import devices
from molmo_node.camera.av_reader import DECODER_OPTIONS, AvReader
from molmo_node.camera.base import Grabbed, SourceInfo
from molmo_node.camera.causes import V4L2_CAUSES, camera_error
from molmo_node.camera.spec import SourceSpec
from molmo_node.clock import Clock
from molmo_node.errors import CameraError


class V4L2Source:
    """One capture device, by its number's path or a stable name of /dev/v4l/by-id.

    ``auto`` and ``mjpeg`` ask for MJPEG first; a device without it gives pixels, which the
    capture loop compresses where ``mjpeg`` is asked for. A read may hang for ever in a broken
    driver: no timeout reaches into it, the capture loop's watchdog does.

    Args:
        open_container: ``av.open``, or a stand-in where there is no device.
    """

    def __init__(
        self, spec: SourceSpec, clock: Clock, *, open_container: Callable[..., Any] = av.open
    ) -> None:
        self._spec = spec
        self._clock = clock
        self._open_container = open_container
        self._reader: AvReader | None = None

    def open(self) -> SourceInfo:
        """Open the device and read back what it was set to."""
        reader = self._reader = AvReader(
            self._container(),
            self._clock,
            label=self._spec.label,
            wanted=self._spec.encoding,
            has_kernel_stamps=True,
        )
        width, height = reader.size
        return SourceInfo(
            backend="pyav video4linux2", stable_id=devices.stable_id(Path(self._spec.target)),
            is_live=True, pixel_format=reader.codec, width=width, height=height, fps=reader.fps,
            asked_width=self._spec.width, asked_height=self._spec.height,
            asked_fps=self._spec.fps,
        )  # fmt: skip

    def read(self) -> Grabbed:
        """Give the device's next frame."""
        if self._reader is None:
            raise CameraError(f"{self._spec.label}: is closed")
        try:
            grabbed = self._reader.read()
        except (av.error.FFmpegError, OSError) as exc:
            raise camera_error(self._spec.label, exc, V4L2_CAUSES) from exc
        if grabbed is None:
            raise CameraError(f"{self._spec.label}: the device ended its stream")
        return grabbed

    def close(self) -> None:
        """Let the device go."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _container(self) -> Any:
        """Try the formats in the order wanted; only "cannot do that" leads to the next."""
        formats = ["rawvideo"] if self._spec.encoding == "raw" else ["mjpeg", "rawvideo"]
        refusal: Exception | None = None
        for input_format in formats:
            try:
                return self._open_container(
                    self._spec.target, format="v4l2", options=self._options(input_format)
                )
            except (av.error.FFmpegError, OSError) as exc:
                refusal = exc
                if not isinstance(exc, av.error.ArgumentError):
                    break
        assert refusal is not None
        raise self._open_error(refusal) from refusal

    def _options(self, input_format: str) -> dict[str, str]:
        options = dict(DECODER_OPTIONS)
        if input_format == "mjpeg":
            options["input_format"] = "mjpeg"
        if self._spec.width and self._spec.height:
            options["video_size"] = f"{self._spec.width}x{self._spec.height}"
        if self._spec.fps:
            options["framerate"] = f"{self._spec.fps:g}"
        return options

    def _open_error(self, exc: Exception) -> CameraError:
        error = camera_error(self._spec.label, exc, V4L2_CAUSES)
        holders = devices.holders(Path(self._spec.target))
        if holders:
            return CameraError(f"{error.message} (open in {', '.join(holders)})", hint=error.hint)
        return error

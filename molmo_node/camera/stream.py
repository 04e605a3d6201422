"""RTSP and HTTP cameras, and video files, through PyAV."""

from __future__ import annotations

import time
from pathlib import Path

import av
import av.error

from molmo_node.camera.av_reader import DECODER_OPTIONS, AvReader
from molmo_node.camera.base import EndOfStream, Grabbed, SourceInfo
from molmo_node.camera.causes import STREAM_CAUSES, camera_error, timeout_error
from molmo_node.camera.spec import SourceSpec
from molmo_node.clock import Clock
from molmo_node.errors import CameraError

# Counted twice by PyAV, for connecting and for the first packets: the watchdog allows 10 s.
OPEN_TIMEOUT_S = 4.0
READ_TIMEOUT_S = 3.0
# UDP loses parts of frames on busy networks, and most routers and containers block it.
# nobuffer drops what came during the analysis, so that the first frame is a fresh one; four frames
# are enough to know the rate and save about 0.6 s of opening.
_NETWORK_OPTIONS = {"rtsp_transport": "tcp", "fflags": "nobuffer", "fpsprobesize": "4"}


class StreamSource:
    """A network stream (live) or a video file (paced by the capture loop).

    A file begins again after its last frame where the spec says ``loop``; it is opened anew for
    that, so that a file which vanished or was replaced is noticed.

    Args:
        open_timeout_s, read_timeout_s: longest silence of a network stream.
    """

    def __init__(
        self,
        spec: SourceSpec,
        clock: Clock,
        *,
        open_timeout_s: float = OPEN_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        self._spec = spec
        self._clock = clock
        self._open_timeout_s = open_timeout_s
        self._read_timeout_s = read_timeout_s
        self._is_url = "://" in spec.target
        self._is_live = self._is_url
        self._reader: AvReader | None = None
        self._frames_in_pass = 0

    def open(self) -> SourceInfo:
        """Connect, or open the file; each step of connecting may take `open_timeout_s`."""
        reader = self._reader = self._open_reader()
        width, height = reader.size
        return SourceInfo(
            backend="pyav " + (self._spec.target.partition("://")[0] if self._is_url else "file"),
            stable_id=self._spec.label, is_live=self._is_live, pixel_format=reader.codec,
            width=width, height=height, fps=reader.fps,
            asked_width=self._spec.width, asked_height=self._spec.height,
            asked_fps=self._spec.fps,
        )  # fmt: skip

    def read(self) -> Grabbed:
        """Give the next frame; a network stream is lost after `read_timeout_s` of silence."""
        grabbed = self._read_once()
        if grabbed is None:
            self._begin_again()
            grabbed = self._read_once()
        if grabbed is None:
            raise CameraError(f"{self._spec.label}: holds no frames")
        self._frames_in_pass += 1
        return grabbed

    def close(self) -> None:
        """Disconnect."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _open_reader(self) -> AvReader:
        options = DECODER_OPTIONS | (_NETWORK_OPTIONS if self._is_url else {})
        timeouts = (self._open_timeout_s, self._read_timeout_s) if self._is_url else None
        # FFmpeg takes a name with a colon for a protocol; files are named by their whole path.
        target = self._spec.target if self._is_url else str(Path(self._spec.target).absolute())
        started = time.monotonic()
        try:
            container = av.open(target, options=options, timeout=timeouts)
        except (av.error.FFmpegError, OSError) as exc:
            waited_s = time.monotonic() - started
            raise self._error(exc, "opening", waited_s, self._open_timeout_s) from exc
        is_endless = container.duration is None
        self._is_live = self._is_url and (is_endless or not self._spec.target.startswith("http"))
        return AvReader(container, self._clock, label=self._spec.label, wanted=self._spec.encoding)

    def _read_once(self) -> Grabbed | None:
        if self._reader is None:
            raise CameraError(f"{self._spec.label}: is closed")
        started = time.monotonic()
        try:
            return self._reader.read()
        except (av.error.FFmpegError, OSError) as exc:
            waited_s = time.monotonic() - started
            raise self._error(exc, "streaming", waited_s, self._read_timeout_s) from exc

    def _begin_again(self) -> None:
        """After the last frame: the stream is lost, the file has ended, or it is looped."""
        if self._is_live:
            raise CameraError(
                f"{self._spec.label}: the host ended the stream", hint="it is opened again"
            )
        if not self._spec.loop:
            raise EndOfStream
        if self._frames_in_pass == 0:
            raise CameraError(f"{self._spec.label}: holds no frames", hint="try it with ffprobe")
        self.close()
        self._frames_in_pass = 0
        self._reader = self._open_reader()

    def _error(self, exc: Exception, doing: str, waited_s: float, limit_s: float) -> CameraError:
        # PyAV reports its timeout as ExitError, or as whatever the interrupted demuxer made of it.
        if self._is_url and waited_s >= 0.95 * limit_s:
            return timeout_error(self._spec.label, doing, limit_s)
        return camera_error(self._spec.label, exc, STREAM_CAUSES)

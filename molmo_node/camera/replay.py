"""A recording as a camera: the same pictures, in the rhythm in which they were recorded.

What is kept and what is not: docs/recording.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from molmo_node.camera.base import BadFrame, EndOfStream, Grabbed, SourceInfo
from molmo_node.camera.spec import SourceSpec
from molmo_node.clock import Clock
from molmo_node.errors import CameraError, MolmoNodeError, ProtocolError

if TYPE_CHECKING:
    from molmo_node.recording.frames import RecordedFrame
    from molmo_node.recording.summary import Summary

# So long the last frame stays before the stream ends: whoever takes the newest gets it too.
ENDING_S = 1.0
LONGEST_GAP_NS = 3_600_000_000_000
# Between two passes, where the recording is too short to tell.
_PERIOD_S = 0.2


class ReplaySource:
    """The frames of one camera of a recording, once or again and again.

    `stamp_ns` and `seq` are the recorded ones; `seq` is moved on where it would not rise (the
    recorded camera began anew, or the recording does). `mono_ns` is now: how old a frame is
    counts from its replay.
    """

    def __init__(self, spec: SourceSpec, clock: Clock) -> None:
        self._spec = spec
        self._clock = clock
        self._camera = spec.recorded
        self._frames: Iterator[RecordedFrame | ProtocolError] = iter(())
        self._next: RecordedFrame | ProtocolError | None = None
        self._log_ns: int | None = None
        self._due_ns = 0
        self._period_s = _PERIOD_S
        self._last_seq = -1
        self._seq_offset = 0

    def open(self) -> SourceInfo:
        """Look into the recording and take its first frame.

        Raises:
            CameraError: no such recording, no such camera in it, or the packages of the extra
                ``[record]`` are missing.
        """
        summary = look_into(self._spec)
        self._camera = choose_camera(self._spec, summary.cameras)
        fps = summary.fps(self._camera) * self._spec.speed
        self._period_s = 1.0 / fps if fps else _PERIOD_S
        self._begin()
        return SourceInfo(
            backend="mcap", stable_id=f"{self._spec.label}#{self._camera}", is_live=False,
            fps=fps, asked_fps=self._spec.fps,
        )  # fmt: skip

    def wait_s(self, now_ns: int) -> float:
        """Until the next frame is due, at the recorded distance divided by the speed."""
        return max(0.0, (self._due_ns - now_ns) / 1e9)

    def read(self) -> Grabbed:
        """The next frame.

        Raises:
            BadFrame: this one is damaged or over the limits.
            EndOfStream: there are no more, and they are not played again.
        """
        if self._next is None:
            if not self._spec.loop:
                raise EndOfStream
            self._begin()
        found = self._advance()
        if isinstance(found, ProtocolError):
            raise BadFrame("undecodable")
        header = found.header
        return Grabbed(
            body=found.body, encoding=header.encoding, width=header.width, height=header.height,
            stamp_ns=header.ref.stamp_ns, mono_ns=self._clock.mono_ns(),
            seq=self._rising(header.ref.seq),
        )  # fmt: skip

    def close(self) -> None:
        """Let go of the file."""
        self._frames, self._next = iter(()), None

    def _begin(self) -> None:
        from molmo_node.recording.frames import recorded_frames
        from molmo_node.recording.reader import Recording

        try:
            self._frames = recorded_frames(Recording(Path(self._spec.target)), self._camera)
        except MolmoNodeError as exc:
            raise CameraError(exc.message, hint=exc.hint) from exc
        self._log_ns = None
        self._next = next(self._frames, None)
        if self._next is None:
            raise CameraError(f"{self._spec.label}: holds no whole frame of {self._camera}")
        self._due_ns = max(self._due_ns, self._clock.mono_ns())

    def _advance(self) -> RecordedFrame | ProtocolError:
        """The frame that is due; looks ahead to the one after it, to know when that is."""
        found = self._next
        assert found is not None
        self._next = next(self._frames, None)
        distance_ns = self._distance_ns(found)
        now_ns = self._clock.mono_ns()
        # What was late by more than a frame is not made up for: nobody would see those frames.
        is_late = now_ns - self._due_ns > distance_ns
        self._due_ns = (now_ns if is_late else self._due_ns) + distance_ns
        return found

    def _distance_ns(self, found: RecordedFrame | ProtocolError) -> int:
        """From this frame to the next one, or to the end, at the wanted speed."""
        if self._next is None:
            return int(1e9 * (self._period_s if self._spec.loop else ENDING_S))
        before_ns = self._log_ns
        if not isinstance(found, ProtocolError):
            before_ns = self._log_ns = found.log_ns
        if isinstance(self._next, ProtocolError) or before_ns is None:
            return 0
        distance_ns = int(max(0, self._next.log_ns - before_ns) / self._spec.speed)
        return min(distance_ns, LONGEST_GAP_NS)

    def _rising(self, seq: int) -> int:
        if seq + self._seq_offset <= self._last_seq:
            self._seq_offset = self._last_seq + 1 - seq
        self._last_seq = seq + self._seq_offset
        return self._last_seq


def look_into(spec: SourceSpec) -> Summary:
    """What the recording of a spec holds.

    Raises:
        CameraError: there is none, or it cannot be read here.
    """
    from molmo_node.recording.needed import need_packages

    try:
        need_packages()
        from molmo_node.recording.summary import look

        return look(Path(spec.target))
    except MolmoNodeError as exc:
        raise CameraError(exc.message, hint=exc.hint) from exc


def recorded_frame_id(spec: SourceSpec) -> str:
    """The `frame_id` of the first whole frame of a spec's camera; empty where there is none."""
    from molmo_node.recording.frames import recorded_frames
    from molmo_node.recording.reader import Recording

    for found in recorded_frames(Recording(Path(spec.target)), spec.recorded):
        if not isinstance(found, ProtocolError):
            return found.header.ref.frame_id
    return ""


def choose_camera(spec: SourceSpec, cameras: dict[str, int]) -> str:
    """The camera of a recording that a spec means.

    Raises:
        CameraError: it is not there, or there are several and none is named.
    """
    wanted = spec.recorded
    if wanted in cameras or (not wanted and len(cameras) == 1):
        return wanted or next(iter(cameras))
    known = ", ".join(cameras) or "none"
    found = f"holds no camera {wanted!r}" if wanted else "which camera is meant?"
    if not cameras:
        found = "holds no frames"
    raise CameraError(
        f"{spec.label}: {found} (recorded: {known})",
        hint="name one: replay:run.mcap#NAME; `molmo-node record info` shows what is recorded",
    )

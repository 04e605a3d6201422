"""The capture loop: opens a source, grabs, checks and numbers frames, and brings it back.

Two threads: one grabs and publishes; one watches the first, because a read that hangs inside a
driver cannot be ended from within. States: ``starting`` → ``ready`` ⇄ ``lost`` → ``stopped``;
``failed`` when publishing itself broke.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from molmo_node.camera import validate
from molmo_node.camera.base import BadFrame, EndOfStream, Grabbed, Source, SourceInfo, Timed
from molmo_node.camera.convert import Convert, unchanged
from molmo_node.camera.ledger import Ledger, Report
from molmo_node.camera.pacing import Pacer, retry_s
from molmo_node.camera.watchdog import Limits, Phase, Pulse, Verdict, verdict
from molmo_node.clock import SYSTEM_CLOCK, Clock
from molmo_node.errors import CameraError, ProtocolError
from molmo_node.messages import FrameRef, NodeState

log = logging.getLogger(__name__)

T = TypeVar("T")
Publish = Callable[[Grabbed, FrameRef], None]

STOP_S = 1.0
CHECK_S = 0.2
OVERSLEPT_S = 1.0
_UNKNOWN_PERIOD_S = 0.2


def new_session() -> str:
    """A name for one opening of one source, different every time."""
    return secrets.token_hex(4)


def no_hang_handler() -> None:
    """The default of `on_hang`: the fault is reported, and nothing else can be done."""


class CaptureLoop:
    """Keeps one camera going from `start` to `stop`.

    Args:
        source_factory: makes a new, unopened source for every (re)opening.
        publish: takes each good frame; called on the capture thread only, so a socket that it
            makes at its first call stays on one thread. Owns the body from then on.
        report: takes each change of state with its reason; called on the capture thread or the
            watching thread, never on both at once. It must not call `stop`.
        clock: stamps and measures.
        camera, frame_id, host: what every FrameRef carries.
        max_fps: highest rate published, and the rate at which files play; None: the source's own.
        convert: applied to every frame that is published; a ProtocolError rejects the frame.
        on_hang: called once, on the watching thread, after ``lost`` was reported, when an open or
            read has not returned in time. The source is abandoned with its thread and descriptors;
            the process should replace itself.
        first_seq: the first frame's number, for a process that replaced itself.
        limits: of the watchdog.
        wait: waits that many seconds, True when the loop was asked to stop; tests replace it.
        make_session: names each opening.
    """

    def __init__(
        self,
        source_factory: Callable[[], Source],
        publish: Publish,
        report: Report,
        clock: Clock = SYSTEM_CLOCK,
        *,
        camera: str,
        frame_id: str = "",
        host: str = "",
        max_fps: float | None = None,
        convert: Convert = unchanged,
        on_hang: Callable[[], None] = no_hang_handler,
        first_seq: int = 0,
        limits: Limits = Limits(),  # noqa: B008  frozen
        wait: Callable[[float], bool] | None = None,
        make_session: Callable[[], str] = new_session,
    ) -> None:
        self._source_factory = source_factory
        self._publish = publish
        self._ledger = Ledger(camera, report)
        self._clock = clock
        self._camera, self._frame_id, self._host = camera, frame_id, host
        self._max_fps = max_fps
        self._convert = convert
        self._on_hang = on_hang
        self._limits = limits
        self._make_session = make_session
        self._stop = threading.Event()
        self._wait = wait or self._stop.wait
        self._pulse = Pulse("idle", clock.mono_ns())
        self._threads: list[threading.Thread] = []
        self._seq = first_seq
        self._session = ""
        self._opened = False
        self._last_mono_ns = 0
        self._info: SourceInfo | None = None

    @property
    def state(self) -> NodeState:
        """The state reported last."""
        return self._ledger.state

    @property
    def info(self) -> SourceInfo | None:
        """What the source was last opened as, None before it ever was."""
        return self._info

    def counters(self) -> dict[str, int]:
        """Totals: ``grabbed`` = ``sent`` + ``skipped`` (over the rate) + ``rejected``.

        ``rejected`` is the sum of ``rejected_<reason>``; ``reopened`` counts successful reopenings.
        """
        return self._ledger.counters()

    def start(self) -> None:
        """Start grabbing. The first report is ``starting``."""
        self._ledger.enter("starting")
        for body, name in ((self.run, "capture"), (self._watch, "watchdog")):
            # daemon: a read that hangs in a driver must not keep a stopped process alive.
            thread = threading.Thread(target=body, name=f"{name}-{self._camera}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self, wait_s: float = STOP_S) -> bool:
        """Stop and close the source.

        Returns:
            False when a hung open or read keeps its thread; the process can still exit.
        """
        self._stop.set()
        deadline_s = time.monotonic() + wait_s
        for thread in self._threads:
            thread.join(max(0.0, deadline_s - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def run(self) -> None:
        """The capture thread: returns when stopped or at the end of the stream."""
        try:
            detail = self._run_until_end()
        except Exception as exc:
            log.exception("capture failed", extra={"camera": self._camera})
            self._ledger.enter("failed", f"capture failed with {type(exc).__name__}")
        else:
            self._ledger.enter("stopped", detail)

    def _run_until_end(self) -> str:
        failures = 0
        while not self._stop.is_set():
            frames_before = self._seq
            try:
                self._run_session()
            except EndOfStream:
                return "end of stream"
            except CameraError as exc:
                self._ledger.enter("lost", str(exc))
                failures = 1 if self._seq > frames_before else failures + 1
                if self._wait(retry_s(failures)):
                    break
        return ""

    def _run_session(self) -> None:
        """Open the source, stream from it until it fails or the loop is stopped, close it."""
        source = self._guarded("opening", self._source_factory)
        try:
            info = self._guarded("opening", source.open)
            self._begin_session(info)
            self._stream(source, info)
        finally:
            self._close(source)

    def _begin_session(self, info: SourceInfo) -> None:
        self._info = info
        self._session = self._make_session()
        if self._opened:
            self._ledger.count("reopened")
        self._opened = True
        facts = {
            "camera": self._camera, "session": self._session, "backend": info.backend,
            "stable_id": info.stable_id, "pixel_format": info.pixel_format, "width": info.width,
            "height": info.height, "fps": info.fps, "differences": info.differences(),
        }  # fmt: skip
        level = logging.WARNING if info.differences() else logging.INFO
        log.log(level, "camera opened", extra=facts)

    def _stream(self, source: Source, info: SourceInfo) -> None:
        timed = source if isinstance(source, Timed) else None
        has_pace = info.is_live or timed is not None  # then frames over the rate are skipped
        pacer = Pacer(self._max_fps or (None if has_pace else info.fps or None))
        now_ns = self._clock.mono_ns()
        self._pulse = Pulse("idle", now_ns, now_ns, _period_s(info, self._max_fps))
        while not self._stop.is_set():
            if not info.is_live:
                if self._wait((timed or pacer).wait_s(self._clock.mono_ns())):
                    return
                if timed is None:
                    pacer.take(self._clock.mono_ns())
            try:
                grabbed = self._guarded("reading", source.read)
            except BadFrame as exc:
                self._ledger.count("grabbed")
                self._ledger.reject(exc.reason)
                continue
            self._take(grabbed, pacer if has_pace else None)

    def _take(self, grabbed: Grabbed, pacer: Pacer | None) -> None:
        """Check a frame; publish it if it is good, and due where it came unpaced."""
        self._ledger.count("grabbed")
        reason = validate.fault(
            grabbed, last_mono_ns=self._last_mono_ns, now_mono_ns=self._clock.mono_ns()
        )
        if reason:
            self._ledger.reject(reason)
            return
        self._last_mono_ns = grabbed.mono_ns
        if pacer and not pacer.take(grabbed.mono_ns):
            self._ledger.count("skipped")
        elif not self._send(grabbed):
            return
        self._ledger.good()
        now_ns = self._clock.mono_ns()
        self._pulse = Pulse("idle", now_ns, now_ns, self._pulse.period_s)
        if self.state != "ready":
            self._ledger.enter("ready", self._info.differences() if self._info else "")

    def _send(self, grabbed: Grabbed) -> bool:
        try:
            converted = self._convert(grabbed)
        except ProtocolError:
            self._ledger.reject("undecodable")
            return False
        self._seq = max(self._seq, grabbed.seq or 0)
        ref = FrameRef(
            camera=self._camera, session=self._session, seq=self._seq, host=self._host,
            stamp_ns=grabbed.stamp_ns, mono_ns=grabbed.mono_ns,
            frame_id=grabbed.frame_id or self._frame_id,
        )  # fmt: skip
        self._publish(converted, ref)
        self._seq += 1
        self._ledger.count("sent")
        return True

    def _guarded(self, phase: Phase, call: Callable[[], T]) -> T:
        """Call into a source, watched; whatever a driver throws becomes a CameraError."""
        pulse = self._pulse
        self._pulse = Pulse(phase, self._clock.mono_ns(), pulse.good_ns, pulse.period_s)
        try:
            return call()
        except (BadFrame, EndOfStream, CameraError):
            raise
        except Exception as exc:
            log.exception("source failed in an unforeseen way", extra={"camera": self._camera})
            raise CameraError(f"{phase} failed with {type(exc).__name__}") from exc
        finally:
            self._pulse = Pulse("idle", self._clock.mono_ns(), pulse.good_ns, pulse.period_s)

    def _close(self, source: Source) -> None:
        self._pulse = Pulse("closing", self._clock.mono_ns())
        try:
            source.close()
        except Exception:
            log.exception("source failed to close", extra={"camera": self._camera})
        finally:
            self._pulse = Pulse("idle", self._clock.mono_ns())

    def _watch(self) -> None:
        """The watching thread: ends with the loop, or when the source hangs."""
        checked_ns = awake_ns = self._clock.mono_ns()
        while not self._stop.wait(CHECK_S):
            now_ns = self._clock.mono_ns()
            if now_ns - checked_ns > OVERSLEPT_S * 1e9:
                log.warning("process was stopped for a while", extra={"camera": self._camera})
                awake_ns = now_ns
            checked_ns = now_ns
            if self.check(awake_ns) == "hung":
                return

    def check(self, awake_ns: int = 0) -> Verdict:
        """Judge the capture thread now; the watching thread does so every `CHECK_S`."""
        now = verdict(self._pulse, self._clock.mono_ns(), self._limits, awake_ns)
        if now == "late" and self.state in ("starting", "ready"):
            self._ledger.enter("lost", self._ledger.silence())
        elif now == "hung":
            self._ledger.enter("lost", f"the source hangs in {self._pulse.phase}")
            log.error("source hangs and is abandoned", extra={"camera": self._camera})
            self._on_hang()
        return now


def _period_s(info: SourceInfo, max_fps: float | None) -> float:
    """The longest time between two frames that is normal for this source."""
    rates = [fps for fps in (info.fps, max_fps) if fps]
    return 1.0 / min(rates) if rates else _UNKNOWN_PERIOD_S

"""The camera process: a capture loop whose frames and states go onto the bus.

The capture thread publishes frames; the main thread publishes the status and watches. A
source that hangs inside its driver cannot be ended from within, so the process then replaces
itself: same pid, same arguments, nothing leaked, the sequence goes on.
"""

from __future__ import annotations

import logging
import os
import queue
import sys
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import zmq

from molmo_node import imaging
from molmo_node.bus.address import Address
from molmo_node.bus.broadcast import Broadcaster
from molmo_node.bus.frames import Frame, FramePublisher
from molmo_node.bus.host import host_id
from molmo_node.bus.lock import NodeEntry, NodeLock
from molmo_node.bus.rundir import ensure_run_dir
from molmo_node.bus.sockets import Security, Transport
from molmo_node.bus.wake import Wake
from molmo_node.camera.base import Grabbed, Source
from molmo_node.camera.convert import converter
from molmo_node.camera.factory import SourceFactory
from molmo_node.camera.loop import CaptureLoop
from molmo_node.camera.spec import SourceSpec
from molmo_node.camera.watchdog import Limits
from molmo_node.clock import SYSTEM_CLOCK, Clock
from molmo_node.messages import CameraHealth, FrameHeader, FrameRef, NodeState

log = logging.getLogger(__name__)

TICK_MS = 250
# Not MOLMO_NODE_…: that would be a setting, and an unknown one.
SEQ_VARIABLE = "_MOLMO_CAMERA_RESUME_SEQ"
RATE_WINDOW_NS = 2_000_000_000


@dataclass(frozen=True)
class CameraOptions:
    """What a camera process needs to know."""

    name: str
    spec: SourceSpec
    address: Address
    run_dir: Path
    frame_id: str = ""
    limits: Limits = field(default_factory=Limits)
    security: Security = field(default_factory=Security)
    first_seq: int = 0
    awaits_subscriber: bool = False
    """Whether the source is opened only when somebody subscribes to its frames."""


class CameraNode:
    """One camera. `run` blocks until `stop`, the end of the stream, or a hang.

    Args:
        make_source: gives the source; None for the one that `options.spec` names (tests).
        replace_self: called after a hang, when everything that can be closed is closed.
    """

    def __init__(
        self,
        options: CameraOptions,
        make_source: Callable[[], Source] | None = None,
        replace_self: Callable[[int], None] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._options = options
        self._replace_self = replace_self or exec_again
        self._clock = clock
        run_dir = ensure_run_dir(options.run_dir)
        node = f"camera.{options.name}"
        self._wake = Wake()
        self._states: queue.SimpleQueue[tuple[NodeState, str]] = queue.SimpleQueue()
        self._is_stopping = self._is_hung = False
        self._sent_ns: deque[int] = deque(maxlen=128)
        self._last: FrameHeader | None = None
        entry = NodeEntry(node, "camera", os.getpid(), options.address.text)
        with ExitStack() as undo:  # a taken port leaves nothing behind
            undo.callback(self._wake.close)
            self._lock = NodeLock(run_dir, entry)
            undo.callback(self._lock.release)
            self._transport = Transport(options.security)
            undo.callback(self._transport.close)
            self._out = Broadcaster(self._transport, options.address, node, "camera", clock)
            undo.callback(self._out.close)
            self._frames = FramePublisher(
                self._transport, options.address, options.name, self._to_jpeg
            )
            undo.pop_all()
        self._loop = CaptureLoop(
            make_source or SourceFactory(options.spec, clock),
            self._publish,
            self._note_state,
            clock,
            camera=options.name,
            frame_id=options.frame_id or options.name,
            host=host_id(),
            max_fps=options.spec.fps,
            convert=converter(options.spec),
            on_hang=self._note_hang,
            first_seq=options.first_seq,
            limits=options.limits,
        )

    def stop(self) -> None:
        """End `run` soon; safe in a signal handler and from any thread."""
        self._is_stopping = True
        self._wake.set()

    def run(self) -> int:
        """Capture until stopped; returns the process's exit code."""
        poller = zmq.Poller()
        for source in (self._out.socket, self._wake):
            poller.register(source, zmq.POLLIN)
        try:
            if self._options.awaits_subscriber:
                self._await_subscriber(poller)
            self._loop.start()
            while not (self._is_stopping or self._is_hung):
                poller.poll(TICK_MS)
                self._wake.clear()
                self._out.welcome()
                self._report_states()
        finally:
            self._close()
        if self._is_hung:
            self._replace_self(self._last.ref.seq + 1 if self._last else self._options.first_seq)
        return 1 if self._out.status.state == "failed" else 0

    def _await_subscriber(self, poller: zmq.Poller) -> None:
        """Serve everything but frames until somebody wants some, or the node is stopped."""
        self._out.report(detail="waits for a subscriber")
        poller.register(self._frames.socket, zmq.POLLIN)
        while not (self._is_stopping or self._frames.has_subscriber()):
            poller.poll(TICK_MS)
            self._wake.clear()
            self._out.welcome()
            if self._out.is_due():
                self._out.report()
        # From here on the socket is the capture thread's.
        poller.unregister(self._frames.socket)

    def _publish(self, grabbed: Grabbed, ref: FrameRef) -> None:
        header = FrameHeader(
            ref=ref,
            width=grabbed.width,
            height=grabbed.height,
            encoding=grabbed.encoding,
            stride=grabbed.stride,
            nbytes=grabbed.nbytes,
        )
        body = grabbed.body
        self._frames.publish(header, body.reshape(-1) if isinstance(body, np.ndarray) else body)
        self._sent_ns.append(ref.mono_ns)
        self._last = header

    def _to_jpeg(self, frame: Frame) -> bytes:
        return imaging.encode_jpeg(frame.rgb(), self._options.spec.jpeg_quality)

    def _note_state(self, state: NodeState, detail: str) -> None:
        self._states.put((state, detail))
        self._wake.set()

    def _note_hang(self) -> None:
        self._is_hung = True
        self._wake.set()

    def _report_states(self) -> None:
        has_news = False
        while not self._states.empty():
            state, detail = self._states.get()
            self._out.report(state, detail=detail, **self._facts())
            self._is_stopping |= state in ("stopped", "failed")
            has_news = True
        if not has_news and self._out.is_due():
            self._out.report(**self._facts())

    def _facts(self) -> dict[str, Any]:
        last = self._last
        return {
            "counters": self._loop.counters(),
            "last_frame_ns": last.ref.stamp_ns if last else None,
            "cameras": (self._health(),),
        }

    def _health(self) -> CameraHealth:
        now_ns = self._clock.mono_ns()
        recent = [ns for ns in list(self._sent_ns) if now_ns - ns <= RATE_WINDOW_NS]
        info, last = self._loop.info, self._last
        expected_hz = self._options.spec.fps or (info.fps if info and info.fps else None)
        rate_hz = len(recent) * 1e9 / RATE_WINDOW_NS
        is_ready = self._loop.state == "ready"
        return CameraHealth(
            name=self._options.name,
            alive=is_ready,
            on_rate=is_ready and (not expected_hz or rate_hz >= 0.9 * expected_hz),
            valid=is_ready,
            age_ms=(now_ns - last.ref.mono_ns) / 1e6 if last else None,
            rate_hz=rate_hz,
            expected_hz=expected_hz,
            session=last.ref.session if last else "",
            seq=last.ref.seq if last else -1,
            rejected=self._loop.counters()["rejected"],
            path=info.backend if info else "",
        )

    def _close(self) -> None:
        # A thread that hangs is not waited for: the promised 5 s are nearly over.
        has_ended = self._loop.stop(0.0) if self._is_hung else self._loop.stop()
        self._report_states()
        self._out.close(keeps_state=self._is_hung)
        # A hung capture thread is not inside `publish`: its socket and ring can be taken away.
        self._frames.close()
        if has_ended:
            self._transport.close()
            self._wake.close()
        self._lock.release()


def exec_again(next_seq: int) -> None:
    """Replace this process by a fresh one of the same pid and arguments."""
    log.warning("camera process starts again", extra={"next_seq": next_seq})
    env = {**os.environ, SEQ_VARIABLE: str(next_seq)}
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], env)  # noqa: S606  our own argv


def resume_seq() -> int:
    """The number of the first frame: where the process that this one replaced had stopped."""
    text = os.environ.pop(SEQ_VARIABLE, "0")
    return int(text) if text.isdigit() else 0

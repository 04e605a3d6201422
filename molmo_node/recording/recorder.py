"""The recorder: listens to all nodes and writes what they say into MCAP files.

Two threads: one listens, and never waits for the disk; the other compresses and writes.
Between them lies a bounded buffer whose oldest entries give way. To the nodes it is a
subscriber like any other, so that nothing it does or suffers reaches them.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from molmo_node.bus.address import Address
from molmo_node.bus.frames import Frame
from molmo_node.bus.sockets import Security, Transport
from molmo_node.client.tap import Tap
from molmo_node.clock import SYSTEM_CLOCK, Clock
from molmo_node.errors import MolmoNodeError, ProtocolError
from molmo_node.messages import Answer, FrameHeader
from molmo_node.recording.buffer import DropOldest, Waiting
from molmo_node.recording.entries import JPEG_QUALITY, entries_of
from molmo_node.recording.parts import Bounds, Parts
from molmo_node.recording.writer import DiskError

log = logging.getLogger(__name__)

TAKE_S = 0.1
ENDING_S = 3.0
# A frame that comes this much of a period early is taken.
_EARLY = 0.25


@dataclass(frozen=True)
class RecorderOptions:
    """What is recorded, and from whom.

    Attributes:
        out: the file, or with `bounds.splits` the pattern of its parts.
        only: names of cameras; empty: all.
        fps: most frames a second of each camera; None: all.
        quality: of frames that cameras give as pixels, 1 to 100.
        lossless: PNG instead of JPEG for such frames.
    """

    out: Path
    run_dir: Path
    workers: tuple[Address, ...] = ()
    cameras: Mapping[str, Address] = field(default_factory=dict)
    only: frozenset[str] = frozenset()
    fps: float | None = None
    quality: int = JPEG_QUALITY
    lossless: bool = False
    bounds: Bounds = field(default_factory=Bounds)
    seconds: float | None = None
    security: Security = field(default_factory=Security)
    about: Mapping[str, str] = field(default_factory=dict)


class Recorder:
    """Records from when it is made until `stop`, a bound, or a disk that fails.

    Raises:
        ConfigError: the file cannot be made, or keys are missing.
    """

    def __init__(
        self,
        options: RecorderOptions,
        buffer: DropOldest | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._options = options
        self._clock = clock
        # Log times never jump: the wall clock of the beginning, moved on by the monotonic one.
        self._began_ns, self._began_mono_ns = clock.wall_ns(), clock.mono_ns()
        self._buffer = buffer or DropOldest()
        self._stop = threading.Event()
        self._fault: MolmoNodeError | None = None
        self._due_ns: dict[str, int] = {}
        self._rejected = 0
        with ExitStack() as undo:  # a file that cannot be made leaves nothing behind
            self._transport = Transport(options.security)
            undo.callback(self._transport.close)
            self._tap = Tap(
                self._transport, options.run_dir, options.workers, options.cameras, self._is_wanted
            )
            undo.callback(self._tap.close)
            self._parts = Parts(options.out, options.bounds, options.about)
            undo.pop_all()
        # daemon: a disk that hangs must not keep a stopped process alive.
        self._writer = threading.Thread(target=self._write_all, name="recording", daemon=True)

    @property
    def path(self) -> Path:
        """The file that is being written."""
        return self._parts.file.path

    def stop(self) -> None:
        """End `run` soon; safe in a signal handler and from any thread."""
        self._stop.set()

    def run(self) -> dict[str, int]:
        """Record until it is over.

        Returns:
            The counters: messages, bytes, and what was missed, dropped or refused.

        Raises:
            DiskError: the disk failed; what was written before can be read.
        """
        self._writer.start()
        until_ns = None
        if self._options.seconds is not None:
            until_ns = self._began_mono_ns + int(self._options.seconds * 1e9)
        try:
            while not self._stop.is_set():
                if until_ns is not None and self._clock.mono_ns() >= until_ns:
                    break
                self._listen()
        finally:
            self._buffer.close()
            self._tap.close()
            self._transport.close()
            self._writer.join(ENDING_S)
        if self._writer.is_alive():
            raise DiskError(
                f"{self.path}: the disk did not take what was left within {ENDING_S:g} s",
                hint="look at the disk; `molmo-node record repair` adds the index",
            )
        if self._fault is not None:
            raise self._fault
        return self.counters()

    def counters(self) -> dict[str, int]:
        """Totals: ``missed`` frames never reached the recorder, ``dropped`` ones the disk."""
        return {
            "messages": self._parts.messages,
            "bytes": self._parts.nbytes,
            "refused": self._parts.refused,
            "unwritable": self._rejected,
            "dropped_frames": self._buffer.dropped["frames"],
            "dropped_messages": self._buffer.dropped["messages"],
            **self._tap.counters(),
        }

    def _is_wanted(self, camera: str) -> bool:
        return not self._options.only or camera in self._options.only

    def _listen(self) -> None:
        for news in self._tap.take():
            now_ns = self._clock.mono_ns()
            if isinstance(news, Frame) and not self._is_due(news.header, now_ns):
                continue
            if isinstance(news, Answer) and not self._is_wanted(news.frame.camera):
                continue
            self._buffer.put(news, self._began_ns + now_ns - self._began_mono_ns)

    def _is_due(self, header: FrameHeader, now_ns: int) -> bool:
        """Whether a frame is within the wanted rate."""
        if self._options.fps is None:
            return True
        period_ns = int(1e9 / self._options.fps)
        due_ns = self._due_ns.get(header.ref.camera, now_ns)
        if now_ns < due_ns - _EARLY * period_ns:
            return False
        self._due_ns[header.ref.camera] = max(due_ns + period_ns, now_ns)
        return True

    def _write_all(self) -> None:
        """The writing thread."""
        try:
            while not self._buffer.is_over:
                waiting = self._buffer.take(TAKE_S)
                if waiting is None:
                    self._parts.file.flush_if_due()
                elif not self._write(waiting):
                    return
            self._parts.finish(self.counters())
        except MolmoNodeError as exc:
            self._fault = exc
        except Exception as exc:
            log.exception("recording failed")
            self._fault = MolmoNodeError(f"recording failed with {type(exc).__name__}")
        finally:
            self._stop.set()

    def _write(self, waiting: Waiting) -> bool:
        try:
            entries = entries_of(waiting.news, self._options.quality, self._options.lossless)
        except ProtocolError as exc:
            log.debug("message passed over", extra={"why": exc.message})
            self._rejected += 1
            return True
        return self._parts.write(entries, waiting.log_ns, self.counters)

"""Receives one camera's frames and keeps the newest."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import zmq
from numpy.typing import NDArray

from molmo_node.bus import wire
from molmo_node.bus.address import Address
from molmo_node.bus.frames import FRAMES_PART, Frame, check_header
from molmo_node.bus.monitor import PeerMonitor
from molmo_node.bus.ring import RingReader
from molmo_node.bus.sockets import Transport
from molmo_node.bus.topics import FRAME_JPEG, jpeg_key, ring_key
from molmo_node.bus.wake import Wake
from molmo_node.clock import SYSTEM_CLOCK, Clock
from molmo_node.errors import ProtocolError
from molmo_node.messages import FrameHeader

log = logging.getLogger(__name__)

RATE_WINDOW = 20


@dataclass(frozen=True)
class FrameStats:
    """What a receiver has counted. `received_ns` is the monotonic time of the newest arrival."""

    received: int = 0
    gaps: int = 0
    rejected: int = 0
    received_ns: int | None = None
    rate_hz: float = 0.0
    path: str = ""
    is_connected: bool = False


class FrameReceiver:
    """Keeps the newest frame of one camera for one consumer thread.

    Args:
        on_frame: called in the receiver's thread after each arrival; must not block.
        allow_ring: False to get JPEG even where the ring could be read.
    """

    def __init__(
        self,
        transport: Transport,
        address: Address,
        camera: str,
        on_frame: Callable[[], None] | None = None,
        allow_ring: bool = True,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.camera = camera
        self._transport = transport
        self._address = address
        self._on_frame = on_frame
        self._clock = clock
        self._wants_ring = allow_ring and address.is_loopback
        self._reader: RingReader | None = None
        self._arrival = threading.Condition()
        self._header: FrameHeader | None = None
        self._body: NDArray[np.uint8] | None = None
        self._past_sessions: deque[str] = deque(maxlen=64)
        self._arrivals_ns: list[int] = []
        self._received = self._gaps = self._rejected = 0
        self._is_connected = False
        self._path = ""
        self._is_stopping = False
        self._wake = Wake()
        self._thread = threading.Thread(target=self._run, name=f"frames-{camera}")
        self._thread.start()

    @property
    def newest(self) -> FrameHeader | None:
        """The header of the newest frame that was announced; the bytes are not touched."""
        return self._header

    @property
    def stats(self) -> FrameStats:
        """A copy of the counters."""
        times = self._arrivals_ns[:]
        span_ns = times[-1] - times[0] if len(times) > 1 else 0
        return FrameStats(
            received=self._received,
            gaps=self._gaps,
            rejected=self._rejected,
            received_ns=times[-1] if times else None,
            rate_hz=(len(times) - 1) * 1e9 / span_ns if span_ns else 0.0,
            path=self._path,
            is_connected=self._is_connected,
        )

    def take(self, out: NDArray[np.uint8] | None = None) -> Frame | None:
        """The newest frame at this very moment, as the consumer's own copy; None before any.

        Args:
            out: buffer that a ring frame is copied into if it is large enough.
        """
        reader = self._reader
        if reader is not None:
            return self._take_from(reader, out)
        with self._arrival:
            header, body = self._header, self._body
        return None if header is None or body is None else Frame(header, body)

    def wait_newer(self, than: FrameHeader | None, timeout_s: float) -> bool:
        """Wait until another frame than `than` is announced; False if the time passes."""
        seen = than and than.ref
        with self._arrival:
            return self._arrival.wait_for(
                lambda: self._header is not None and self._header.ref != seen, timeout_s
            )

    def close(self) -> None:
        """Stop the thread, close the socket, let go of the ring."""
        self._is_stopping = True
        self._wake.set()
        self._thread.join()
        self._wake.close()
        if self._reader is not None:
            self._reader.close()

    def _take_from(self, reader: RingReader, out: NDArray[np.uint8] | None) -> Frame | None:
        found = reader.newest(out)
        if found is None:
            return None
        try:
            header = wire.frame_header(found.header)
            check_header(header, self.camera, found.body.size)
        except ProtocolError:
            self._rejected += 1
            return None
        return Frame(header, found.body)

    def _run(self) -> None:
        key = (ring_key if self._wants_ring else jpeg_key)(self.camera)
        socket = self._transport.connect(zmq.SUB, FRAME_JPEG, self._address, FRAMES_PART)
        socket.subscribe(key)
        monitor = PeerMonitor(socket)
        poller = zmq.Poller()
        for source in (socket, monitor.socket, self._wake):
            poller.register(source, zmq.POLLIN)
        try:
            while not self._is_stopping:
                poller.poll()
                self._wake.clear()
                self._note_peer(monitor)
                if self._drain(socket) and self._on_frame is not None:
                    self._on_frame()
        finally:
            monitor.close()
            socket.close()

    def _note_peer(self, monitor: PeerMonitor) -> None:
        for event in monitor.drain():
            self._is_connected = event.change == "connected"
            log.info("camera peer", extra={"camera": self.camera, "change": event.change})

    def _drain(self, socket: zmq.Socket[bytes]) -> bool:
        """Empty the socket; only the last message's bytes are kept."""
        has_new = False
        while True:
            try:
                parts = socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return has_new
            try:
                has_new |= self._accept(socket, [part.buffer for part in parts])
            except ProtocolError as exc:
                self._rejected += 1
                log.warning("frame rejected", extra={"camera": self.camera, "why": exc.message})

    def _accept(self, socket: zmq.Socket[bytes], parts: list[memoryview]) -> bool:
        if len(parts) != 3:
            raise ProtocolError(f"frame message of {len(parts)} parts, expected 3")
        header = wire.frame_header(parts[1])
        if not self._is_newer(header):
            raise ProtocolError("frame is older than one already received, or a repetition")
        if header.shm is not None:
            if not self._open_ring(socket, header.shm.name):
                return False
            body = None
        else:
            body = np.frombuffer(parts[2], np.uint8)
            check_header(header, self.camera, body.size)
            self._reader = None
        self._keep(header, body)
        return True

    def _keep(self, header: FrameHeader, body: NDArray[np.uint8] | None) -> None:
        last = self._header
        if last is not None and last.ref.session == header.ref.session:
            self._gaps += header.ref.seq - last.ref.seq - 1
        self._path = f"ring {header.shm.name}" if header.shm else f"{header.encoding} over socket"
        self._received += 1
        self._arrivals_ns = [*self._arrivals_ns[-RATE_WINDOW:], self._clock.mono_ns()]
        with self._arrival:
            self._header, self._body = header, body
            self._arrival.notify_all()

    def _is_newer(self, header: FrameHeader) -> bool:
        last, session = self._header, header.ref.session
        if last is not None and last.ref.session == session:
            return header.ref.seq > last.ref.seq
        if session in self._past_sessions:
            return False
        if last is not None:
            self._past_sessions.append(last.ref.session)
        return True

    def _open_ring(self, socket: zmq.Socket[bytes], name: str) -> bool:
        if self._reader is not None and self._reader.name == name:
            return True
        try:
            # The old reader is left to its last user: the consumer may be copying from it.
            self._reader = RingReader(name)
        except OSError as exc:
            log.warning(
                "ring cannot be opened, asking for JPEG",
                extra={"camera": self.camera, "ring": name, "reason": exc.strerror},
            )
            self._reader = None
            socket.unsubscribe(ring_key(self.camera))
            socket.subscribe(jpeg_key(self.camera))
            return False
        return True

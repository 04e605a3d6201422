"""Receives one camera's frames and keeps the newest."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import zmq
from numpy.typing import NDArray

from molmo_node.bus import wire
from molmo_node.bus.address import Address
from molmo_node.bus.frames import FRAMES_PART, Frame, FrameView, check_header
from molmo_node.bus.poll import has_message, soonest_ms
from molmo_node.bus.ring import RingFrame, RingReader
from molmo_node.bus.sockets import Transport
from molmo_node.bus.topics import FRAME_JPEG, jpeg_key, ring_key
from molmo_node.bus.wake import Wake
from molmo_node.clock import SYSTEM_CLOCK, Clock
from molmo_node.errors import ProtocolError
from molmo_node.messages import FrameHeader

log = logging.getLogger(__name__)

RATE_WINDOW = 20
LATE_NS = 200_000_000  # so much longer on its way than the frame before: it waited in a buffer
SETTLE_MS = 50  # how long a newer one than a late frame is waited for
SETTLE_NS = 300_000_000  # and all in all


@dataclass(frozen=True)
class FrameStats:
    """What a receiver has counted.

    Attributes:
        repeated: messages that were older than one already received, or came twice.
        received_ns: the monotonic time of the newest arrival.
        is_valid: whether the newest message was a frame within the limits.
    """

    received: int = 0
    gaps: int = 0
    rejected: int = 0
    repeated: int = 0
    received_ns: int | None = None
    rate_hz: float = 0.0
    path: str = ""
    is_connected: bool = False
    is_valid: bool = False


class FrameReceiver:
    """Keeps the newest frame of one camera for one consumer thread.

    Args:
        on_frame: called in the receiver's thread after each arrival; must not block.
        allow_ring: False to get JPEG even where the ring could be read.
        has_thread: False for an owner that polls `sockets` itself and calls `pump`, or waits in
            `wait_newer`, which then does so: one thread less between a frame and its use.
    """

    def __init__(
        self,
        transport: Transport,
        address: Address,
        camera: str,
        on_frame: Callable[[], None] | None = None,
        allow_ring: bool = True,
        has_thread: bool = True,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.camera = camera
        self._on_frame = on_frame
        self._clock = clock
        self._wants_ring = allow_ring and address.is_loopback
        self._reader: RingReader | None = None
        self._arrival = threading.Condition()
        self._header: FrameHeader | None = None
        self._body: NDArray[np.uint8] | None = None
        self._last: FrameHeader | None = None  # received, not yet shown to the consumer
        self._last_body: NDArray[np.uint8] | None = None
        self._shown_way_ns: int | None = None
        self._past_sessions: deque[str] = deque(maxlen=64)
        self._arrivals_ns: list[int] = []
        self._received = self._gaps = self._rejected = self._repeated = 0
        self._rejected_in_ring = 0  # counted by the consumer's thread
        self._is_connected = self._is_valid = False
        self._missing_ring = ""
        self._path = ""
        self._is_stopping = False
        key = (ring_key if self._wants_ring else jpeg_key)(camera)
        # Made here, so that missing keys are the caller's error; the thread has it from then on.
        self._connection = transport.connect_watched(
            zmq.SUB, FRAME_JPEG, address, FRAMES_PART, clock=clock
        )
        self._connection.socket.subscribe(key)
        self._wake = Wake()
        self._thread: threading.Thread | None = None
        if has_thread:
            self._thread = threading.Thread(target=self._run, name=f"frames-{camera}")
            self._thread.start()

    @property
    def sockets(self) -> tuple[zmq.Socket[bytes], zmq.Socket[bytes]]:
        """What an owner without a thread polls for readability."""
        return self._connection.socket, self._connection.monitor

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
            rejected=self._rejected + self._rejected_in_ring,
            repeated=self._repeated,
            received_ns=times[-1] if times else None,
            rate_hz=(len(times) - 1) * 1e9 / span_ns if span_ns else 0.0,
            path=self._path,
            is_connected=self._is_connected,
            is_valid=self._is_valid,
        )

    def take(self, out: NDArray[np.uint8] | None = None) -> Frame | None:
        """The newest frame at this very moment, as the consumer's own copy; None before any.

        Args:
            out: buffer that a ring frame is copied into if it is large enough.
        """
        reader = self._announced_ring()
        if reader is not None:
            found = reader.newest(out)
            header = None if found is None else self._checked(found)
            return None if found is None or header is None else Frame(header, found.body)
        with self._arrival:
            header, body = self._header, self._body
        return None if header is None or body is None else Frame(header, body)

    def view(self) -> FrameView | None:
        """The newest frame at this very moment, in place; None before any.

        For consumers that are done with it within a few frame periods; others `take`.
        """
        reader = self._announced_ring()
        if reader is not None:
            found = reader.newest_view()
            header = None if found is None else self._checked(found)
            if found is None or header is None:
                return None
            number = found.number
            return FrameView(header, found.body, lambda: reader.is_whole(number))
        frame = self.take()
        return None if frame is None else FrameView(frame.header, frame.body, lambda: True)

    def wait_newer(self, than: FrameHeader | None, timeout_s: float) -> bool:
        """Wait until a newer frame than `than` is announced; False if the time passes.

        A frame taken from the ring may be ahead of its notice: that notice is no newer frame.
        """
        if self._thread is None:
            return self._pump_until_newer(than, timeout_s)
        with self._arrival:
            return self._arrival.wait_for(lambda: _is_newer(self._header, than), timeout_s)

    def close(self) -> None:
        """Stop the thread, close the socket, let go of the ring. Once is enough, twice no harm."""
        if self._is_stopping:
            return
        self._is_stopping = True
        if self._thread is None:
            self._connection.close()
        else:
            self._wake.set()
            self._thread.join()
        self._wake.close()
        if self._reader is not None:
            self._reader.close()

    def _announced_ring(self) -> RingReader | None:
        """The ring, with the frame announced last in it; None where frames come over the socket."""
        reader, header = self._reader, self._header
        handle = header.shm if header else None
        if reader is not None and handle is not None and handle.name == reader.name:
            reader.wait_for(handle.number)
        return reader

    def _checked(self, found: RingFrame) -> FrameHeader | None:
        try:
            header = wire.frame_header(found.header)
            check_header(header, self.camera, found.body.size)
        except ProtocolError:
            self._rejected_in_ring += 1
            return None
        return header

    def _pump_until_newer(self, than: FrameHeader | None, timeout_s: float) -> bool:
        poller = zmq.Poller()
        for socket in self.sockets:
            poller.register(socket, zmq.POLLIN)
        until_s = time.monotonic() + timeout_s
        while not _is_newer(self._header, than):
            left_ms = math.ceil((until_s - time.monotonic()) * 1e3)
            if left_ms <= 0:
                return False
            self.pump(dict(poller.poll(soonest_ms(left_ms, self._connection.poll_ms()))))
        return True

    def pump(self, readable: Mapping[Any, int]) -> None:
        """Take in what has come. Called at least every 0.2 s, with what a poller found."""
        socket, monitor = self.sockets
        if socket not in readable or monitor in readable:
            self._note_peer()
        if socket in readable and self._drain(socket) and self._on_frame is not None:
            self._on_frame()

    def _run(self) -> None:
        poller = zmq.Poller()
        for source in (*self.sockets, self._wake):
            poller.register(source, zmq.POLLIN)
        try:
            while not self._is_stopping:
                self.pump(dict(poller.poll(self._connection.poll_ms())))
        finally:
            self._connection.close()

    def _note_peer(self) -> None:
        for event in self._connection.drain():
            self._is_connected = event.change == "connected"
            log.info("camera peer", extra={"camera": self.camera, "change": event.change})

    def _drain(self, socket: zmq.Socket[bytes]) -> bool:
        """Empty the socket; only the last message is kept and shown.

        After a pause (SIGSTOP, a busy machine) old frames lie in the buffers of both sides: they
        are passed over, although they come in several portions.
        """
        has_new = False
        until_ns = self._clock.mono_ns() + SETTLE_NS
        while has_message(socket) or (
            has_new and self._is_late(until_ns) and socket.poll(SETTLE_MS)
        ):
            # Copies: a notice is small, and pyzmq's own frame objects cost more than its bytes.
            parts = socket.recv_multipart(zmq.NOBLOCK)
            try:
                has_new |= self._accept(socket, parts)
                self._is_valid = True
            except ProtocolError as exc:
                self._rejected += 1
                self._is_valid = False
                log.warning("frame rejected", extra={"camera": self.camera, "why": exc.message})
        if has_new:
            self._show()
        return has_new

    def _accept(self, socket: zmq.Socket[bytes], parts: list[bytes]) -> bool:
        """Take one message in; False if there is nothing new in it."""
        if len(parts) != 3:
            raise ProtocolError(f"frame message of {len(parts)} parts, expected 3")
        header = wire.frame_header(parts[1])
        check_header(header, self.camera, header.nbytes if header.shm else len(parts[2]))
        if not self._is_newer(header):
            self._repeated += 1
            return False
        if header.shm is not None:
            if not self._open_ring(socket, header.shm.name):
                return False
            body = None
        else:
            body = np.frombuffer(parts[2], np.uint8)
            self._reader = None
        self._keep(header, body)
        return True

    def _keep(self, header: FrameHeader, body: NDArray[np.uint8] | None) -> None:
        last = self._last
        if last is not None and last.ref.session == header.ref.session:
            self._gaps += header.ref.seq - last.ref.seq - 1
        elif last is not None:
            self._past_sessions.append(last.ref.session)
            self._shown_way_ns = None
        self._path = f"ring {header.shm.name}" if header.shm else f"{header.encoding} over socket"
        self._received += 1
        self._arrivals_ns = [*self._arrivals_ns[-RATE_WINDOW:], self._clock.mono_ns()]
        self._last, self._last_body = header, body

    def _way_ns(self) -> int:
        """From capture to arrival; other hosts' clocks make it a number to compare only."""
        assert self._last is not None
        return self._arrivals_ns[-1] - self._last.ref.mono_ns

    def _is_late(self, until_ns: int) -> bool:
        if self._shown_way_ns is None or self._clock.mono_ns() >= until_ns:
            return False
        return self._way_ns() - self._shown_way_ns > LATE_NS

    def _show(self) -> None:
        self._shown_way_ns = self._way_ns()
        with self._arrival:
            self._header, self._body = self._last, self._last_body
            self._arrival.notify_all()

    def _is_newer(self, header: FrameHeader) -> bool:
        last, session = self._last, header.ref.session
        if last is not None and last.ref.session == session:
            return header.ref.seq > last.ref.seq
        return session not in self._past_sessions

    def _open_ring(self, socket: zmq.Socket[bytes], name: str) -> bool:
        """Open the ring that a notice names; where that fails, JPEG is asked for beside it.

        The notices still come: the next ring may be there (a notice may name one that was
        replaced a moment ago), and then the JPEG is given up again.
        """
        if self._reader is not None and self._reader.name == name:
            return True
        if name == self._missing_ring:
            return False
        try:
            # The old reader is left to its last user: the consumer may be copying from it.
            self._reader = RingReader(name)
        except OSError as exc:
            log.warning(
                "ring cannot be opened, asking for JPEG",
                extra={"camera": self.camera, "ring": name, "reason": exc.strerror},
            )
            self._reader = None
            if not self._missing_ring:
                socket.subscribe(jpeg_key(self.camera))
            self._missing_ring = name
            return False
        if self._missing_ring:
            socket.unsubscribe(jpeg_key(self.camera))
            self._missing_ring = ""
        return True


def _is_newer(header: FrameHeader | None, than: FrameHeader | None) -> bool:
    if header is None or than is None:
        return header is not None
    return header.ref.session != than.ref.session or header.ref.seq > than.ref.seq

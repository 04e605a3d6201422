"""Plain pyzmq PUB/SUB over tcp: the best that ZeroMQ does without a design around it.

High-water mark 4, multipart header and frame, no copies in Python. A busy subscriber drains
what waits and keeps the last.
"""

from __future__ import annotations

import struct

import numpy as np
import zmq

from tools.transport.base import ImageHWC, Received, Setup

HEADER = struct.Struct("<QQII")  # number, stamp in ns, height, width
HIGH_WATER_MARK = 4


class FramePublisher:
    """Sends header and array; libzmq reads the array where it lies."""

    def __init__(self, setup: Setup) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUB)
        self._socket.sndhwm = HIGH_WATER_MARK
        self._socket.linger = 0
        self._socket.bind(f"tcp://127.0.0.1:{setup.port}")

    def send(self, number: int, stamp_ns: int, image_hwc: ImageHWC) -> None:
        """One message of two parts."""
        height, width, _ = image_hwc.shape
        header = HEADER.pack(number, stamp_ns, height, width)
        self._socket.send_multipart([header, image_hwc], copy=False)

    def close(self) -> None:
        """Drop what waits and end."""
        self._socket.close()
        self._context.term()


class FrameSubscriber:
    """Receives without a copy; the array is the message's own memory."""

    def __init__(self, setup: Setup) -> None:
        self._drains = setup.case.busy_s > 0
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.rcvhwm = HIGH_WATER_MARK
        self._socket.subscribe(b"")
        self._socket.connect(f"tcp://127.0.0.1:{setup.port}")

    def receive(self, timeout_s: float) -> Received | None:
        """The next frame; for a busy subscriber the last of those that wait here."""
        if not self._socket.poll(int(timeout_s * 1e3)):
            return None
        parts = self._socket.recv_multipart(copy=False)
        while self._drains:
            try:
                parts = self._socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                break
        number, stamp_ns, height, width = HEADER.unpack(parts[0].buffer)
        image = np.frombuffer(parts[1].buffer, np.uint8).reshape(height, width, 3)
        return Received(number, stamp_ns, image)

    def close(self) -> None:
        """End."""
        self._socket.close(linger=0)
        self._context.term()

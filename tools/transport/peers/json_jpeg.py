"""JSON text with a base64 JPEG in it, over PUB/SUB: a form that robot stacks send pictures in."""

from __future__ import annotations

import base64
import json

import simplejpeg
import zmq

from tools.transport.base import ImageHWC, Received, Setup

QUALITY = 80
SEND_HIGH_WATER_MARK = 20


class FramePublisher:
    """Compresses, wraps, sends."""

    def __init__(self, setup: Setup) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUB)
        self._socket.sndhwm = SEND_HIGH_WATER_MARK
        self._socket.linger = 0
        self._socket.bind(f"tcp://127.0.0.1:{setup.port}")

    def send(self, number: int, stamp_ns: int, image_hwc: ImageHWC) -> None:
        """One message of one part."""
        jpeg = simplejpeg.encode_jpeg(
            image_hwc, quality=QUALITY, colorspace="RGB", colorsubsampling="420"
        )
        body = {"number": number, "stamp_ns": stamp_ns, "image": base64.b64encode(jpeg).decode()}
        self._socket.send_string(json.dumps(body), zmq.NOBLOCK)

    def close(self) -> None:
        """Drop what waits and end."""
        self._socket.close()
        self._context.term()


class FrameSubscriber:
    """Receives the newest text (CONFLATE: it is one part) and unwraps it."""

    def __init__(self, setup: Setup) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.CONFLATE, 1)
        self._socket.subscribe(b"")
        self._socket.connect(f"tcp://127.0.0.1:{setup.port}")

    def receive(self, timeout_s: float) -> Received | None:
        """The newest frame."""
        if not self._socket.poll(int(timeout_s * 1e3)):
            return None
        body = json.loads(self._socket.recv_string())
        image = simplejpeg.decode_jpeg(base64.b64decode(body["image"]), colorspace="RGB")
        return Received(body["number"], body["stamp_ns"], image)

    def close(self) -> None:
        """End."""
        self._socket.close(linger=0)
        self._context.term()

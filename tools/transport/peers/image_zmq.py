"""imageZMQ in its PUB/SUB mode, used as its documentation shows."""

from __future__ import annotations

import imagezmq
import zmq

from tools.transport.base import ImageHWC, Received, Setup


class FramePublisher:
    """Sends an array and a text."""

    def __init__(self, setup: Setup) -> None:
        self._sender = imagezmq.ImageSender(
            connect_to=f"tcp://127.0.0.1:{setup.port}", REQ_REP=False
        )

    def send(self, number: int, stamp_ns: int, image_hwc: ImageHWC) -> None:
        """Number and stamp travel in the text."""
        self._sender.send_image(f"{number},{stamp_ns}", image_hwc)

    def close(self) -> None:
        """Drop what waits and end."""
        self._sender.zmq_socket.close(linger=0)
        self._sender.zmq_context.term()


class FrameSubscriber:
    """Receives an array and a text."""

    def __init__(self, setup: Setup) -> None:
        self._hub = imagezmq.ImageHub(open_port=f"tcp://127.0.0.1:{setup.port}", REQ_REP=False)

    def receive(self, timeout_s: float) -> Received | None:
        """The next frame of its queue."""
        if not self._hub.zmq_socket.poll(int(timeout_s * 1e3), zmq.POLLIN):
            return None
        text, image = self._hub.recv_image()
        number, stamp_ns = text.split(",")
        return Received(int(number), int(stamp_ns), image)

    def close(self) -> None:
        """End."""
        self._hub.zmq_socket.close(linger=0)
        self._hub.zmq_context.term()

"""molmo_node's own bus: the shared ring and its notices, read in place or copied."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from molmo_node.bus.address import Address
from molmo_node.bus.frames import Frame
from molmo_node.bus.frames import FramePublisher as BusPublisher
from molmo_node.bus.host import host_id, new_session
from molmo_node.bus.receiver import FrameReceiver
from molmo_node.bus.sockets import Transport
from molmo_node.imaging import encode_jpeg
from molmo_node.messages import FrameHeader, FrameRef
from tools.transport.base import ImageHWC, Received, Setup, always

CAMERA = "bench"


def _address(setup: Setup) -> Address:
    return Address(f"ipc://{Path(setup.folder)}/camera")


class FramePublisher:
    """A camera process's publisher, raw rgb8."""

    def __init__(self, setup: Setup) -> None:
        self._transport = Transport()
        self._session = new_session()
        self._publisher = BusPublisher(
            self._transport, _address(setup), CAMERA, lambda frame: encode_jpeg(frame.rgb())
        )

    def send(self, number: int, stamp_ns: int, image_hwc: ImageHWC) -> None:
        """What a camera does for a frame: a fresh header, and `publish`."""
        height, width, _ = image_hwc.shape
        ref = FrameRef(
            camera=CAMERA, session=self._session, seq=number, stamp_ns=time.time_ns(),
            mono_ns=stamp_ns, host=host_id(),
        )  # fmt: skip
        header = FrameHeader(
            ref=ref, width=width, height=height, encoding="rgb8", stride=3 * width,
            nbytes=image_hwc.nbytes,
        )  # fmt: skip
        self._publisher.publish(header, image_hwc.reshape(-1))

    def close(self) -> None:
        """Remove the ring, close the socket."""
        self._publisher.close()
        self._transport.close()


class _FrameSubscriber:
    """A consumer that waits in its FrameReceiver, without a thread between."""

    def __init__(self, setup: Setup) -> None:
        self._transport = Transport()
        self._receiver = FrameReceiver(self._transport, _address(setup), CAMERA, has_thread=False)
        self._last: FrameHeader | None = None
        case = setup.case
        self._buffer = np.empty(case.width * case.height * 3, np.uint8)

    def close(self) -> None:
        """Stop the receiver's thread."""
        self._receiver.close()
        self._transport.close()

    def _received(self, frame: Frame) -> Received:
        self._last = header = frame.header
        image = frame.body.reshape(header.height, header.width, 3)
        return Received(header.ref.seq, header.ref.mono_ns, image, always)


class CopyFrameSubscriber(_FrameSubscriber):
    """Takes a private copy, into one buffer that is used again and again."""

    def receive(self, timeout_s: float) -> Received | None:
        """The newest frame, once."""
        if not self._receiver.wait_newer(self._last, timeout_s):
            return None
        frame = self._receiver.take(self._buffer)
        return Received(0, 0, None) if frame is None else self._received(frame)


class ViewFrameSubscriber(_FrameSubscriber):
    """Reads the ring in place."""

    def receive(self, timeout_s: float) -> Received | None:
        """The newest frame, once; to be checked after use."""
        if not self._receiver.wait_newer(self._last, timeout_s):
            return None
        view = self._receiver.view()
        if view is None:
            return Received(0, 0, None)
        return self._received(view)._replace(is_whole=view.is_whole)

"""Frames from a camera process to whoever looks: a shared ring on one host, JPEG elsewhere.

The publisher writes each frame into its ring and sends a notice; a body goes over the socket
only while somebody subscribes to JPEG. The subscriber is *keep-newest by construction*: the
socket is always emptied, and the ring's head is the newest frame, so a consumer that was busy
never gets an old picture.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np
import zmq
from numpy.typing import NDArray

from molmo_node.bus import limits, wire
from molmo_node.bus.address import Address
from molmo_node.bus.poll import has_message
from molmo_node.bus.ring import Buffer, RingWriter, remove_stale_rings
from molmo_node.bus.sockets import Transport
from molmo_node.bus.topics import FRAME_JPEG, jpeg_key, ring_key
from molmo_node.errors import ProtocolError
from molmo_node.messages import FrameHeader, ShmHandle

log = logging.getLogger(__name__)

FRAMES_PART = 0
RING_MARGIN = 1.5  # room for a JPEG that compresses worse than the first one

ToJpeg = Callable[["Frame"], bytes]


@dataclass(frozen=True)
class Frame:
    """A captured frame: what it is, and its bytes (contiguous uint8, one dimension)."""

    header: FrameHeader
    body: NDArray[np.uint8]

    def rgb(self) -> NDArray[np.uint8]:
        """Decode.

        Returns:
            ``(H, W, 3) uint8, rgb8, C-contiguous``, owned by the caller.

        Raises:
            ProtocolError: the bytes are not the picture that the header says.
        """
        from molmo_node.imaging import decode_rgb

        header = self.header
        return decode_rgb(
            self.body.data, header.encoding, header.width, header.height, header.stride
        )


@dataclass(frozen=True)
class FrameView(Frame):
    """A frame read where it lies: no copy, but its memory is the camera's.

    `body` is read-only and valid until its receiver is closed. The camera overwrites it some
    frames later: a consumer asks `is_whole` after its last look and drops what it made of a
    frame that was not. A frame that came over the socket is whole for ever.
    """

    is_whole: Callable[[], bool]


class FramePublisher:
    """Sends one camera's frames. Belongs to the thread that publishes.

    Args:
        to_jpeg: makes JPEG bytes of a frame of another encoding, when somebody far asks.
        use_ring: False where shared memory is not wanted.
    """

    def __init__(
        self,
        transport: Transport,
        address: Address,
        camera: str,
        to_jpeg: ToJpeg,
        use_ring: bool = True,
    ) -> None:
        self._camera = camera
        self._to_jpeg = to_jpeg
        self._ring: RingWriter | None = None
        self._use_ring = use_ring
        self._number = 0
        self._subscribed: set[bytes] = set()
        self.socket = transport.bind(zmq.XPUB, FRAME_JPEG, address, FRAMES_PART)
        remove_stale_rings()

    def publish(self, header: FrameHeader, body: Buffer) -> None:
        """Send a frame: one copy into the ring, and one notice.

        Args:
            header: without `shm`; `nbytes` must be the length of `body`.
            body: contiguous; not kept after the call.
        """
        self._publish_ring(header, body)
        # After the notice: who asks for JPEG is no matter of those who read the ring.
        self._note_subscriptions()
        self._publish_jpeg(jpeg_key(self._camera), header, body)

    def has_subscriber(self) -> bool:
        """Whether somebody wants frames now."""
        self._note_subscriptions()
        return bool(self._subscribed)

    def close(self) -> None:
        """Close the socket and remove the ring."""
        self.socket.close()
        if self._ring is not None:
            self._ring.close()

    def _publish_ring(self, header: FrameHeader, body: Buffer) -> None:
        ring = self._ring_for(header)
        if ring is None:  # the body then travels with the notice
            self._note_subscriptions()
            self._publish_jpeg(ring_key(self._camera), header, body)
            return
        self._number += 1
        handle = ShmHandle(name=ring.name, number=self._number)
        raw = wire.encode(msgspec.structs.replace(header, shm=handle))
        # The notice travels while the frame is copied; a reader waits for the ring's head.
        self.socket.send_multipart([ring_key(self._camera), raw, b""], zmq.NOBLOCK)
        ring.write(self._number, raw, body)

    def _publish_jpeg(self, key: bytes, header: FrameHeader, body: Buffer) -> None:
        if not any(key.startswith(prefix) for prefix in self._subscribed):
            return
        if header.encoding != "jpeg":
            body = self._to_jpeg(Frame(header, np.frombuffer(body, np.uint8)))
            header = msgspec.structs.replace(header, encoding="jpeg", stride=0, nbytes=len(body))
        parts: list[bytes | memoryview] = [key, wire.encode(header), memoryview(body)]  # type: ignore[arg-type]
        self.socket.send_multipart(parts, zmq.NOBLOCK)

    def _ring_for(self, header: FrameHeader) -> RingWriter | None:
        if self._ring is not None and header.nbytes <= self._ring.capacity_bytes:
            return self._ring
        if not self._use_ring:
            return None
        if self._ring is not None:
            self._ring.close()
        is_compressed = header.encoding in ("jpeg", "png")
        capacity_bytes = int(header.nbytes * RING_MARGIN) if is_compressed else header.nbytes
        try:
            self._ring = RingWriter(self._camera, capacity_bytes)
        except OSError as exc:
            # Docker gives 64 MB of /dev/shm: subscribers then get JPEG over the socket.
            log.warning(
                "no shared memory, frames go over the socket",
                extra={"camera": self._camera, "reason": exc.strerror},
            )
            self._ring, self._use_ring = None, False
        return self._ring

    def _note_subscriptions(self) -> None:
        while has_message(self.socket):
            message = self.socket.recv(zmq.NOBLOCK)
            if message[:1] == b"\x01":
                self._subscribed.add(message[1:])
            else:
                self._subscribed.discard(message[1:])


def check_header(header: FrameHeader, camera: str, body_len: int) -> None:
    """Hold a header against the limits and against the bytes that came with it.

    Raises:
        ProtocolError: it names another camera, or sizes do not fit.
    """
    width, height = header.width, header.height
    if header.ref.camera != camera:
        raise ProtocolError("frame of another camera than its topic")
    if not (
        min(width, height) >= limits.IMAGE_MIN_SIDE_PX
        and max(width, height) <= limits.IMAGE_SIDE_PX
        and width * height <= limits.IMAGE_PX
    ):
        raise ProtocolError(f"frame of {width}x{height} px is outside the limits")
    if header.nbytes != body_len:
        raise ProtocolError(f"frame body of {body_len} bytes, its header says {header.nbytes}")
    if header.encoding in ("rgb8", "bgr8", "mono8") and header.nbytes != header.stride * height:
        raise ProtocolError("raw frame whose stride does not fit its length")

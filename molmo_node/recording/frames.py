"""The camera frames in a recording."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
from google.protobuf.message import DecodeError

from molmo_node.bus import limits
from molmo_node.bus.frames import check_header
from molmo_node.errors import ProtocolError
from molmo_node.messages import FrameHeader
from molmo_node.recording.entries import HEADER, IMAGE, camera_of
from molmo_node.recording.reader import Logged, Recording

# What a sender can still count on from, and what a message can hold.
_SEQ_MOST, _STAMP_MOST_NS = 2**62, 2**63 - 1
_HEADER = msgspec.json.Decoder(FrameHeader)


@dataclass(frozen=True)
class RecordedFrame:
    """A frame as it was recorded.

    Attributes:
        header: its name, stamps and size; `encoding` is that of the file in `body`.
        body: a JPEG or PNG file.
        log_ns: when the recorder got it, in nanoseconds on a clock that never jumps within a
            recording.
    """

    header: FrameHeader
    body: bytes
    log_ns: int


def recorded_frames(recording: Recording, camera: str) -> Iterator[RecordedFrame | ProtocolError]:
    """The frames of one camera in the order of the file; an error for one that is none.

    A picture without its header, or a header without its picture, is passed over.
    """
    header: FrameHeader | None = None
    for logged in recording.messages():
        if camera_of(logged.topic, HEADER) == camera:
            header = _header_of(logged)
        elif camera_of(logged.topic, IMAGE) == camera and header is not None:
            if header.ref.seq & 0xFFFFFFFF == logged.message.sequence:
                yield _frame_of(header, logged, camera)
            header = None


def _header_of(logged: Logged) -> FrameHeader | None:
    if len(logged.message.data) > limits.HEADER_BYTES:
        return None
    try:
        return _HEADER.decode(logged.message.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _frame_of(header: FrameHeader, logged: Logged, camera: str) -> RecordedFrame | ProtocolError:
    from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage

    try:
        body = CompressedImage.FromString(logged.message.data).data
        if header.encoding not in ("jpeg", "png") or len(body) > limits.FRAME_BYTES:
            raise ProtocolError(f"a recorded frame is a JPEG or PNG file, not {header.encoding}")
        check_header(header, camera, len(body))
        if not (0 <= header.ref.seq <= _SEQ_MOST and 0 <= header.ref.stamp_ns <= _STAMP_MOST_NS):
            raise ProtocolError("a recorded frame's number or stamp is out of bounds")
    except DecodeError:
        return ProtocolError("a recorded frame is no CompressedImage")
    except ProtocolError as exc:
        return exc
    return RecordedFrame(header, body, logged.message.log_time)

"""What our messages are in a recording and in Foxglove's app: channels, schemas, bytes.

| channel | schema | one for each |
| --- | --- | --- |
| ``/camera/CAMERA/image`` | ``foxglove.CompressedImage`` (protobuf) | frame |
| ``/camera/CAMERA/frame`` | ``molmo_node.FrameHeader`` (JSON) | frame, before its image |
| ``/camera/CAMERA/answers`` | ``molmo_node.Answer`` (JSON) | answer |
| ``/camera/CAMERA/overlay/WATCH`` | ``foxglove.ImageAnnotations`` (protobuf) | answer |
| ``/camera/CAMERA/readings/NAME`` | ``molmo_node.PlainReading`` (JSON) | answer with a reading |
| ``/status/NODE`` | ``molmo_node.Status`` (JSON) | status |
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec

from molmo_node import imaging
from molmo_node.bus import limits
from molmo_node.bus.frames import Frame
from molmo_node.errors import ProtocolError
from molmo_node.messages import (
    Answer,
    ClockReading,
    FrameHeader,
    FrameRef,
    GaugeReading,
    Status,
)
from molmo_node.recording.plain_schema import plain_schema

IMAGE, HEADER, ANSWERS, OVERLAY, READINGS = "image", "frame", "answers", "overlay", "readings"
ATTACHED = "attached"
"""Stands for the camera of pictures that came with their question."""
ONE_SHOT = "asked"
"""Stands for the watch of answers that were asked for once."""
JPEG_QUALITY = 85


@dataclass(frozen=True)
class Schema:
    """A schema as MCAP and Foxglove's protocol hold it."""

    name: str
    encoding: str
    data: bytes


NO_SCHEMA = Schema("", "", b"")


@dataclass(frozen=True)
class Channel:
    """A stream of messages of one schema."""

    topic: str
    message_encoding: str
    schema: Schema


@dataclass(frozen=True)
class Entry:
    """One message, ready to be written or sent.

    Attributes:
        publish_ns: wall clock: of the capture for frames, of its frame for an answer.
        sequence: the sender's own number, lowest 32 bits.
    """

    channel: Channel
    data: bytes
    publish_ns: int
    sequence: int


class PlainReading(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A reading for plots: flat, and what is null is left out. No value: see `reason`."""

    kind: str
    name: str
    watch: str
    stamp_ns: int
    seq: int
    confidence: float
    status: str
    method: str
    reason: str | None = None
    value: float | None = None
    unit: str | None = None
    sigma: float | None = None
    min: float | None = None
    max: float | None = None
    hour: int | None = None
    minute: int | None = None
    second: int | None = None


def camera_of(topic: str, what: str) -> str | None:
    """The camera whose channel of this kind a topic is; None for other topics."""
    words = topic.split("/")
    is_it = len(words) == 4 and words[:2] == ["", "camera"] and words[3] == what
    return words[2] if is_it and limits.NAME.fullmatch(words[2]) else None


def image_channel(camera: str) -> Channel:
    """Where a camera's pictures go."""
    from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage

    return Channel(_topic(camera, IMAGE), "protobuf", _protobuf_schema(CompressedImage))


def header_channel(camera: str) -> Channel:
    """Where a camera's frame headers go."""
    return _json_channel(_topic(camera, HEADER), FrameHeader)


def entries_of(
    news: Frame | Answer | Status, quality: int = JPEG_QUALITY, lossless: bool = False
) -> list[Entry]:
    """All entries of something that a node said.

    Raises:
        ProtocolError: it is of the right type, but cannot be said here: a picture that is none,
            data that JSON does not know, a number that nothing can be drawn from.
    """
    try:
        if isinstance(news, Frame):
            return frame_entries(news, quality, lossless)
        return answer_entries(news) if isinstance(news, Answer) else status_entries(news)
    except (TypeError, ValueError, OverflowError, RecursionError) as exc:
        raise ProtocolError(f"{type(news).__name__} that cannot be written: {exc}") from exc


def frame_entries(frame: Frame, quality: int = JPEG_QUALITY, lossless: bool = False) -> list[Entry]:
    """A frame's header and picture; JPEG and PNG files pass byte for byte.

    Args:
        quality: of the JPEG that pixels are made into, 1 to 100.
        lossless: make PNG of pixels instead.

    Raises:
        ProtocolError: the body is not the picture that the header says.
    """
    encoding = frame.header.encoding
    if encoding in ("jpeg", "png"):
        body = frame.body.tobytes()
    else:
        encoding = "png" if lossless else "jpeg"
        rgb = frame.rgb()
        body = imaging.encode(rgb, ".png") if lossless else imaging.encode_jpeg(rgb, quality)
    header = msgspec.structs.replace(
        frame.header, encoding=encoding, stride=0, nbytes=len(body), shm=None
    )
    ref = header.ref
    return [
        _entry(header_channel(ref.camera), msgspec.json.encode(header), ref),
        _entry(image_channel(ref.camera), _compressed_image(header, body), ref),
    ]


def answer_entries(answer: Answer) -> list[Entry]:
    """An answer whole, its marks for the picture, and its reading for plots."""
    from molmo_node.recording.marks import image_annotations

    ref = answer.frame
    camera = ref.camera or ATTACHED
    overlay = f"{OVERLAY}/{_word(answer.watch, ONE_SHOT)}"
    marks = image_annotations(answer)
    entries = [
        _entry(_json_channel(_topic(camera, ANSWERS), Answer), msgspec.json.encode(answer), ref),
        _entry(
            Channel(_topic(camera, overlay), "protobuf", _protobuf_schema(_class_of(marks))),
            marks.SerializeToString(),
            ref,
        ),
    ]
    if answer.reading is not None:
        plain = plain_reading(answer, answer.reading)
        topic = _topic(camera, f"{READINGS}/{_word(plain.name, plain.kind)}")
        channel = _json_channel(topic, PlainReading)
        entries.append(_entry(channel, msgspec.json.encode(plain), ref))
    return entries


def status_entries(status: Status) -> list[Entry]:
    """A node's state."""
    channel = _json_channel(f"/status/{_word(status.node.replace('.', '_'), 'node')}", Status)
    data = msgspec.json.encode(status)
    return [Entry(channel, data, _unsigned(status.stamp_ns), status.seq & 0xFFFFFFFF)]


def plain_reading(answer: Answer, reading: GaugeReading | ClockReading) -> PlainReading:
    """The flat form of an answer's reading."""
    shared: dict[str, Any] = {
        "name": reading.name or answer.watch,
        "watch": answer.watch,
        "stamp_ns": answer.frame.stamp_ns,
        "seq": answer.frame.seq,
        "confidence": reading.confidence,
        "status": reading.status,
        "method": reading.method,
        "reason": reading.reason,
    }
    if isinstance(reading, ClockReading):
        return PlainReading(
            kind="clock", **shared, hour=reading.hour, minute=reading.minute, second=reading.second
        )
    return PlainReading(
        kind="gauge", **shared, value=reading.value, unit=reading.unit, sigma=reading.sigma,
        min=reading.min, max=reading.max,
    )  # fmt: skip


def _compressed_image(header: FrameHeader, body: bytes) -> bytes:
    from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage

    image = CompressedImage(data=body, format=header.encoding, frame_id=header.ref.frame_id)
    image.timestamp.FromNanoseconds(_unsigned(header.ref.stamp_ns))
    raw: bytes = image.SerializeToString()
    return raw


def _entry(channel: Channel, data: bytes, ref: FrameRef) -> Entry:
    return Entry(channel, data, _unsigned(ref.stamp_ns), ref.seq & 0xFFFFFFFF)


def _unsigned(stamp_ns: int) -> int:
    """A stamp as MCAP can hold it; the message itself keeps it as it was."""
    return min(max(0, stamp_ns), 2**63 - 1)


def _topic(camera: str, what: str) -> str:
    return f"/camera/{_word(camera, 'unnamed')}/{what}"


def _word(text: str, other: str) -> str:
    """A name as a part of a topic; `other` for what is no name."""
    return text if limits.NAME.fullmatch(text) else other


def _class_of(message: Any) -> Any:
    """A protobuf message's class, which its type stubs take for unhashable."""
    return type(message)


@cache
def _json_schema(kind: type[msgspec.Struct]) -> Schema:
    return Schema(f"molmo_node.{kind.__name__}", "jsonschema", plain_schema(kind))


def _json_channel(topic: str, kind: type[msgspec.Struct]) -> Channel:
    return Channel(topic, "json", _json_schema(kind))


@cache
def _protobuf_schema(kind: Any) -> Schema:
    """A message class with all that its file imports, as a FileDescriptorSet."""
    from google.protobuf.descriptor_pb2 import FileDescriptorSet

    files = FileDescriptorSet()
    _add_file(files, kind.DESCRIPTOR.file, set())
    return Schema(kind.DESCRIPTOR.full_name, "protobuf", files.SerializeToString())


def _add_file(files: Any, file: Any, seen: set[str]) -> None:
    """A file after those that it imports, each once: some readers need that order."""
    if file.name in seen:
        return
    seen.add(file.name)
    for imported in file.dependencies:
        _add_file(files, imported, seen)
    file.CopyToProto(files.file.add())

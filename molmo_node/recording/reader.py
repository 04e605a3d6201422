"""Reads recordings, whole or cut off anywhere, within the limits that hold for the network.

Everything is read from the front, one chunk at a time, so that a file without its index is
read like any other: up to the last chunk that is whole.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import zstandard
from mcap.exceptions import EndOfFile, InvalidMagic, McapError
from mcap.records import Channel, Chunk, McapRecord, Message, Metadata, Schema
from mcap.stream_reader import CRCValidationError, StreamReader, breakup_chunk

from molmo_node.errors import ConfigError

RECORD_BYTES = 128 * 1024 * 1024
"""Longest record, and chunk after unpacking, that is read: a few of the largest frames."""
DAMAGE = (
    McapError, CRCValidationError, zstandard.ZstdError, struct.error, UnicodeDecodeError,
    ValueError, OverflowError, EOFError,
)  # fmt: skip


class RecordingError(ConfigError):
    """A file that a person named is no recording."""


@dataclass(frozen=True)
class Logged:
    """One message of a recording, and its channel and schema."""

    topic: str
    schema: Schema | None
    channel: Channel
    message: Message


@dataclass
class Contents:
    """What has been met so far while a file is read.

    Attributes:
        chunks: whole ones; damaged ones are passed over.
        whole_bytes: how far the file is whole, from its beginning.
        damage: what could not be read; empty: all could.
    """

    chunks: int = 0
    bad_chunks: int = 0
    whole_bytes: int = 0
    damage: str = ""
    metadata: dict[str, dict[str, str]] = field(default_factory=dict)


class Recording:
    """A file to be read from the front, once for each `messages`.

    Attributes:
        contents: of the pass that is on, or was the last.

    Raises:
        RecordingError: there is no such file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.contents = Contents()
        try:
            self.nbytes = path.stat().st_size
            path.open("rb").close()
        except OSError as exc:
            raise RecordingError(
                f"{path} cannot be read: {(exc.strerror or 'unreadable').lower()}",
                hint="`molmo-node record` makes recordings",
            ) from exc

    def messages(self) -> Iterator[Logged]:
        """Every message of every whole chunk, in the order of the file.

        A damaged chunk is passed over; what lies behind a damaged record is not found again.

        Raises:
            RecordingError: the file is no MCAP file.
        """
        schemas: dict[int, Schema] = {}
        channels: dict[int, Channel] = {}
        for record in self._records():
            if isinstance(record, Schema):
                schemas[record.id] = record
            elif isinstance(record, Channel):
                channels[record.id] = record
            elif isinstance(record, Message) and record.channel_id in channels:
                channel = channels[record.channel_id]
                yield Logged(channel.topic, schemas.get(channel.schema_id), channel, record)

    def _records(self) -> Iterator[McapRecord]:
        """Records outside chunks and inside of them."""
        contents = self.contents = Contents()
        with self.path.open("rb") as file:
            reader = StreamReader(
                _Whole(file),  # type: ignore[arg-type]
                emit_chunks=True,
                record_size_limit=RECORD_BYTES,
            )
            try:
                for record in reader.records:
                    records = self._unpacked(record)
                    if not contents.bad_chunks:
                        contents.whole_bytes = file.tell()
                    if isinstance(record, Metadata):
                        contents.metadata[record.name] = record.metadata
                    yield from records
                if not contents.bad_chunks:
                    contents.whole_bytes = file.tell()
            except InvalidMagic as exc:
                if contents.whole_bytes == 0:
                    raise _no_recording(self.path) from exc
                contents.damage = "its end is damaged"
            except EndOfFile as exc:
                if file.tell() < _MAGIC_BYTES:
                    raise _no_recording(self.path) from exc
                contents.damage = "it is cut off"
            except DAMAGE as exc:
                contents.damage = f"it is damaged ({type(exc).__name__})"
            except OSError as exc:
                contents.damage = f"it cannot be read on: {exc.strerror}"

    def _unpacked(self, record: McapRecord) -> list[McapRecord]:
        """A chunk's records, none of a damaged one; any other record as it is."""
        if not isinstance(record, Chunk):
            return [record]
        try:
            records = _unpacked(record)
        except DAMAGE:
            self.contents.bad_chunks += 1
            self.contents.damage = f"{self.contents.bad_chunks} damaged chunks were passed over"
            return []
        self.contents.chunks += 1
        return records


_MAGIC_BYTES = 8


class _Whole:
    """A stream that gives all bytes that were asked for, or says that it has ended.

    The library takes a short read at the end of a file for a short record.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, length: int) -> bytes:
        if not 0 <= length <= RECORD_BYTES:  # a number inside a damaged record
            raise ValueError("length out of bounds")
        data = self._file.read(length)
        if len(data) < length:
            raise EndOfFile
        return data


def _unpacked(chunk: Chunk) -> list[McapRecord]:
    """The records of a chunk, if it does not unpack to more than is allowed."""
    unpacked_bytes = chunk.uncompressed_size
    if chunk.compression == "zstd":
        # The library trusts this number in the frame over the one in the chunk.
        unpacked_bytes = max(unpacked_bytes, zstandard.frame_content_size(chunk.data))
    elif chunk.compression:
        raise ValueError(f"compression {chunk.compression[:16]!r}")
    if unpacked_bytes > RECORD_BYTES:
        raise ValueError("chunk too large")
    return breakup_chunk(chunk, validate_crc=True)


def _no_recording(path: Path) -> RecordingError:
    return RecordingError(f"{path} is no MCAP file", hint="`molmo-node record` makes recordings")

"""Writes a recording that is whole up to its last chunk at every moment.

A chunk is closed, written and forced onto the disk every `FLUSH_S`: what is lost when the
process is killed or the power goes is the chunk that was open. When a write fails, the file is
cut back to its last whole chunk.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from mcap.writer import CompressionType, Writer

from molmo_node.errors import ConfigError, MolmoNodeError
from molmo_node.recording.entries import NO_SCHEMA, Channel, Entry, Schema

FLUSH_S = 0.5
CHUNK_BYTES = 4 * 1024 * 1024
CHANNELS = 1024
METADATA = "molmo_node"
COUNTERS = "molmo_node.counters"
# What a message, a chunk and a channel take beside their bytes: record heads, lines of indexes.
_MESSAGE_BYTES = 64
_CHUNK_BYTES = 128
_CHANNEL_BYTES = 512
_ENDING_BYTES = 2048


class DiskError(MolmoNodeError):
    """A recording cannot go on: the disk is full, gone, or does not answer."""


class RecordingFile:
    """One MCAP file. Belongs to one thread. After a `DiskError` it is closed.

    Args:
        path: must not exist: a recording never writes over another.
        about: written into the file's metadata.
        chunk_bytes: a chunk is written when it is so large, before compression.

    Raises:
        ConfigError: the file cannot be made.
        DiskError: not even its beginning can be written.
    """

    def __init__(
        self, path: Path, about: Mapping[str, str], chunk_bytes: int = CHUNK_BYTES
    ) -> None:
        self.path = path
        self._chunk_bytes = chunk_bytes
        self.messages = 0
        self.refused = 0
        self._disk = _Disk(path)
        self._schemas: dict[Schema, int] = {}
        self._channels: dict[Channel, int] = {}
        self._open_bytes = self._whole_bytes = 0
        self._ending_bytes = _ENDING_BYTES
        self._flushed_s = time.monotonic()
        # The chunks are closed here, not by the library, so that it is known what is whole.
        self._writer = Writer(
            self._disk,  # type: ignore[arg-type]  # of a stream it uses write, tell and flush
            chunk_size=2**62,
            compression=CompressionType.ZSTD,
        )
        with self._cut_on_failure():
            self._writer.start(library="molmo_node")
            self._writer.add_metadata(METADATA, dict(about))
            self._flush()

    @property
    def written_bytes(self) -> int:
        """The file's length now."""
        return self._disk.tell()

    @property
    def nbytes(self) -> int:
        """The file's length if it were finished now; a little less is possible, more is not."""
        return self._disk.tell() + self._open_bytes + self._ending_bytes

    def cost_bytes(self, entry: Entry) -> int:
        """How much longer the file gets by an entry, at most."""
        is_new = entry.channel not in self._channels
        return len(entry.data) + _MESSAGE_BYTES + is_new * 2 * _channel_bytes(entry.channel)

    def write(self, entry: Entry, log_ns: int) -> None:
        """Add a message to the open chunk; it is written when it is large or old enough.

        Raises:
            DiskError: it could not be written.
        """
        with self._cut_on_failure():
            channel_id = self._channel_id(entry.channel)
            if channel_id is None:
                self.refused += 1
                return
            self._writer.add_message(
                channel_id, log_ns, entry.data, entry.publish_ns, entry.sequence
            )
            self._open_bytes += len(entry.data) + _MESSAGE_BYTES
            self.messages += 1
            if self._open_bytes >= self._chunk_bytes:
                self._flush()
        self.flush_if_due()

    def flush_if_due(self) -> None:
        """Write the open chunk if it is old enough; called when nothing else comes, too.

        Raises:
            DiskError: it could not be written.
        """
        if self._open_bytes and time.monotonic() - self._flushed_s >= FLUSH_S:
            self.flush()

    def flush(self) -> None:
        """Write the open chunk now.

        Raises:
            DiskError: it could not be written.
        """
        with self._cut_on_failure():
            self._flush()

    def finish(self, counters: Mapping[str, int]) -> None:
        """Write the last chunk and the index, and close the file.

        Raises:
            DiskError: there is no room for them; what was written before can be read.
        """
        with self._cut_on_failure():
            self._flush()
            shown = {name: str(value) for name, value in counters.items()}
            self._writer.add_metadata(COUNTERS, shown)
            self._writer.finish()
            self._disk.sync()
            self._disk.close()

    def _flush(self) -> None:
        has_chunk = self._open_bytes > 0
        self._writer.flush()
        self._disk.sync()
        self._whole_bytes = self._disk.tell()
        self._ending_bytes += has_chunk * (_CHUNK_BYTES + 10 * len(self._channels))
        self._open_bytes = 0
        self._flushed_s = time.monotonic()

    def _channel_id(self, channel: Channel) -> int | None:
        """The number of a channel, made known to the file; None where there are too many."""
        if channel in self._channels:
            return self._channels[channel]
        if len(self._channels) >= CHANNELS:
            return None
        self._channels[channel] = self._writer.register_channel(
            channel.topic, channel.message_encoding, self._schema_id(channel.schema)
        )
        self._open_bytes += _channel_bytes(channel)
        self._ending_bytes += _channel_bytes(channel)
        return self._channels[channel]

    def _schema_id(self, schema: Schema) -> int:
        if schema == NO_SCHEMA:
            return 0
        if schema not in self._schemas:
            self._schemas[schema] = self._writer.register_schema(
                schema.name, schema.encoding, schema.data
            )
        return self._schemas[schema]

    @contextlib.contextmanager
    def _cut_on_failure(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            self._keep_whole()
            if not self._whole_bytes:
                hint = "free some room, or record to another disk"
                raise DiskError(
                    f"{self.path}: {_why(exc)}; nothing was recorded", hint=hint
                ) from exc
            raise DiskError(
                f"{self.path}: {_why(exc)}; it can be read up to byte {self._whole_bytes}",
                hint="free some room or record to another disk; `molmo-node record repair` adds"
                " the index that this file lacks",
            ) from exc

    def _keep_whole(self) -> None:
        """Cut the file back to its last whole chunk; one that holds nothing goes."""
        with contextlib.suppress(OSError):  # a disk that is gone cannot be cut either
            self._disk.cut(self._whole_bytes)
            if not self._whole_bytes:
                self.path.unlink()
        self._disk.close()


class _Disk:
    """A new file without a buffer of its own, whose writes are whole or raise."""

    def __init__(self, path: Path) -> None:
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except FileExistsError as exc:
            raise ConfigError(
                f"{path} exists already", hint="recordings are never written over: name another"
            ) from exc
        except OSError as exc:
            raise ConfigError(
                f"{path} cannot be made: {_why(exc)}",
                hint="name a file in a folder that exists and may be written to: --out FILE",
            ) from exc
        self._at = 0

    def write(self, data: bytes) -> int:
        left = memoryview(data)
        while left:
            written = os.write(self._fd, left)
            self._at += written
            left = left[written:]
        return len(data)

    def tell(self) -> int:
        return self._at

    def flush(self) -> None:
        """Nothing waits here."""

    def sync(self) -> None:
        os.fdatasync(self._fd)

    def cut(self, nbytes: int) -> None:
        os.ftruncate(self._fd, nbytes)

    def close(self) -> None:
        with contextlib.suppress(OSError):  # said already by the write that failed
            os.close(self._fd)


def _channel_bytes(channel: Channel) -> int:
    return len(channel.schema.data) + len(channel.topic) + _CHANNEL_BYTES


def _why(exc: OSError) -> str:
    return (exc.strerror or type(exc).__name__).lower()

"""Makes a whole file of what can be read of a recording."""

from __future__ import annotations

from pathlib import Path

from molmo_node.recording.entries import NO_SCHEMA, Channel, Entry, Schema
from molmo_node.recording.reader import Contents, Logged, Recording
from molmo_node.recording.writer import METADATA, RecordingFile


def repair(path: Path, out: Path) -> Contents:
    """Write every whole chunk's messages into a new recording with an index.

    Returns:
        What was read, and why reading ended.

    Raises:
        RecordingError: no such file, or no MCAP file.
        ConfigError: `out` exists, or cannot be made.
        DiskError: there is no room for it.
    """
    recording = Recording(path)
    messages = recording.messages()
    first = next(messages, None)
    about = recording.contents.metadata.get(METADATA, {})
    file = RecordingFile(out, {**about, "repaired_from": path.name})
    if first is not None:
        file.write(_entry(first), first.message.log_time)
    for logged in messages:
        file.write(_entry(logged), logged.message.log_time)
    file.finish({"messages": file.messages})
    return recording.contents


def _entry(logged: Logged) -> Entry:
    found = logged.schema
    schema = Schema(found.name, found.encoding, found.data) if found else NO_SCHEMA
    channel = Channel(logged.topic, logged.channel.message_encoding, schema)
    message = logged.message
    return Entry(channel, message.data, message.publish_time, message.sequence)

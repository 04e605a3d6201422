"""What a recording holds: by its index in an instant, or by reading it through."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from mcap.reader import SeekingReader

from molmo_node.recording.entries import IMAGE, camera_of
from molmo_node.recording.reader import DAMAGE, RECORD_BYTES, Recording

LOOK_BYTES = 256 * 1024 * 1024
"""How far a file without an index is read to learn what it holds."""


@dataclass
class Summary:
    """What a recording holds.

    Attributes:
        topics: messages by topic.
        schemas: the name of each topic's schema.
        first_ns, last_ns: log times, 0 where there are no messages.
        damage: why the file could not be read to its end; empty: it is whole.
        whole_bytes: how far it is whole.
    """

    path: Path
    nbytes: int
    topics: Counter[str] = field(default_factory=Counter)
    schemas: dict[str, str] = field(default_factory=dict)
    first_ns: int = 0
    last_ns: int = 0
    chunks: int = 0
    whole_bytes: int = 0
    damage: str = ""
    metadata: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def duration_s(self) -> float:
        """From the first message to the last."""
        return max(0, self.last_ns - self.first_ns) / 1e9

    @property
    def cameras(self) -> dict[str, int]:
        """Frames by camera."""
        named = {camera_of(topic, IMAGE): count for topic, count in self.topics.items()}
        return {name: count for name, count in sorted(named.items(), key=str) if name}

    def fps(self, camera: str) -> float:
        """A camera's frames a second over the whole recording; 0 where they are too few."""
        frames = self.cameras.get(camera, 0)
        return (frames - 1) / self.duration_s if frames > 1 and self.duration_s > 0 else 0.0


def summarize(path: Path, most_bytes: int | None = None) -> Summary:
    """Read a recording through, checking every chunk, up to `most_bytes`.

    Raises:
        RecordingError: no such file, or no MCAP file.
    """
    recording = Recording(path)
    summary = Summary(path, recording.nbytes)
    for logged in recording.messages():
        log_ns = logged.message.log_time
        summary.first_ns = min(summary.first_ns or log_ns, log_ns)
        summary.last_ns = max(summary.last_ns, log_ns)
        summary.topics[logged.topic] += 1
        summary.schemas[logged.topic] = logged.schema.name if logged.schema else ""
        if most_bytes is not None and recording.contents.whole_bytes > most_bytes:
            break
    contents = recording.contents
    summary.chunks, summary.whole_bytes = contents.chunks, contents.whole_bytes
    summary.damage, summary.metadata = contents.damage, contents.metadata
    return summary


def look(path: Path) -> Summary:
    """What a recording holds, by its index, or else by its first `LOOK_BYTES`.

    Raises:
        RecordingError: no such file, or no MCAP file.
    """
    return _indexed(path) or summarize(path, LOOK_BYTES)


def _indexed(path: Path) -> Summary | None:
    summary = Summary(path, Recording(path).nbytes)
    try:
        with path.open("rb") as file:
            found = SeekingReader(file, record_size_limit=RECORD_BYTES).get_summary()
    except (*DAMAGE, OSError):
        return None
    if found is None or found.statistics is None:
        return None
    for channel_id, count in found.statistics.channel_message_counts.items():
        if channel_id in found.channels:
            channel = found.channels[channel_id]
            summary.topics[channel.topic] += count
            schema = found.schemas.get(channel.schema_id)
            summary.schemas[channel.topic] = schema.name if schema else ""
    summary.first_ns = found.statistics.message_start_time
    summary.last_ns = found.statistics.message_end_time
    summary.chunks, summary.whole_bytes = found.statistics.chunk_count, summary.nbytes
    return summary

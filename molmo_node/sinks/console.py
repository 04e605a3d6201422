"""Answers on stdout, a line each: for people, and for whatever reads a pipe."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TextIO

import msgspec

from molmo_node.client.view import NodeView
from molmo_node.config.sinks import ConsoleSettings
from molmo_node.messages import Answer
from molmo_node.sinks.base import Message, SinkDown
from molmo_node.sinks.records import Record, is_selected, record_of


class ConsoleSink:
    """Prints; a reader that has gone closes the way out."""

    def __init__(
        self, settings: ConsoleSettings, view: NodeView, stream: TextIO | None = None
    ) -> None:
        self._settings = settings
        self._stream = stream or sys.stdout

    def wants(self, message: Message) -> bool:
        """Answers of the chosen watches."""
        return is_selected(message, self._settings.watches)

    def write(self, messages: Sequence[Message]) -> None:
        """Print a line for each."""
        try:
            for message in messages:
                if isinstance(message, Answer):
                    self._stream.write(self._line(message) + "\n")
            self._stream.flush()
        except OSError as exc:
            raise SinkDown(f"stdout: {exc.strerror}", hint="nobody reads it any more") from exc

    def tend(self, view: NodeView) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing: stdout is not ours."""

    def _line(self, answer: Answer) -> str:
        if self._settings.format == "json":
            return msgspec.json.encode(answer).decode()
        return text_of(record_of(answer))


def text_of(record: Record) -> str:
    """``2026-11-25T23:17:00.123Z front boiler 4.21 bar ±0.03 93%`` or ``… - no_needle``."""
    head = f"{record.time} {record.camera} {record.watch or record.task}"
    if record.value is None:
        return f"{head} - {_one_line(record.reason)}"
    value = f"{record.value:.6g}" if isinstance(record.value, float) else str(record.value)
    sigma = "" if record.sigma is None else f"±{record.sigma:.2g}"
    confidence = "" if record.confidence is None else f"{record.confidence:.0%}"
    return " ".join(
        part for part in (head, _one_line(value), record.unit, sigma, confidence) if part
    )


def _one_line(text: str) -> str:
    """Model text without line ends and control characters, which a terminal would obey."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())

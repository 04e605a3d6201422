"""Whole answers, a JSON object a line: nothing is left out."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from molmo_node.client.view import NodeView
from molmo_node.config.sinks import FileSettings
from molmo_node.messages import Answer
from molmo_node.sinks.base import Message
from molmo_node.sinks.day_files import DayFiles
from molmo_node.sinks.records import is_selected


class JsonlSink:
    """Each line is an Answer of docs/PROTOCOL.md."""

    def __init__(self, settings: FileSettings, view: NodeView) -> None:
        self._settings = settings
        self._files = DayFiles(settings.folder, "jsonl", keep_days=settings.keep_days)

    def wants(self, message: Message) -> bool:
        """Answers of the chosen watches."""
        return is_selected(message, self._settings.watches)

    def write(self, messages: Sequence[Message]) -> None:
        """Append a line for each."""
        answers = [message for message in messages if isinstance(message, Answer)]
        self._files.append([msgspec.json.encode(answer).decode() for answer in answers])

    def tend(self, view: NodeView) -> None:
        """See that the file can be written."""
        self._files.check()

    def close(self) -> None:
        """Close the file."""
        self._files.close()

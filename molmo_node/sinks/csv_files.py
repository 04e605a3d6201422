"""A table row an answer, for spreadsheets and plant software."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, fields

from molmo_node.client.view import NodeView
from molmo_node.config.sinks import FileSettings
from molmo_node.messages import Answer
from molmo_node.sinks.base import Message
from molmo_node.sinks.day_files import DayFiles
from molmo_node.sinks.records import Record, is_selected, record_of

COLUMNS = tuple(field.name for field in fields(Record))
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class CsvSink:
    """Columns are the fields of `Record`; an empty `value` is one that was not read."""

    def __init__(self, settings: FileSettings, view: NodeView) -> None:
        self._settings = settings
        self._files = DayFiles(
            settings.folder, "csv", header=",".join(COLUMNS), keep_days=settings.keep_days
        )

    def wants(self, message: Message) -> bool:
        """Answers of the chosen watches."""
        return is_selected(message, self._settings.watches)

    def write(self, messages: Sequence[Message]) -> None:
        """Append a row for each."""
        answers = [message for message in messages if isinstance(message, Answer)]
        self._files.append([row_of(record_of(answer)) for answer in answers])

    def tend(self, view: NodeView) -> None:
        """See that the file can be written."""
        self._files.check()

    def close(self) -> None:
        """Close the file."""
        self._files.close()


def row_of(record: Record) -> str:
    """One line of the table, without its end."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(_cell(value) for value in asdict(record).values())
    return line.getvalue()


def _cell(value: object) -> object:
    """Text as one line that no spreadsheet takes for a formula: a model may say anything."""
    if not isinstance(value, str):
        return value
    text = " ".join(value.split())
    return f"'{text}" if text.startswith(_FORMULA) else text

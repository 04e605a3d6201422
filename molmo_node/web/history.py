"""What was asked, of whom and with what result: the last questions with their pictures."""

from __future__ import annotations

import itertools
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import msgspec

from molmo_node import imaging
from molmo_node.errors import NoAnswer
from molmo_node.messages import Answer, Point
from molmo_node.overlay import draw_answer
from molmo_node.web.feed import Picture

MOST_ENTRIES = 60
MOST_BYTES = 48 * 1024 * 1024
THUMB_PX = 240


@dataclass(frozen=True)
class Entry:
    """One question. `fields` is what the page gets: question, answer or error, copy texts."""

    number: int
    fields: dict[str, Any]
    picture: Picture | None
    thumb: bytes
    at_s: float = field(default_factory=time.time)

    def as_json(self) -> dict[str, Any]:
        """Plain values, without the picture."""
        return {
            "id": self.number,
            "at_ms": round(self.at_s * 1e3),
            "has_picture": self.picture is not None,
            **self.fields,
        }


class History:
    """The newest entries, bounded in number and bytes."""

    def __init__(self) -> None:
        self._entries: OrderedDict[int, Entry] = OrderedDict()
        self._numbers = itertools.count(1)
        self.revision = 0

    def add(self, fields: dict[str, Any], picture: Picture | None, thumb: bytes) -> Entry:
        """Keep an entry; the oldest go until all fit."""
        entry = Entry(next(self._numbers), fields, picture, thumb)
        self._entries[entry.number] = entry
        while len(self._entries) > MOST_ENTRIES or self._held_bytes() > MOST_BYTES:
            self._entries.popitem(last=False)
        self.revision += 1
        return entry

    def newest_first(self) -> list[dict[str, Any]]:
        """All entries as plain values."""
        return [entry.as_json() for entry in reversed(self._entries.values())]

    def get(self, number: int) -> Entry:
        """One entry.

        Raises:
            NoAnswer: it is not kept.
        """
        if number not in self._entries:
            raise NoAnswer(f"question {number} is not kept any more")
        return self._entries[number]

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self.revision += 1

    def _held_bytes(self) -> int:
        return sum(
            len(entry.thumb) + (len(entry.picture.jpeg) if entry.picture else 0)
            for entry in self._entries.values()
        )


def thumbnail(picture: Picture, answer: Answer | None) -> bytes:
    """A small JPEG with the answer drawn in."""
    encoding = imaging.sniff(picture.jpeg)
    rgb = imaging.decode_rgb(picture.jpeg, encoding, picture.width, picture.height)
    if answer is not None and answer.reading is not None:
        rgb = draw_answer(rgb, answer)
    scale = min(1.0, THUMB_PX / max(picture.width, picture.height))
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    cv2 = imaging.load_cv2()
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    if answer is not None and answer.points:
        small = draw_answer(small, _scaled_points(answer, scale))
    return imaging.encode_jpeg(small, 80)


def _scaled_points(answer: Answer, scale: float) -> Answer:
    """Its points alone, for a small picture: strokes stay legible, labels would not."""
    points = tuple(
        Point(x_px=point.x_px * scale, y_px=point.y_px * scale) for point in answer.points
    )
    return msgspec.structs.replace(answer, points=points, reading=None)

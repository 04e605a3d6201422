"""How answers are built: what must follow what was said, and when an answer is complete.

A grammar only guesses (its text is drafted and then verified) and stops; it never forces.
Answer forms: molmo.md §8.1 and §8.3 for Molmo v1, §11 for Molmo2.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from molmo_node.messages import Question
from molmo_node.models.prompts import PointFormat

_REFUSALS = ("There are none.", "This isn't in the image.")


class Grammar(Protocol):
    """One kind of answer."""

    @property
    def stops_early(self) -> bool:
        """Whether an answer can be complete before the model ends it."""
        ...

    def continuation(self, text: str) -> str:
        """Fixed text that probably follows; empty where only the model can know."""
        ...

    def is_complete(self, text: str) -> bool:
        """Whether all that is asked for has been said; asked only where `stops_early` is true."""
        ...


def _rest(said: str, candidates: Sequence[str]) -> str:
    """What is left of the first candidate that starts with what was said."""
    for candidate in candidates:
        if candidate.startswith(said) and len(candidate) > len(said):
            return candidate[len(said) :]
    return ""


@dataclass(frozen=True)
class FreeText:
    """Captions, free questions, JSON, gauges: nothing is fixed but the refusals."""

    space: str = " "
    stops_early: bool = False

    def continuation(self, text: str) -> str:
        known = [self.space + refusal for refusal in _REFUSALS]
        return _rest(text, known) if text.strip() else ""

    def is_complete(self, text: str) -> bool:
        return False


_NUMBER = re.compile(r'\b([xy])(\d*)="(\d{1,3}\.\d)')
_OPEN_NUMBER = re.compile(r'\b[xy]\d*="(\d*)(\.?)\Z')
_LABEL = re.compile(r'alt="([^"<>]*)">(.*)\Z', re.DOTALL)
_SINGLE_DONE = re.compile(r'<point\s[^>]*\by="(\d+\.\d\Z|[\d.]+")')
_LIST_DONE = re.compile(r"<points?\s[^>]*(\salt|>)")
_TOTAL_DONE = re.compile(r"total of \d+\D")


@dataclass(frozen=True)
class PercentPoints:
    """Molmo v1: ``<point x="43.1" y="55.0" alt="mug">mug</point>`` and its plural.

    Args:
        label: what was asked for, as the model will probably call it.
        is_count: the sentence around the points, with the total, is wanted too.
        full_text: go on to the end of the text instead of the last coordinate.
    """

    label: str
    is_count: bool = False
    full_text: bool = False

    @property
    def stops_early(self) -> bool:
        return not self.full_text

    def continuation(self, text: str) -> str:
        number = _OPEN_NUMBER.search(text)
        if number is not None:
            return "." if number[1] and not number[2] else ""
        label = _LABEL.search(text)
        if label is not None:
            count = len(_NUMBER.findall(text)) // 2
            return _rest(label[2], [label[1] + self._closing(count, "<points" in text)])
        numbers = list(_NUMBER.finditer(text))
        if numbers:
            last = numbers[-1]
            return _rest(text[last.end() :], self._after(last[1], last[2]))
        return _rest(text, self._openings())

    def is_complete(self, text: str) -> bool:
        if self.is_count:
            return _TOTAL_DONE.search(text) is not None
        return _SINGLE_DONE.search(text) is not None or _LIST_DONE.search(text) is not None

    def _openings(self) -> list[str]:
        tags = [' <point x="', ' <points x1="']
        counts = [' Counting the <points x1="', ' Counting the <point x="']
        first = counts + tags if self.is_count else tags + counts
        return first + [" " + refusal for refusal in _REFUSALS]

    def _after(self, axis: str, index: str) -> list[str]:
        if axis == "x":
            return [f'" y{index}="']
        number = int(index or 1)
        end = f'" alt="{self.label}">{self.label}{self._closing(number, bool(index))}'
        return [f'" x{number + 1}="', end] if index else [end]

    def _closing(self, count: int, is_plural: bool) -> str:
        tag = "</points>" if is_plural else "</point>"
        return f"{tag} shows a total of {count}." if self.is_count else tag


_COORDS = re.compile(r'coords="([^"]*)\Z')
_COORDS_DONE = re.compile(r'coords="[^"]*"')


@dataclass(frozen=True)
class ThousandthPoints:
    """Molmo2: ``<points coords="1 1 431 550 2 615 404">mug</points>``.

    The fields are the picture's number, then for each object its number, x and y.
    """

    label: str
    is_count: bool = False
    full_text: bool = False

    @property
    def stops_early(self) -> bool:
        return not self.full_text

    def continuation(self, text: str) -> str:
        body = _COORDS.search(text)
        if body is not None:
            return self._within(body[1].split(" "))
        closed = re.search(r'coords="[^"]*">(.*)\Z', text, re.DOTALL)
        if closed is not None:
            return _rest(closed[1], [f"{self.label}</points>"])
        tag = '<points coords="1 1 '
        openings = [tag, "Counting the " + tag, *_REFUSALS]
        return _rest(text, openings)

    def _within(self, fields: list[str]) -> str:
        """What follows the last field of the list, which may be unfinished."""
        place, last = len(fields) - 1, fields[-1]
        if place == 0:
            return _rest(last, ["1 1 "])
        number, axis = (place - 1) // 3 + 1, (place - 1) % 3
        if axis == 0:
            return _rest(last, [f"{number} "])
        if len(last) < 3:
            return ""
        return " " if axis == 1 else f" {number + 1} "

    def is_complete(self, text: str) -> bool:
        if self.is_count and _TOTAL_DONE.search(text) is None:
            return False
        return _COORDS_DONE.search(text) is not None


_TIME_DONE = re.compile(r"\d{1,2}:\d\d(:\d\d\Z|[^:\d])")
_CLOCK_OPENINGS = (
    "The time shown is ",
    "The time shown on the clock is ",
    "The time is not shown in the image.",
)


@dataclass(frozen=True)
class ClockTime:
    """``The time shown is 10:15:30 AM``, with or without seconds."""

    space: str = " "
    full_text: bool = False

    @property
    def stops_early(self) -> bool:
        return not self.full_text

    def continuation(self, text: str) -> str:
        if re.search(r"(?<![\d:])\d{1,2}\Z", text) or re.search(r"(?<![\d:])\d{1,2}:\d\d\Z", text):
            return ":"
        return _rest(text, [self.space + opening for opening in _CLOCK_OPENINGS])

    def is_complete(self, text: str) -> bool:
        return _TIME_DONE.search(text) is not None


def grammar_for(
    question: Question, point_format: PointFormat, *, full_text: bool = False
) -> Grammar:
    """The grammar of the answer to this question by a model of this family."""
    space = " " if point_format == "percent" else ""
    if question.task in ("point", "count"):
        label = " ".join(question.text.lower().split())
        is_count = question.task == "count"
        if point_format == "percent":
            return PercentPoints(label, is_count, full_text)
        return ThousandthPoints(label, is_count, full_text)
    if question.task == "read_clock":
        return ClockTime(space, full_text=full_text)
    return FreeText(space)

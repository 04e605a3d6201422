"""The network's tokens: a question is three of them, each point one more."""

from __future__ import annotations

from molmo_node.models.nano.words import COLORS, NOUNS, Phrase

__all__ = ["COLORS", "NOUNS"]

PAD, POINT, ASK_POINT, ASK_READ = 0, 1, 2, 3
_FIRST_COLOR = 4
_FIRST_NOUN = _FIRST_COLOR + len(COLORS) + 1
SIZE = _FIRST_NOUN + len(NOUNS) + 1

MAX_POINTS = 12
# clock: centre, 12, 3, minute tip, hour tip; gauge: centre, first, middle and last mark, tip
KEY_POINTS = 5


def question_tokens(task: int, phrase: Phrase) -> tuple[int, int, int]:
    """Task (`ASK_POINT` or `ASK_READ`), colour and noun; the last of each kind means any."""
    color = COLORS.index(phrase.color) if phrase.color else len(COLORS)
    noun = NOUNS.index(phrase.noun) if phrase.noun else len(NOUNS)
    return task, _FIRST_COLOR + color, _FIRST_NOUN + noun


def color_in(tokens: tuple[int, int, int]) -> str:
    """The colour that a question names; "" for any."""
    return (*COLORS, "")[tokens[1] - _FIRST_COLOR]

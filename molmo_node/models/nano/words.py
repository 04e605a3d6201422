"""The words that molmo-nano knows, and how a phrase is brought down to them."""

from __future__ import annotations

import re
from dataclasses import dataclass

COLORS: tuple[str, ...] = (
    "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white",
    "gray",
)  # fmt: skip
NOUNS: tuple[str, ...] = (
    "mug", "bottle", "bowl", "box", "ball", "book", "button", "valve", "lamp", "cable", "wrench",
    "screwdriver", "hammer", "apple", "banana", "circle", "triangle", "star", "clock", "gauge",
)  # fmt: skip
_COLOR_SYNONYMS = {
    "grey": "gray", "silver": "gray", "violet": "purple", "golden": "yellow", "copper": "brown",
}  # fmt: skip
_NOUN_SYNONYMS = {
    "cup": "mug", "carton": "box", "package": "box", "cube": "box", "block": "box",
    "handwheel": "valve", "wheel": "valve", "wire": "cable", "cord": "cable", "spanner": "wrench",
    "disc": "circle", "disk": "circle", "coin": "circle", "watch": "clock", "dial": "gauge",
    "manometer": "gauge", "light": "lamp", "notebook": "book", "flask": "bottle", "dish": "bowl",
}  # fmt: skip
_ANY = frozenset({"object", "thing", "item", "one"})
_FILLERS = frozenset({
    "a", "an", "the", "all", "any", "every", "each", "of", "some", "this", "that", "these",
    "those", "point", "to", "at", "find", "where", "is", "are", "show", "me", "count", "how",
    "many", "there", "in", "picture", "image", "locate", "number", "please", "bright", "dark",
    "light-colored", "plain", "visible", "you", "can", "see", "do",
})  # fmt: skip
_PLURALS = {"boxes": "box", "brushes": "brush", "watches": "watch", "dishes": "dish"}


@dataclass(frozen=True)
class Phrase:
    """What is asked for: a colour and a noun; empty means any."""

    color: str
    noun: str


def _singular(word: str) -> str:
    if word in _PLURALS:
        return _PLURALS[word]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def parse_phrase(text: str) -> Phrase | str:
    """A phrase such as "the red mugs" as colour and noun.

    Returns:
        The phrase, or, where it cannot be said in the words above, the first word that is not
        known ("" where nothing is left to look for).
    """
    color, noun, is_any = "", "", False
    words: list[str] = re.findall(r"[^\s,.?!]+", text.lower())
    for word in words:
        single = _singular(word)
        single = _NOUN_SYNONYMS.get(single, single)
        tint = _COLOR_SYNONYMS.get(word, word)
        if tint in COLORS and not color:
            color = tint
        elif single in NOUNS and not noun:
            noun = single
        elif single in _ANY:
            is_any = True
        elif word not in _FILLERS:
            return word
    return Phrase(color, noun) if color or noun or is_any else ""


def what_can_be_asked() -> str:
    """One sentence for people: the limits of the embedded model."""
    return (
        "molmo-nano knows colours (" + ", ".join(COLORS) + ") and things (" + ", ".join(NOUNS)
        + "), as in 'the red mug', 'all blue objects', 'the clock'"
    )  # fmt: skip

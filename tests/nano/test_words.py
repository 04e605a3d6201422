"""Phrases come down to a colour and a thing, or are honestly refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from molmo_node.sim import colors, things

pytestmark = pytest.mark.model
words = pytest.importorskip("molmo_node.models.nano.words")
Phrase = words.Phrase


@pytest.mark.parametrize(
    ("text", "color", "noun"),
    [
        ("the red mug", "red", "mug"),
        ("Point to all the blue boxes.", "blue", "box"),
        ("how many apples are there?", "", "apple"),
        ("the dark blue bowl", "blue", "bowl"),
        ("green objects", "green", ""),
        ("grey cups", "gray", "mug"),
        ("the coins", "", "circle"),
        ("every object", "", ""),
        ("the orange", "orange", ""),
        ("clock", "", "clock"),
    ],
)
def test_a_known_phrase_is_understood(text, color, noun):
    assert words.parse_phrase(text) == Phrase(color, noun)


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("the red mug on the left", "on"),
        ("the cat", "cat"),
        ("the tallest bottle", "tallest"),
        ("a mug not red", "not"),
        ("red blue mug", "blue"),
        ("", ""),
        ("the", ""),
    ],
)
def test_a_phrase_beyond_the_words_names_the_first_unknown_one(text, unknown):
    assert words.parse_phrase(text) == unknown


@given(st.text(max_size=200))
def test_any_text_is_a_phrase_or_a_word_of_it(text):
    found = words.parse_phrase(text)

    assert isinstance(found, Phrase) or found in text.lower()


def test_the_engine_has_words_for_everything_on_the_bench():
    assert set(colors.COLORS) == set(words.COLORS)
    assert {*things.THINGS, "clock", "gauge"} == set(words.NOUNS)


def test_what_can_be_asked_names_every_word():
    said = words.what_can_be_asked()

    assert all(word in said for word in (*words.COLORS, *words.NOUNS))

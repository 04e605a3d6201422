"""The token: what counts as one, and what is the right one."""

from __future__ import annotations

import pytest

from molmo_node.web.tokens import bearer_token, is_token


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("Basic abc", None),
        ("abc", None),
        ("Bearer ", None),
        ("", None),
        (None, None),
    ],
)
def test_only_a_bearer_header_holds_a_token(header, token):
    assert bearer_token(header) == token


@pytest.mark.parametrize("given", [None, "", "abd", "abcd", "ab", "äbc", "\ud800"])
def test_a_wrong_token_is_wrong(given):
    assert not is_token(given, "abc")


def test_the_right_token_is_right():
    assert is_token("abc", "abc")
    assert is_token("schlüssel", "schlüssel")


def test_an_empty_token_would_let_everybody_in_and_is_refused():
    with pytest.raises(ValueError, match="everybody"):
        is_token("", "")

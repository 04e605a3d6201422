"""Drafts in tokens: the previous answer where there is one, else the answer's grammar."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from molmo_node.models.grammar import Grammar


class GrammarDrafter:
    """Drafts the fixed text that follows.

    Args:
        grammar: of the expected answer.
        to_text, to_ids: the model's tokenizer, without special tokens.
    """

    def __init__(
        self,
        grammar: Grammar,
        to_text: Callable[[Sequence[int]], str],
        to_ids: Callable[[str], list[int]],
    ) -> None:
        self.grammar = grammar
        self.to_text = to_text
        self.to_ids = to_ids

    def propose(self, said: Sequence[int]) -> list[int]:
        text = self.grammar.continuation(self.to_text(said))
        return self.to_ids(text) if text else []


class PreviousAnswer:
    """Drafts the answer to an earlier frame, re-aligned after every digit that changed.

    Args:
        previous: the earlier answer's tokens, with the token that ended it.
        to_text: the model's tokenizer.
        otherwise: what drafts once the answers have parted.
    """

    def __init__(
        self,
        previous: Sequence[int],
        to_text: Callable[[Sequence[int]], str],
        otherwise: GrammarDrafter,
    ) -> None:
        self.previous = list(previous)
        self.to_text = to_text
        self.otherwise = otherwise

    def propose(self, said: Sequence[int]) -> list[int]:
        place = self._aligned(said)
        if place is None:
            return self.otherwise.propose(said)
        return self.previous[place:]

    def _aligned(self, said: Sequence[int]) -> int | None:
        """Where the previous answer goes on after what was said; None if they have parted."""
        place = 0
        for token in said:
            expected = self.previous[place] if place < len(self.previous) else None
            if token == expected:
                place += 1
            elif self._is_digit(token):
                # A digit for a digit is a change; a digit for anything else made it longer.
                place += expected is not None and self._is_digit(expected)
            else:
                after_number = self._skip_number(place)
                if after_number >= len(self.previous) or self.previous[after_number] != token:
                    return None
                place = after_number + 1
        return place if place < len(self.previous) else None

    def _skip_number(self, place: int) -> int:
        while place < len(self.previous) and self._is_digit(self.previous[place]):
            place += 1
        return place

    def _is_digit(self, token: int) -> bool:
        return self.to_text([token]).strip().isdecimal()

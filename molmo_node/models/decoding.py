"""Greedy decoding in a fifth of the steps: draft, verify, stop.

What an answer will probably say next is drafted (the fixed parts of the answer's grammar, or
the answer to the previous frame), one forward computes the model's own choice at each drafted
place, and the longest prefix that agrees is kept, with one token more. A wrong draft costs
nothing but its own computation: the tokens are those of plain greedy decoding.

In float32 they are equal. In bf16 a forward of k tokens rounds differently from one of a
single token, so a choice between two nearly equal logits can flip, as in every speculative
decoder; `min_top2_margin` says how near the nearest choice was.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from molmo_node.errors import ModelError
from molmo_node.models.static_kv import Arena, Columns

# On the machines of docs/performance.md a forward of 200 tokens still costs as much as one.
LONGEST_DRAFT = 200

# Changes logits before the choice: [N, tokens] float, with the rows' numbers and the places
# of the chosen tokens in their answers ([N] int64 each). For benchmarks and tests.
LogitsHook = Callable[[Tensor, Tensor, Tensor], Tensor]


class Language(Protocol):
    """A model family's language half, over an arena."""

    vocabulary: int

    def hidden(self, tokens: Tensor, arena: Columns) -> Tensor:
        """Tokens [B, T] where the arena was told they stand → [B, T, hidden], normed."""
        ...

    def logits(self, hidden: Tensor) -> Tensor:
        """[N, hidden] → [N, vocabulary]: rows beyond the tokenizer are never produced."""
        ...


class Drafter(Protocol):
    """Guesses how an answer goes on."""

    def propose(self, said: Sequence[int]) -> list[int]:
        """Tokens that may follow what was said so far; empty: no guess."""
        ...


class NoDraft:
    """Plain greedy decoding."""

    def propose(self, said: Sequence[int]) -> list[int]:
        return []


@dataclass(frozen=True)
class Choice:
    """What the model chooses after one token, and by how much it beats the second best."""

    token: int
    margin: float


@dataclass
class Row:
    """One question's decoding.

    Args:
        question: its tokens, everything after the image block.
        drafter: guesses; `is_done` looks at the answer so far and says when it is complete.
        end_ids: tokens that end an answer and are not part of it.
        max_new: at most so many tokens.
    """

    question: Sequence[int]
    drafter: Drafter
    end_ids: frozenset[int]
    max_new: int
    is_done: Callable[[Sequence[int]], bool] = lambda _: False
    said: list[int] = field(default_factory=list)
    is_finished: bool = False
    is_truncated: bool = False
    has_ended: bool = False
    forwards: int = 0
    computed: int = 0
    drafted: int = 0
    accepted: int = 0
    min_margin: float = float("inf")
    _stored: int = 0
    _draft: list[int] = field(default_factory=list)

    def feed(self) -> list[int]:
        """The tokens of the next forward: what is not stored yet, and a draft."""
        known = list(self.question) if not self._stored else self.said[-1:]
        room = self.max_new - len(self.said) - 1
        self._draft = self.drafter.propose(self.said)[: max(min(room, LONGEST_DRAFT), 0)]
        return known + self._draft

    @property
    def start(self) -> int:
        """Where the next forward's first token stands, after the image block."""
        return self._stored

    @property
    def wanted(self) -> int:
        """How many of the fed tokens' choices are needed: the last known one's and on."""
        return len(self._draft) + 1

    def absorb(self, fed: int, choices: Sequence[Choice]) -> None:
        """Keep the choices up to and with the first that is not the draft's."""
        draft = self._draft
        self.computed += fed
        self.drafted += len(draft)
        self._stored += fed - len(draft)
        for place, choice in enumerate(choices):
            self.min_margin = min(self.min_margin, choice.margin)
            self._say(choice.token)
            agrees = place < len(draft) and choice.token == draft[place]
            self.accepted += agrees
            if self.is_finished or not agrees:
                return
            self._stored += 1

    def _say(self, token: int) -> None:
        if token in self.end_ids:
            self.has_ended = self.is_finished = True
            return
        self.said.append(token)
        if self.is_done(self.said):
            self.is_finished = True
        elif len(self.said) >= self.max_new:
            self.is_truncated = self.is_finished = True


class Verifier:
    """Runs forwards over an arena and reads the model's choices.

    Args:
        language: the model; arena: loaded with the frame's image block.
        hook: changes logits before the choice.
        forward: replaces `language.hidden`, with the same meaning (CUDA graphs).
    """

    def __init__(
        self,
        language: Language,
        arena: Arena,
        hook: LogitsHook | None = None,
        forward: Callable[[Tensor, Arena], Tensor] | None = None,
    ) -> None:
        self.language = language
        self.arena = arena
        self.hook = hook
        self.forward = forward or language.hidden

    @torch.inference_mode()
    def choices(self, rows: Sequence[Row], feeds: Sequence[list[int]]) -> list[list[Choice]]:
        """One forward; for each row the choices after its last `wanted` fed tokens."""
        longest = max(len(feed) for feed in feeds)
        padded = [feed + [0] * (longest - len(feed)) for feed in feeds]
        device = self.arena.keys[0].device
        tokens = torch.tensor(padded, device=device)
        self.arena.place([row.start for row in rows], longest)
        hidden = self.forward(tokens, self.arena)
        where = [
            (number, place)
            for number, (row, feed) in enumerate(zip(rows, feeds, strict=True))
            for place in range(len(feed) - row.wanted, len(feed))
        ]
        index = torch.tensor(where, device=hidden.device)
        logits = self.language.logits(hidden[index[:, 0], index[:, 1]])
        if self.hook is not None:
            said = [len(row.said) + i for row in rows for i in range(row.wanted)]
            logits = self.hook(logits, index[:, 0], torch.tensor(said, device=logits.device))
        return _by_row(rows, logits)

    def drop(self, rows: list[Row], target: int) -> None:
        """Take a finished row out; the last row moves to its place."""
        last = len(rows) - 1
        if target != last:
            self.arena.move_row(last, target, rows[last].start)
            rows[target] = rows[last]
        rows.pop()


def _by_row(rows: Sequence[Row], logits: Tensor) -> list[list[Choice]]:
    """Best tokens and their lead over the second, read with a single transfer.

    Raises:
        ModelError: a logit is not a number; greedy decoding would go on with nonsense.
    """
    logits = logits.float()
    best = logits.argmax(-1)
    top = logits.topk(2, dim=-1).values
    # A token id is exact in float32 up to 2**24, far beyond any vocabulary.
    flat = torch.stack([best.float(), top[:, 0] - top[:, 1]], dim=1).tolist()
    if any(not math.isfinite(margin) for _, margin in flat):
        raise ModelError(
            "the model's numbers are not finite",
            hint="float16 is too narrow for some checkpoints: --dtype bfloat16",
        )
    choices, first = [], 0
    for row in rows:
        part = flat[first : first + row.wanted]
        choices.append([Choice(int(token), float(margin)) for token, margin in part])
        first += row.wanted
    return choices


@dataclass(frozen=True)
class Spent:
    """Wall time of the questions' prefill and of the decoding after it, in milliseconds."""

    prefill_ms: float
    decode_ms: float


def decode(
    verifier: Verifier,
    rows: Sequence[Row],
    is_cancelled: Callable[[int], bool] = lambda _: False,
) -> Spent:
    """Answer all rows as one batch; each row holds its result and its counters afterwards.

    The questions go in with their first drafts in one forward (the prefill, not counted as a
    decode forward); every further forward serves all rows that are not finished.
    """
    numbers = {id(row): number for number, row in enumerate(rows)}
    active = list(rows)
    began = time.perf_counter()
    _step(verifier, active)
    prefilled = time.perf_counter()
    while True:
        for place in range(len(active) - 1, -1, -1):
            row = active[place]
            if row.is_finished or is_cancelled(numbers[id(row)]):
                verifier.drop(active, place)
        if not active:
            break
        for row in active:
            row.forwards += 1
        _step(verifier, active)
    ended = time.perf_counter()
    return Spent((prefilled - began) * 1e3, (ended - prefilled) * 1e3)


def _step(verifier: Verifier, active: Sequence[Row]) -> None:
    feeds = [row.feed() for row in active]
    for row, feed, choices in zip(active, feeds, verifier.choices(active, feeds), strict=True):
        row.absorb(len(feed), choices)

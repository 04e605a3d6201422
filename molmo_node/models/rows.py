"""A question made ready to decode: its tokens, its drafts and when it is answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from molmo_node.errors import ConfigError
from molmo_node.messages import Question, Task
from molmo_node.models.decoding import Drafter, NoDraft, Row
from molmo_node.models.drafts import GrammarDrafter, PreviousAnswer
from molmo_node.models.engine import Reply
from molmo_node.models.family import Family
from molmo_node.models.grammar import Grammar, grammar_for
from molmo_node.models.prompts import prompt_for

# The reference's evaluation gives pointing 192 and long counts 768.
_MAX_NEW: dict[Task, int] = {
    "point": 768,
    "count": 768,
    "read_clock": 32,
    "read_gauge": 48,
    "ask": 256,
    "describe": 448,
    "extract": 768,
}


def make_row(
    family: Family,
    question: Question,
    prefix_length: int,
    previous: str | None,
    *,
    full_text: bool,
    is_drafting: bool,
) -> Row | Reply:
    """The row of a question, or the reply that says why it cannot be asked.

    Args:
        prefix_length: of the image block it will be asked about.
        previous: the text expected, or None.
        full_text: decode to the end of the text instead of the last coordinate.
        is_drafting: False decodes one token a forward.
    """
    try:
        ids = family.question_ids(prompt_for(question, family.point_format))
    except ConfigError as exc:
        return Reply(no_answer=exc.message)
    room = family.max_positions - prefix_length - len(ids)
    if room < 1:
        return Reply(no_answer=f"the question is {len(ids)} tokens long, too long by {1 - room}")
    grammar = grammar_for(question, family.point_format, full_text=full_text)
    return Row(
        question=ids,
        drafter=_drafter(family, grammar, previous) if is_drafting else NoDraft(),
        end_ids=family.end_ids,
        max_new=min(_MAX_NEW[question.task], room),
        is_done=_done(family, grammar),
    )


def _done(family: Family, grammar: Grammar) -> Callable[[Sequence[int]], bool]:
    if not grammar.stops_early:
        return lambda _: False
    return lambda said: grammar.is_complete(family.answer_text(said))


def _drafter(family: Family, grammar: Grammar, previous: str | None) -> Drafter:
    drafter = GrammarDrafter(grammar, family.answer_text, family.answer_ids)
    if not previous:
        return drafter
    ids = [*family.answer_ids(family.answer_start + previous), min(family.end_ids)]
    return PreviousAnswer(ids, family.answer_text, drafter)

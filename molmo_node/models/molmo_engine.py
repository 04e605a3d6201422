"""Molmo and Molmo2 as an engine: look once at a picture, answer many questions about it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec
import numpy as np
import torch
from torch import Tensor

from molmo_node.errors import ConfigError, ModelError
from molmo_node.messages import TASKS, Question, Task, Timing, Work
from molmo_node.models.decoding import (
    LONGEST_DRAFT,
    Drafter,
    LogitsHook,
    NoDraft,
    Row,
    Spent,
    Verifier,
    decode,
)
from molmo_node.models.drafts import GrammarDrafter, PreviousAnswer
from molmo_node.models.engine import ImageHWC, Reply, never_cancelled
from molmo_node.models.family import Family, Look
from molmo_node.models.faults import guarded
from molmo_node.models.grammar import Grammar, grammar_for
from molmo_node.models.graphs import GraphedForward
from molmo_node.models.prompts import prompt_for
from molmo_node.models.replies import to_reply
from molmo_node.models.static_kv import Arena, PrefixKV, round_up

_FRAMES_KEPT = 3
# Graphs are bound to their arena, so it is made large enough for most batches and frames.
_GRAPH_ROWS = 4
_GRAPH_COLUMNS = 2560
_MAX_NEW: dict[Task, int] = {
    "point": 768,
    "count": 768,
    "read_clock": 32,
    "read_gauge": 48,
    "ask": 256,
    "describe": 448,
    "extract": 768,
}


@dataclass(eq=False)
class MolmoFrame:
    """A picture the model has looked at.

    `pixels` stay on the model's device: a byte-equal picture is the same frame, and a question
    that was answered on it is answered again without any forward.
    """

    width: int
    height: int
    pixels: Tensor
    look: Look
    timing: Timing
    work: Work
    replies: dict[tuple[Task, str], Reply] = field(default_factory=dict)


class MolmoEngine:
    """The `Engine` of the Molmo families.

    Args:
        family: the model with its processor.
        name: what answers name as their model.
        max_crops: crops besides the global one; None: the checkpoint's own number.
        full_text: decode to the end of the text instead of the last coordinate.
        is_drafting: False decodes one token a forward, for comparison.
        use_graphs: replay small forwards as CUDA graphs where the device can.
        hook: changes logits before the choice, for tests and benchmarks.
    """

    def __init__(
        self,
        family: Family,
        name: str,
        *,
        max_crops: int | None = None,
        full_text: bool = False,
        is_drafting: bool = True,
        use_graphs: bool = True,
        hook: LogitsHook | None = None,
    ) -> None:
        self.family = family
        self.name = name
        self.tasks: frozenset[Task] = frozenset(TASKS)
        self.max_crops = max_crops
        self.full_text = full_text
        self.is_drafting = is_drafting
        self.hook = hook
        self.forward = GraphedForward(family.language, family.device, is_wanted=use_graphs)
        self._frames: deque[MolmoFrame] = deque(maxlen=_FRAMES_KEPT)
        self._arena: Arena | None = None

    @property
    def execution(self) -> str:
        """How small forwards run: ``cuda graphs``, or ``eager`` and why."""
        return self.forward.state

    def encode(self, image_hwc: ImageHWC) -> MolmoFrame:
        """Cut, look and prefill; a byte-equal recent picture gives its frame again.

        Raises:
            ModelError: out of memory even with fewer crops; or no picture.
            DeviceLost: the accelerator is gone.
        """
        began = time.perf_counter()
        pixels, copied_bytes = _upload(image_hwc, self.family.device)
        for frame in self._frames:
            if frame.pixels.shape == pixels.shape and torch.equal(frame.pixels, pixels):
                return frame
        crops = [self.max_crops, _fewer(self.max_crops)]
        look, prepared = guarded(
            [partial(self._look, pixels, limit) for limit in crops],
            self._free,
            "looking at the picture",
        )
        ended = time.perf_counter()
        frame = MolmoFrame(
            width=image_hwc.shape[1],
            height=image_hwc.shape[0],
            pixels=pixels,
            look=look,
            timing=Timing(prepare=(prepared - began) * 1e3, prefill=(ended - prepared) * 1e3),
            work=Work(
                vision_forwards=1,
                crops=look.crops,
                lm_tokens_computed=look.prefix.length,
                h2d_bytes=pixels.nbytes,
                host_copies_bytes=copied_bytes,
            ),
        )
        self._frames.append(frame)
        return frame

    def _look(self, pixels: Tensor, max_crops: int | None) -> tuple[Look, float]:
        try:
            cut = self.family.cut(pixels, max_crops)
        except ConfigError as exc:
            raise ModelError(exc.message, hint=exc.hint) from exc
        prepared = time.perf_counter()
        look = self.family.look(cut)
        _wait_for(self.family.device)
        return look, prepared

    def ask(
        self,
        frame: MolmoFrame,
        questions: Sequence[Question],
        drafts: Sequence[str | None] = (),
        is_cancelled: Callable[[int], bool] = never_cancelled,
    ) -> list[Reply]:
        """Answer as one batch. The first reply on a frame carries the frame's own work.

        Raises:
            ModelError: out of memory even one by one.
            DeviceLost: the accelerator is gone.
        """
        previous = list(drafts) or [None] * len(questions)
        replies: list[Reply | None] = [self._known(frame, question) for question in questions]
        new = [number for number, reply in enumerate(replies) if reply is None]
        if new:
            answer = partial(self._answer_parts, frame, questions, previous, is_cancelled)
            one_by_one = [[number] for number in new]
            answered = guarded(
                [partial(answer, [new]), partial(answer, one_by_one)], self._free, "answering"
            )
            for number, reply in answered.items():
                replies[number] = reply
        return [reply for reply in replies if reply is not None]

    def _known(self, frame: MolmoFrame, question: Question) -> Reply | None:
        reply = frame.replies.get(_key(question))
        if reply is None:
            return None
        return msgspec.structs.replace(reply, timing_ms=Timing(), work=Work())

    def _answer_parts(
        self,
        frame: MolmoFrame,
        questions: Sequence[Question],
        previous: Sequence[str | None],
        is_cancelled: Callable[[int], bool],
        parts: Sequence[Sequence[int]],
    ) -> dict[int, Reply]:
        """Answer the questions with these numbers, batch by batch."""
        replies: dict[int, Reply] = {}
        for part in parts:
            rows = {
                number: self._row(frame, questions[number], previous[number]) for number in part
            }
            fitting = {number: row for number, row in rows.items() if isinstance(row, Row)}
            numbers = list(fitting)
            spent = self._decode(frame, list(fitting.values()), numbers, is_cancelled)
            for number, row in rows.items():
                reply = (
                    row if isinstance(row, Reply) else self._reply(frame, questions[number], row)
                )
                replies[number] = self._account(frame, row, reply, spent)
                is_whole = isinstance(row, Row) and row.is_finished
                if is_whole:
                    frame.replies[_key(questions[number])] = replies[number]
        return replies

    def _row(self, frame: MolmoFrame, question: Question, previous: str | None) -> Row | Reply:
        """A question made ready to decode, or the reply that says why it cannot be asked."""
        family = self.family
        try:
            ids = family.question_ids(prompt_for(question, family.point_format))
        except ConfigError as exc:
            return Reply(no_answer=exc.message)
        room = family.max_positions - frame.look.prefix.length - len(ids)
        if room < 1:
            return Reply(
                no_answer=f"the question is {len(ids)} tokens long, too long by {1 - room}"
            )
        grammar = grammar_for(question, family.point_format, full_text=self.full_text)
        return Row(
            question=ids,
            drafter=self._drafter(grammar, previous),
            end_ids=family.end_ids,
            max_new=min(_MAX_NEW[question.task], room),
            is_done=self._done(grammar),
        )

    def _done(self, grammar: Grammar) -> Callable[[Sequence[int]], bool]:
        if not grammar.stops_early:
            return lambda _: False
        return lambda said: grammar.is_complete(self.family.answer_text(said))

    def _drafter(self, grammar: Grammar, previous: str | None) -> Drafter:
        if not self.is_drafting:
            return NoDraft()
        family = self.family
        drafter = GrammarDrafter(grammar, family.answer_text, family.answer_ids)
        if not previous:
            return drafter
        ids = [*family.answer_ids(family.answer_start + previous), min(family.end_ids)]
        return PreviousAnswer(ids, family.answer_text, drafter)

    def _decode(
        self,
        frame: MolmoFrame,
        rows: list[Row],
        numbers: Sequence[int],
        is_cancelled: Callable[[int], bool],
    ) -> Spent:
        """Decode rows as one batch; `numbers` are their questions' for `is_cancelled`."""
        if not rows:
            return Spent(0.0, 0.0)
        prefix = frame.look.prefix
        longest = max(len(row.question) + row.max_new for row in rows)
        # A row near its end may be fed beside one with a long draft: room for that padding.
        columns = round_up(prefix.length + longest + LONGEST_DRAFT + 2)
        arena = self._arena_for(prefix, len(rows), columns)
        arena.load(prefix, len(rows))
        verifier = Verifier(self.family.language, arena, self.hook, self.forward)
        return decode(verifier, rows, lambda place: is_cancelled(numbers[place]))

    def _arena_for(self, prefix: PrefixKV, rows: int, columns: int) -> Arena:
        """The arena, made anew where it is too small; with it go the graphs captured on it."""
        if self._arena is not None and self._arena.fits(rows, columns, prefix):
            return self._arena
        if self.forward.is_graphed:
            rows, columns = max(rows, _GRAPH_ROWS), max(columns, _GRAPH_COLUMNS)
        self._arena = None
        self.forward.forget()
        self._arena = Arena(prefix, rows, columns)
        return self._arena

    def _reply(self, frame: MolmoFrame, question: Question, row: Row) -> Reply:
        text = self.family.answer_text(row.said).strip()
        return to_reply(
            question,
            text,
            self.family.point_format,
            frame.width,
            frame.height,
            is_truncated=row.is_truncated,
        )

    def _account(self, frame: MolmoFrame, row: Row | Reply, reply: Reply, spent: Spent) -> Reply:
        """Add what it took; the frame's own work goes to the first reply that is made on it."""
        first, frame.work = frame.work, Work()
        timing, frame.timing = frame.timing, Timing()
        prefill = timing.prefill + spent.prefill_ms
        work = first if isinstance(row, Reply) else _work(row, first, frame.look.prefix.length)
        total = timing.prepare + prefill + spent.decode_ms
        times = Timing(prepare=timing.prepare, prefill=prefill, decode=spent.decode_ms, total=total)
        return msgspec.structs.replace(reply, work=work, timing_ms=times)

    def warm_up(self) -> None:
        """Look at a grey picture and answer once, so that the first question is not slower."""
        grey = np.full((480, 640, 3), 128, dtype=np.uint8)
        self.ask(self.encode(grey), [Question.read_clock()])
        if self._arena is not None:
            self.forward.prepare(self._arena)
        self._frames.clear()

    def _free(self) -> None:
        """Give back what can be made again."""
        self._frames.clear()
        self._arena = None
        self.forward.forget()
        if self.family.device.type == "cuda":
            torch.cuda.empty_cache()

    def close(self) -> None:
        """Free the model's memory."""
        self._free()
        del self.family


def _key(question: Question) -> tuple[Task, str]:
    return question.task, f"{question.text}\n{question.schema or ''}"


def _fewer(max_crops: int | None) -> int:
    """The crops of a second try: a third."""
    return max((max_crops or 12) // 3, 1)


def _work(row: Row, first: Work, prefix_length: int) -> Work:
    is_first = first.lm_tokens_computed > 0
    return msgspec.structs.replace(
        first,
        decode_forwards=row.forwards,
        lm_tokens_computed=first.lm_tokens_computed + row.computed,
        lm_tokens_reused=0 if is_first else prefix_length,
        draft_tokens=row.drafted,
        draft_accepted=row.accepted,
        min_top2_margin=row.min_margin if row.min_margin != float("inf") else None,
    )


def _upload(image_hwc: ImageHWC, device: torch.device) -> tuple[Tensor, int]:
    """The picture on the device, uint8, and how many bytes were copied on the host for it."""
    if image_hwc.ndim != 3 or image_hwc.shape[2] != 3 or image_hwc.dtype != np.uint8:
        raise ModelError(f"a picture is (H, W, 3) uint8, not {image_hwc.shape} {image_hwc.dtype}")
    copied = 0
    if not image_hwc.flags.writeable or not image_hwc.flags.c_contiguous:
        # torch cannot wrap read-only or strided memory without a copy.
        image_hwc = np.array(image_hwc, order="C")
        copied = image_hwc.nbytes
    host = torch.from_numpy(image_hwc)
    return (host.clone() if device.type == "cpu" and not copied else host.to(device)), copied


def _wait_for(device: torch.device) -> Any:
    return torch.cuda.synchronize(device) if device.type == "cuda" else None

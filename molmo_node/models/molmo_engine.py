"""Molmo and Molmo2 as an engine: look once at a picture, answer many questions about it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from molmo_node.errors import ConfigError, ModelError
from molmo_node.messages import TASKS, Question, Task, Timing, Work
from molmo_node.models.decoding import LONGEST_DRAFT, LogitsHook, Row, Spent, Verifier, decode
from molmo_node.models.engine import ImageHWC, Reply, never_cancelled
from molmo_node.models.family import Family, Look
from molmo_node.models.faults import guarded
from molmo_node.models.frames import MolmoFrame, upload
from molmo_node.models.graphs import GraphedForward
from molmo_node.models.replies import to_reply
from molmo_node.models.rows import make_row
from molmo_node.models.static_kv import Arena, PrefixKV, round_up

_FRAMES_KEPT = 3
# Graphs are bound to their arena, so it is made large enough for most batches and frames.
_GRAPH_ROWS = 4
_GRAPH_COLUMNS = 2560


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
        send = partial(self._send, image_hwc)
        pixels, copied_bytes, same = guarded([send, send], self._free, "sending the picture")
        if same is not None:
            return same
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

    def _send(self, image_hwc: ImageHWC) -> tuple[Tensor, int, MolmoFrame | None]:
        """The picture on the device, the bytes copied for it, and its frame if it is known."""
        pixels, copied_bytes = upload(image_hwc, self.family.device)
        for frame in self._frames:
            if frame.pixels.shape == pixels.shape and torch.equal(frame.pixels, pixels):
                return pixels, copied_bytes, frame
        return pixels, copied_bytes, None

    def _look(self, pixels: Tensor, max_crops: int | None) -> tuple[Look, float]:
        try:
            cut = self.family.cut(pixels, max_crops)
        except ConfigError as exc:
            raise ModelError(exc.message, hint=exc.hint) from exc
        _wait_for(self.family.device)
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
        replies: list[Reply | None] = [frame.known(question) for question in questions]
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
                replies[number] = frame.account(row, reply, spent)
                is_whole = isinstance(row, Row) and row.is_finished
                if is_whole:
                    frame.remember(questions[number], replies[number])
        return replies

    def _row(self, frame: MolmoFrame, question: Question, previous: str | None) -> Row | Reply:
        return make_row(
            self.family,
            question,
            frame.look.prefix.length,
            previous,
            full_text=self.full_text,
            is_drafting=self.is_drafting,
        )

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
        try:
            return decode(verifier, rows, lambda place: is_cancelled(numbers[place]))
        except ModelError:
            # Numbers that are not finite must not stay behind masks: 0 times them is not 0.
            self._arena = None
            self.forward.forget()
            raise

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


def _fewer(max_crops: int | None) -> int:
    """The crops of a second try: a third."""
    return max((max_crops or 12) // 3, 1)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)

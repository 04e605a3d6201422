"""A picture the model has looked at, and the account of what that took."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import numpy as np
import torch
from torch import Tensor

from molmo_node.errors import ModelError
from molmo_node.messages import Question, Task, Timing, Work
from molmo_node.models.decoding import Row, Spent
from molmo_node.models.engine import ImageHWC, Reply
from molmo_node.models.family import Look


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

    def known(self, question: Question) -> Reply | None:
        """The answer that this picture and question had before, at no cost."""
        reply = self.replies.get(_key(question))
        if reply is None:
            return None
        return msgspec.structs.replace(reply, timing_ms=Timing(), work=Work())

    def remember(self, question: Question, reply: Reply) -> None:
        """Keep an answer for the same question on a byte-equal picture."""
        self.replies[_key(question)] = reply

    def account(self, row: Row | Reply, reply: Reply, spent: Spent) -> Reply:
        """Add what it took; the picture's own work goes to the first reply made on it."""
        first, self.work = self.work, Work()
        timing, self.timing = self.timing, Timing()
        prefill = timing.prefill + spent.prefill_ms
        work = first if isinstance(row, Reply) else _work(row, first, self.look.prefix.length)
        total = timing.prepare + prefill + spent.decode_ms
        times = Timing(prepare=timing.prepare, prefill=prefill, decode=spent.decode_ms, total=total)
        return msgspec.structs.replace(reply, work=work, timing_ms=times)


def _key(question: Question) -> tuple[Task, str]:
    return question.task, f"{question.text}\n{question.schema or ''}"


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


def upload(image_hwc: ImageHWC, device: torch.device) -> tuple[Tensor, int]:
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

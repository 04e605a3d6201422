"""Count and time decoding on random weights with scripted answers, beside HF generate.

    python tools/bench_decode.py --layers 28 --hidden 64 --rounds 10

Counts are the same on every machine. Times are of this process only: the two ways take turns
(A B A B …), the best round of each counts, CPU time on the CPU with one thread; report the
ratio, not the milliseconds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList

from molmo_node.messages import Question
from molmo_node.models.family import MolmoFamily
from molmo_node.models.molmo import MolmoForConditionalGeneration, MolmoProcessor
from molmo_node.models.molmo_engine import MolmoEngine
from tools.make_tiny_molmo import make

LEAD = 1e4
LABEL = "red mug"
ANSWERS = {
    "one point": (Question.point(LABEL), ' <point x="43.1" y="55.0" alt="red mug">red mug</point>'),
    "three points": (
        Question.point(LABEL),
        ' <points x1="10.0" y1="20.5" x2="30.1" y2="44.9" x3="84.5" y3="51.0" alt="red mug">'
        "red mug</points>",
    ),
    "clock": (Question.read_clock(), " The time shown is 10:15:30 AM"),
    "refusal": (Question.point(LABEL), " This isn't in the image."),
    "free text": (Question.ask("what is it?"), " The image shows cup on a table next to bolt."),
}


class ScriptedChoice(LogitsProcessor):
    """Makes HF generate say a given answer, as the engine's hook does."""

    def __init__(self, ids: Sequence[int], prompt_length: int) -> None:
        self.ids = list(ids)
        self.prompt_length = prompt_length

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        place = input_ids.shape[1] - self.prompt_length
        scores[:, self.ids[min(place, len(self.ids) - 1)]] += LEAD
        return scores


def scripted_hook(ids: Sequence[int]) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """The engine's hook for an answer."""
    script = torch.tensor(list(ids))

    def hook(logits: Tensor, _rows: Tensor, places: Tensor) -> Tensor:
        wanted = script.to(logits.device)[places.clamp(max=len(ids) - 1)]
        logits[torch.arange(len(logits), device=logits.device), wanted] += LEAD
        return logits

    return hook


class Bench:
    """One tiny model, one picture, one answer at a time, in two ways."""

    def __init__(self, folder: Path, picture: np.ndarray[Any, Any], max_crops: int) -> None:
        self.model = MolmoForConditionalGeneration.from_pretrained(folder).eval()
        self.processor = MolmoProcessor.from_pretrained(folder)
        self.family = MolmoFamily(self.model, self.processor)
        self.engine = MolmoEngine(self.family, "bench", max_crops=max_crops)
        self.picture = picture
        self.max_crops = max_crops

    def script(self, text: str) -> list[int]:
        """An answer's tokens with the end."""
        return [*self.family.answer_ids(text), min(self.family.end_ids)]

    def ours(self, question: Question, ids: Sequence[int], previous: str | None = None) -> Any:
        """The reply, decoded anew on the picture's ready image block."""
        self.engine.hook = scripted_hook(ids)
        frame = self.engine.encode(self.picture)
        frame.replies.clear()
        return self.engine.ask(frame, [question], [previous])[0]

    def decode_seconds(self, question: Question, ids: Sequence[int]) -> tuple[float, float]:
        """CPU seconds of a scripted answer, and of the question's prefill alone."""
        spent = []
        for script in (ids, ids[-1:]):  # the second ends at once
            self.engine.hook = scripted_hook(script)
            frame = self.engine.encode(self.picture)
            frame.replies.clear()
            began = time.process_time()
            self.engine.ask(frame, [question])
            spent.append(time.process_time() - began)
        return spent[0], spent[1]

    @torch.no_grad()
    def generate_seconds(
        self, prompt: str, ids: Sequence[int], cache: str | None
    ) -> tuple[float, float]:
        """CPU seconds of HF generate for the same tokens, and of its prefill alone."""
        inputs = self.processor(images=[self.picture], text=prompt, max_crops=self.max_crops)
        length = inputs["input_ids"].shape[1]
        spent = []
        for tokens in (len(ids), 1):
            hook = LogitsProcessorList([ScriptedChoice(ids, length)])
            options = {} if cache is None else {"cache_implementation": cache}
            began = time.process_time()
            said = self.model.generate(
                **inputs,
                max_new_tokens=tokens,
                do_sample=False,
                logits_processor=hook,
                eos_token_id=None,
                **options,
            )
            spent.append(time.process_time() - began)
            if said[0, length:].tolist() != list(ids)[:tokens]:
                raise RuntimeError("HF generate did not say the scripted answer")
        return spent[0], spent[1]


def counts(bench: Bench) -> dict[str, dict[str, int]]:
    """Forwards and tokens of every scripted answer: naive, first time, and unchanged."""
    rows = {}
    for name, (question, text) in ANSWERS.items():
        ids = bench.script(text)
        first = bench.ours(question, ids)
        again = bench.ours(question, ids, first.text)
        rows[name] = {
            "answer_tokens": len(ids) - 1,
            "naive_forwards": len(ids) - 1,
            "forwards": first.work.decode_forwards,
            "forwards_unchanged": again.work.decode_forwards,
            "lm_tokens": first.work.lm_tokens_computed,
        }
    return rows


def ratio(bench: Bench, rounds: int, cache: str | None = None) -> dict[str, float]:
    """Decode time of HF generate over ours for one point, from interleaved rounds.

    Each is its best whole answer less its best prefill: the best of the differences would be
    one whose prefill was disturbed.
    """
    question, text = ANSWERS["one point"]
    ids = bench.script(text)
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(bench.decode_seconds(question, ids))
        theirs.append(bench.generate_seconds(f"Point to {LABEL}.", ids, cache))
    ours_s, theirs_s = (
        min(whole for whole, _ in spans) - min(prefill for _, prefill in spans)
        for spans in (ours, theirs)
    )
    return {
        "hf_generate_ms": theirs_s * 1e3,
        "ours_ms": ours_s * 1e3,
        "ratio": theirs_s / ours_s,
    }


def main() -> None:
    """Run and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--layers", type=int, default=28)
    parser.add_argument("--hidden", type=int, default=64, metavar="WIDTH")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--max-crops", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    picture = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as scratch:
        folder = make(Path(scratch), layers=options.layers, hidden=options.hidden)
        bench = Bench(folder, picture, options.max_crops)
        result = {
            "layers": options.layers,
            "hidden": options.hidden,
            "counts": counts(bench),
            "one_point_decode": ratio(bench, options.rounds),
        }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()

"""Time every row of the GPU table of docs/performance.md; JSON out, the device named.

    python tools/bench_gpu.py --out gpu.json                 # random 7B-D weights made on the card
    python tools/bench_gpu.py --tiny --device cpu --quick    # smoke test, no figures of interest

Weights are random (seeded, made on the device: nothing is downloaded), answers are scripted by
a bias on the logits, so all compute is real. Wall time, the device synchronised around it.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import LogitsProcessorList

from molmo_node.messages import Question
from molmo_node.models.family import MolmoFamily
from molmo_node.models.molmo import (
    MolmoConfig,
    MolmoForConditionalGeneration,
    MolmoImageProcessor,
    MolmoProcessor,
)
from molmo_node.models.molmo_engine import MolmoEngine
from molmo_node.models.static_kv import Arena, round_up
from tools.bench_decode import ScriptedChoice, scripted_hook
from tools.make_tiny_molmo import config_keys, make_tokenizer

VERIFY_LENGTHS = (1, 2, 4, 8, 16, 24, 64)
ANSWER = ' <point x="43.1" y="55.0" alt="red mug">red mug</point>'
THINGS = ["red mug", "blue valve", "cup", "bolt", "gauge", "green cable", "screws", "gauges"]
_FULL = {
    "model_type": "molmo",
    "vocab_size": 152064,
    "embedding_size": 152064,
    "hidden_size": 3584,
    "intermediate_size": 37888,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "max_position_embeddings": 4096,
    "layer_norm_eps": 1e-6,
    "rope_theta": 1e6,
    "qkv_bias": True,
}


def build(is_tiny: bool, device: str, dtype: torch.dtype) -> MolmoFamily:
    """Molmo-7B-D (or a tiny one) with seeded random weights made on the device."""
    keys = config_keys("7b-d", 2, 64, 1024) if is_tiny else _FULL
    config = MolmoConfig.from_dict(keys)
    with torch.device("meta"):
        model = MolmoForConditionalGeneration(config)
    model = model.to(dtype).to_empty(device=device)
    generator = torch.Generator(device=device).manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("norm.weight", "ln_f.weight", "pre_ln.weight")):
                parameter.fill_(1.0)
            elif parameter.ndim == 1:
                parameter.zero_()
            else:
                parameter.normal_(std=parameter.shape[-1] ** -0.5, generator=generator)
    # A small tokenizer: its ids are rows of the large table like any others.
    processor = MolmoProcessor(
        MolmoImageProcessor(max_crops=1 if is_tiny else 12), make_tokenizer("7b-o", 1024)
    )
    family = MolmoFamily(model, processor)
    family.language.vocabulary = config.embedding_size
    return family


class Timer:
    """Wall time of calls, the device being idle before and after each."""

    def __init__(self, device: torch.device, repeats: int) -> None:
        self.device = device
        self.repeats = repeats

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def once_ms(self, call: Callable[[], Any]) -> float:
        self.wait()
        began = time.perf_counter()
        call()
        self.wait()
        return (time.perf_counter() - began) * 1e3

    def stats(self, call: Callable[[], Any], repeats: int | None = None) -> dict[str, float]:
        """p50, p99 and best of the repeats, after two unmeasured calls (none if quick)."""
        for _ in range(2 if self.repeats > 2 else 0):
            call()
        times = sorted(self.once_ms(call) for _ in range(repeats or self.repeats))
        p99 = times[min(int(len(times) * 0.99), len(times) - 1)]
        return {"p50_ms": statistics.median(times), "p99_ms": p99, "best_ms": times[0]}


def noise(width: int, height: int, seed: int) -> np.ndarray[Any, Any]:
    """A picture that no other seed gives."""
    shape = (height, width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


class Fresh:
    """Pictures of one size, all different: no cache can help."""

    def __init__(self, width: int, height: int) -> None:
        self.picture = noise(width, height, 0)
        self.number = 0

    def __call__(self) -> np.ndarray[Any, Any]:
        self.number += 1
        self.picture[0, 0] = (self.number % 256, self.number // 256 % 256, 7)
        return self.picture


@torch.inference_mode()
def vision_rows(family: MolmoFamily, timer: Timer) -> dict[str, Any]:
    """Frame preparation, tower with connector, and prefill, for both frame sizes."""
    rows: dict[str, Any] = {}
    for name, (width, height) in {"1080p": (1920, 1080), "640x480": (640, 480)}.items():
        host = torch.from_numpy(noise(width, height, 1))
        cut = family.cut(host.to(family.device), None)
        crops, mask, _ = cut

        def tower(crops: Any = crops, mask: Any = mask) -> Any:
            return family.model.image_features(crops[None], mask[None])

        rows[f"prepare {name} (with H2D)"] = timer.stats(
            lambda host=host: family.cut(host.to(family.device), None)
        )
        rows[f"tower+connector, {len(crops)} crops"] = timer.stats(tower)
        whole = timer.stats(lambda cut=cut: family.look(cut))
        length = family.look(cut).prefix.length
        rows[f"tower+connector+prefill of {length} tokens"] = whole
    return rows


@torch.inference_mode()
def forward_rows(engine: MolmoEngine, timer: Timer) -> dict[str, Any]:
    """The forward of k tokens at a context of a 720p frame, eager and as the engine runs it."""
    family, rows = engine.family, {}
    prefix = family.look(family.cut(torch.from_numpy(noise(1280, 720, 2)), None)).prefix
    arena = Arena(prefix, 1, round_up(prefix.length + 512))
    arena.load(prefix, 1)
    for tokens in VERIFY_LENGTHS:
        ids = torch.zeros(1, tokens, dtype=torch.int64, device=family.device)

        def eager(ids: Any = ids, tokens: int = tokens) -> Any:
            arena.place([20], tokens)
            return family.language.logits(family.language.hidden(ids, arena)[0])

        def graphed(ids: Any = ids, tokens: int = tokens) -> Any:
            arena.place([20], tokens)
            return family.language.logits(engine.forward(ids, arena)[0])

        rows[f"k={tokens}"] = {"eager": timer.stats(eager), engine.execution: timer.stats(graphed)}
    engine.forward.forget()
    return rows


def answer_rows(engine: MolmoEngine, timer: Timer) -> dict[str, Any]:
    """Frame bytes in, coordinates out; and questions on a frame that is already looked at."""
    family, rows = engine.family, {}
    engine.hook = scripted_hook([*family.answer_ids(ANSWER), min(family.end_ids)])
    question, previous = Question.point("red mug"), ANSWER.strip()
    for name, size in {"720p": (1280, 720), "640x480": (640, 480)}.items():
        fresh = Fresh(*size)
        rows[f"{name}, one point"] = timer.stats(
            lambda fresh=fresh: engine.ask(engine.encode(fresh()), [question])
        )
        rows[f"{name}, target unchanged"] = timer.stats(
            lambda fresh=fresh: engine.ask(engine.encode(fresh()), [question], [previous])
        )
    frame = engine.encode(noise(1280, 720, 3))

    def again(questions: Sequence[Question]) -> Any:
        frame.replies.clear()
        return engine.ask(frame, questions)

    rows["720p, question on a prefilled frame"] = timer.stats(lambda: again([question]))
    eight = [Question.point(thing) for thing in THINGS]
    fresh = Fresh(1280, 720)
    rows["720p, 8 questions on one frame"] = timer.stats(
        lambda: engine.ask(engine.encode(fresh()), eight)
    )
    work = again([question])[0].work
    rows["decode_forwards, one point"] = work.decode_forwards
    return rows


def peer_rows(engine: MolmoEngine, timer: Timer, repeats: int) -> dict[str, Any]:
    """HF generate on the same weights and inputs, without the processor."""
    family, rows = engine.family, {}
    model = family.model
    inputs = family.processor(images=[noise(1280, 720, 4)], text="Point to red mug.")
    inputs = {name: value.to(family.device) for name, value in inputs.items()}
    inputs["images"] = inputs["images"].to(model.dtype)
    ids = [*family.answer_ids(ANSWER), min(family.end_ids)]
    length = inputs["input_ids"].shape[1]
    kinds = {"eager": {}, "static+compile": {"cache_implementation": "static"}}
    if family.device.type != "cuda":
        del kinds["static+compile"]  # the library compiles on accelerators only
    for name, options in kinds.items():

        def generate(options: dict[str, Any] = options) -> Any:
            return model.generate(
                **inputs,
                max_new_tokens=len(ids),
                do_sample=False,
                eos_token_id=None,
                logits_processor=LogitsProcessorList([ScriptedChoice(ids, length)]),
                **options,
            )

        rows[f"generate {name}"] = timer.stats(generate, repeats)
    return rows


def token_equality(engine: MolmoEngine, prompts: int) -> dict[str, Any]:
    """Share of free answers whose tokens equal those of one-token steps, and the nearest miss."""
    family = engine.family
    plain = MolmoEngine(family, "plain", is_drafting=False, use_graphs=False)
    engine.hook = None
    equal, flips = 0, []
    picture = noise(640, 480, 5)
    frames = engine.encode(picture), plain.encode(picture)
    for number in range(prompts):
        question = Question.read_gauge(f"number {number}")
        want = plain.ask(frames[1], [question])[0]
        got = engine.ask(frames[0], [question], [want.text])[0]
        equal += got.text == want.text
        if got.text != want.text:
            flips.append(min(got.work.min_top2_margin or 0.0, want.work.min_top2_margin or 0.0))
    return {"prompts": prompts, "equal": equal, "margins_of_flips": flips}


def device_name(device: torch.device) -> str:
    """The device as its maker names it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.processor() or platform.machine()} ({device.type})"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all rows and write one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float32"])
    parser.add_argument("--tiny", action="store_true", help="a tiny model, to test this tool")
    parser.add_argument("--quick", action="store_true", help="2 repeats instead of 50")
    parser.add_argument("--out", type=Path, help="also write the JSON here")
    options = parser.parse_args(arguments)
    repeats = 2 if options.quick else 50
    family = build(options.tiny, options.device, getattr(torch, options.dtype))
    engine = MolmoEngine(family, "bench")
    timer = Timer(family.device, repeats)
    result = {
        "device": device_name(family.device),
        "torch": torch.__version__,
        "dtype": options.dtype,
        "model": "tiny" if options.tiny else "Molmo-7B-D shape, random weights",
        "execution": engine.execution,
        "vision": vision_rows(family, timer),
        "forwards": forward_rows(engine, timer),
        "answers": answer_rows(engine, timer),
        "peers": peer_rows(engine, timer, 2 if options.quick else 10),
        "token_equality": token_equality(engine, 2 if options.quick else 200),
    }
    text = json.dumps(result, indent=2)
    if options.out is not None:
        options.out.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()

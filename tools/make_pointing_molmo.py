"""Make a tiny Molmo that really points: somewhere, depending on the picture.

    python tools/make_pointing_molmo.py /tmp/pointing

Its weights are set by hand, not trained: a chain of states says the fixed text of a pointing
answer, and which numbers stand in it follows from the average of the picture's features. So
a whole node can be tested with real forwards and an answer that a wrong picture changes. It
knows nothing about what is in the picture.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import AddedToken
from transformers import PreTrainedTokenizerFast

from molmo_node.models.molmo import (
    MolmoConfig,
    MolmoForConditionalGeneration,
    MolmoProcessor,
)
from tools.make_tiny_molmo import (
    config_keys,
    make_tokenizer,
    preprocessor_keys,
    random_tensors,
    save_shards,
)

_HIDDEN, _EMBEDDING, _LAYERS = 64, 1024, 2
_OPEN, _MIDDLE, _CLOSE = ' <point x="', '" y="', '" alt="disc">disc</point>'
_X_VALUES = [f"{6 * n + 3}.{n % 10}" for n in range(16)]
_Y_VALUES = [f"{6 * n + 4}.{(n + 3) % 10}" for n in range(16)]
_STATE_STRENGTH, _CHAIN_STRENGTH = 8.0, 12.0
_SAMPLE_PICTURES, _SAMPLE_DIRECTIONS = 24, 6


def make_pointing_tokenizer() -> PreTrainedTokenizerFast:
    """The tiny tokenizer with the parts of an answer, and the numbers, as single tokens."""
    tokenizer = make_tokenizer("7b-o", 900)
    parts = [_OPEN, _MIDDLE, _CLOSE, *_X_VALUES, *_Y_VALUES]
    tokenizer.add_tokens([AddedToken(part, normalized=False, special=False) for part in parts])
    return tokenizer


def _states(tokenizer: PreTrainedTokenizerFast) -> list[list[int]]:
    """Tokens that put the answer into each state; the next state's are said next."""
    ids = tokenizer.convert_tokens_to_ids
    colon = tokenizer.encode(" User: x Assistant:", add_special_tokens=False)[-1]
    return [
        [colon],
        [ids(_OPEN)],
        ids(_X_VALUES),
        [ids(_MIDDLE)],
        ids(_Y_VALUES),
        [ids(_CLOSE)],
        [tokenizer.eos_token_id],
    ]


def pointing_tensors(
    config: MolmoConfig, tokenizer: PreTrainedTokenizerFast, seed: int
) -> dict[str, torch.Tensor]:
    """Random weights, bent into the chain of states."""
    tensors = random_tensors(config, seed)
    states = _states(tokenizer)
    reserved = len(states)
    for layer in range(config.num_hidden_layers):
        block = f"model.transformer.blocks.{layer}."
        tensors[block + "ff_out.weight"].zero_()
        tensors[block + "attn_out.weight"] *= 1.0 if layer == 0 else 0.0
        tensors[block + "attn_out.weight"][:reserved] = 0.0
        # No queries and no keys: every token sees the average of all before it.
        looked = config.hidden_size + config.num_key_value_heads * config.head_dim
        tensors[block + "att_proj.weight"][:looked] = 0.0
        tensors[block + "att_proj.bias"][:looked] = 0.0
    embedding = tensors["model.transformer.wte.embedding"]
    embedding *= 0.1
    embedding[:, :reserved] = 0.0
    head = tensors["model.transformer.ff_out.weight"]
    head.zero_()
    for state, tokens in enumerate(states):
        embedding[tokens] = 0.0
        embedding[tokens, state] = _STATE_STRENGTH
        if state:
            head[tokens, state - 1] = _CHAIN_STRENGTH
    tensors["model.transformer.ln_f.weight"].fill_(1.0)
    return tensors


def _sample(number: int) -> np.ndarray[Any, Any]:
    """A picture of a few coloured blocks."""
    blocks = np.random.RandomState(number).randint(0, 256, (3, 4, 3)).astype(np.uint8)
    return blocks.repeat(32, axis=0).repeat(32, axis=1)


@torch.no_grad()
def picture_directions(folder: Path, states: list[list[int]], seed: int) -> torch.Tensor:
    """Head rows [16, hidden] that tell pictures apart.

    The hidden states of sample pictures differ in a few directions; each number gets a
    random mix of those, without what all pictures have in common.
    """
    model = MolmoForConditionalGeneration.from_pretrained(folder)
    processor = MolmoProcessor.from_pretrained(folder)
    hidden = []
    for number in range(_SAMPLE_PICTURES):
        inputs = processor(images=[_sample(number)], text="x", max_crops=1)
        inputs["input_ids"] = torch.cat([inputs["input_ids"], torch.tensor([states[1]])], dim=1)
        del inputs["attention_mask"]
        hidden.append(model(**inputs, output_hidden_states=True).hidden_states[-1][0, -1])
    seen = torch.stack(hidden)
    seen[:, : len(states)] = 0.0
    mean = seen.mean(0)
    _, spread, axes = torch.linalg.svd(seen - mean, full_matrices=False)
    axes = axes[:_SAMPLE_DIRECTIONS]
    scale = _SAMPLE_PICTURES**0.5 / spread[:_SAMPLE_DIRECTIONS]
    axes = axes - (axes @ mean)[:, None] * mean / mean.square().sum()
    mix = np.random.RandomState(seed + 1).standard_normal((len(_X_VALUES), len(axes)))
    return torch.from_numpy(mix.astype(np.float32)) @ (axes * scale[:, None])


def make(folder: Path, *, seed: int = 0) -> Path:
    """Write the whole folder and give it back."""
    folder.mkdir(parents=True, exist_ok=True)
    keys = config_keys("7b-d", _LAYERS, _HIDDEN, _EMBEDDING)
    tokenizer = make_pointing_tokenizer()
    (folder / "config.json").write_text(json.dumps(keys, indent=2))
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor_keys(), indent=2))
    tokenizer.save_pretrained(folder)
    tensors = pointing_tensors(MolmoConfig.from_dict(keys), tokenizer, seed)
    save_shards(folder, tensors)
    states = _states(tokenizer)
    choices = picture_directions(folder, states, seed)
    head = tensors["model.transformer.ff_out.weight"]
    head[states[2]] += choices
    head[states[4]] += choices.flip(0)
    save_shards(folder, tensors)
    return folder


def main() -> None:
    """Parse the command line and write the folder."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(make(options.folder, seed=options.seed))


if __name__ == "__main__":
    main()

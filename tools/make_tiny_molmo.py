"""Make a tiny Molmo with random weights in the official layout: for tests and benchmarks.

    python tools/make_tiny_molmo.py /tmp/tiny --flavour 7b-d --layers 3

Config keys, tensor names, shards, index and processor files are those of the published
repositories; the tokenizer is a small byte-level BPE that splits digits one by one, as theirs
do, and knows the words of the answer grammars as single tokens. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from molmo_node.models.molmo import MolmoConfig
from molmo_node.models.molmo.checkpoint import official_tensors

FLAVOURS = ("7b-d", "7b-o", "e-1b")
IMAGE_TOKENS = ["<im_start>", "<im_end>", "<im_patch>", "<im_col>", "<|image|>"]
_EOS = "<|endoftext|>"
_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LABELS = ["red mug", "blue valve", "screws", "gauge", "gauges", "cup", "bolt", "green cable"]
_CORPUS = [
    ' <point x="12.5" y="40.4" alt="{0}">{0}</point>',
    ' <points x1="10.0" y1="20.5" x2="30.1" y2="44.9" alt="{0}">{0}</points>',
    ' Counting the <points x1="1.0" y1="2.0" alt="{0}">{0}</points> shows a total of 2.',
    '<points coords="1 1 431 550 2 615 404">{0}</points>',
    " User: Point to {0}. Assistant:",
    " User: How many {0} are there? Assistant:",
    " User: clocks: What time is being shown? Assistant:",
    " User: Describe this image. Assistant:",
    " The time shown is 10:15:30 AM",
    " The time shown on the clock is 10:08.",
    " The time is not shown in the image.",
    " There are none.",
    " This isn't in the image.",
    " The image shows {0} on a table next to {0}.",
]


def train_tokenizer(size: int) -> Tokenizer:
    """A byte-level BPE of at most `size` entries over the words of prompts and answers."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=1,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    corpus = [line.format(label) for line in _CORPUS for label in _LABELS]
    tokenizer.train_from_iterator(corpus, trainer)
    return tokenizer


def make_tokenizer(flavour: str, size: int) -> PreTrainedTokenizerFast:
    """The tokenizer of a flavour: image tokens after `size` entries (7b-d: with fillers)."""
    tokenizer = train_tokenizer(min(size - 1, 700))
    tokenizer.add_special_tokens([_EOS])
    fillers = size - tokenizer.get_vocab_size() if flavour == "7b-d" else 0
    extra = [f"|<EXTRA_TOKENS_{number}>|" for number in range(fillers)]
    tokenizer.add_special_tokens(extra + IMAGE_TOKENS)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=_EOS,
        pad_token=_EOS,
        clean_up_tokenization_spaces=False,
    )


def _vision() -> dict[str, Any]:
    return {
        "image_default_input_size": [336, 336],
        "image_patch_size": 14,
        "image_emb_dim": 32,
        "image_num_heads": 4,
        "image_num_key_value_heads": 4,
        "image_num_layers": 10,
        "image_head_dim": 8,
        "image_mlp_dim": 64,
        "image_mlp_activations": "quick_gelu",
        "image_num_pos": 577,
        "image_norm_eps": 1e-5,
    }


def config_keys(flavour: str, layers: int, hidden: int, embedding: int) -> dict[str, Any]:
    """config.json in the key family of the flavour's published file."""
    heads = max(hidden // 16, 1)
    common = {
        "architectures": ["MolmoForCausalLM"],
        "model_type": "molmo",
        "auto_map": {"AutoConfig": "config_molmo.MolmoConfig"},
        "vocab_size": embedding,
        "embedding_size": embedding,
        "norm_after": flavour == "7b-o",
        "qkv_bias": flavour == "7b-d",
        "attention_layer_norm": flavour != "7b-d",
        "vision_backbone": _vision(),
        "torch_dtype": "float32",
    }
    if flavour == "e-1b":
        return common | {
            "d_model": hidden,
            "n_heads": heads,
            "n_kv_heads": None,
            "n_layers": layers,
            "mlp_ratio": 1,
            "mlp_hidden_size": None,
            "moe_num_experts": 8,
            "moe_top_k": 2,
            "block_type": "moe",
            "layer_norm_eps": 1e-5,
            "rope_theta": 1e4,
            "max_position_embeddings": 32768,
        }
    return common | {
        "hidden_size": hidden,
        "intermediate_size": 4 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": max(heads // 2, 1) if flavour == "7b-d" else None,
        "layer_norm_eps": 1e-6,
        "rope_theta": 1e6 if flavour == "7b-d" else 5e5,
        "max_position_embeddings": 4096,
    }


def random_tensors(config: MolmoConfig, seed: int) -> dict[str, torch.Tensor]:
    """Random weights that keep activations near 1 and logits apart."""
    # numpy promises that this old generator gives the same numbers for ever; torch does not.
    generator = np.random.RandomState(seed)
    tensors = {}
    for name, shape in official_tensors(config).items():
        value = torch.from_numpy(generator.standard_normal(shape).astype(np.float32))
        if name.endswith(("norm.weight", "ln_f.weight", "pre_ln.weight")):
            value = 1 + 0.1 * value
        elif len(shape) == 1 or "embedding" in name.rsplit(".", 1)[-1]:
            value = 0.5 * value
        else:
            value = value / shape[-1] ** 0.5
        tensors[name] = value
    head = "lm_head.weight" if config.moe_num_experts else "model.transformer.ff_out.weight"
    tensors[head] *= 4.0
    return tensors


def preprocessor_keys() -> dict[str, Any]:
    """preprocessor_config.json as the published repositories have it."""
    return {
        "image_processor_type": "MolmoImageProcessor",
        "processor_class": "MolmoProcessor",
        "auto_map": {"AutoProcessor": "preprocessing_molmo.MolmoProcessor"},
        "max_crops": 12,
        "overlap_margins": [4, 4],
        "base_image_input_size": [336, 336],
        "image_token_length_h": 12,
        "image_token_length_w": 12,
        "image_patch_size": 14,
        "image_padding_mask": True,
        "do_normalize": True,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
    }


def make(
    folder: Path,
    flavour: str = "7b-d",
    *,
    layers: int = 3,
    hidden: int = 64,
    embedding: int = 1024,
    seed: int = 0,
) -> Path:
    """Write a whole checkpoint folder, weights in two shards, and give it back."""
    folder.mkdir(parents=True, exist_ok=True)
    keys = config_keys(flavour, layers, hidden, embedding)
    (folder / "config.json").write_text(json.dumps(keys, indent=2))
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor_keys(), indent=2))
    make_tokenizer(flavour, embedding).save_pretrained(folder)
    save_shards(folder, random_tensors(MolmoConfig.from_dict(keys), seed))
    return folder


def save_shards(folder: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Write the weights as two files and their index."""
    names = sorted(tensors)
    parts = [names[: len(names) // 2], names[len(names) // 2 :]]
    weight_map = {}
    for number, part in enumerate(parts, start=1):
        file = f"model-{number:05d}-of-{len(parts):05d}.safetensors"
        save_file({name: tensors[name].contiguous() for name in part}, folder / file)
        weight_map |= dict.fromkeys(part, file)
    total = sum(tensor.nbytes for tensor in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def main() -> None:
    """Parse the command line and write the folder."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--flavour", choices=FLAVOURS, default="7b-d")
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--hidden", type=int, default=64, metavar="WIDTH")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    made = make(
        options.folder,
        options.flavour,
        layers=options.layers,
        hidden=options.hidden,
        seed=options.seed,
    )
    print(made)


if __name__ == "__main__":
    main()

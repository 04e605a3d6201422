"""Make a tiny Molmo2 with random weights, for tests and benchmarks.

    python tools/make_tiny_molmo2.py /tmp/tiny2 --layers 3

The classes are transformers' own; the tokenizer is that of make_tiny_molmo with Molmo2's
special tokens, the chat template one that puts the picture first.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from transformers import (
    Molmo2Config,
    Molmo2ForConditionalGeneration,
    Molmo2ImageProcessor,
    Molmo2Processor,
    Molmo2VideoProcessor,
    PreTrainedTokenizerFast,
)

from tools.make_tiny_molmo import train_tokenizer

_FILLED = 1024
_SPECIAL = [
    "<im_start>",
    "<im_end>",
    "<im_patch>",
    "<im_col>",
    "<low_res_im_start>",
    "<|image|>",
    "<im_low>",
    "<frame_start>",
    "<frame_end>",
    "<|video|>",
]
_CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|image|>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Words up to entry 1023, image tokens from 1024 on: beyond the head, as in Molmo2."""
    tokenizer = train_tokenizer(700)
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    missing = _FILLED - tokenizer.get_vocab_size()
    tokenizer.add_special_tokens([f"|<EXTRA_TOKENS_{number}>|" for number in range(missing)])
    tokenizer.add_special_tokens(_SPECIAL)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        bos_token="<|endoftext|>",
    )


def make_config(layers: int, hidden: int, qk_norm_type: str = "qwen3") -> Molmo2Config:
    """A small config; `qk_norm_type` "olmo" also puts the norms after, as Molmo2-O has them."""
    heads = hidden // 16
    return Molmo2Config(
        text_config={
            "hidden_size": hidden,
            "num_attention_heads": heads,
            "num_key_value_heads": heads // 2,
            "head_dim": 16,
            "vocab_size": _FILLED,
            "additional_vocab_size": 128,
            "num_hidden_layers": layers,
            "intermediate_size": 2 * hidden,
            "qk_norm_type": qk_norm_type,
            "norm_after": qk_norm_type == "olmo",
            "max_position_embeddings": 4096,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
        },
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "head_dim": 16,
        },
        adapter_config={
            "hidden_size": 32,
            "vision_feature_layer": [2, 0],
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "intermediate_size": 64,
            "text_hidden_size": hidden,
        },
        image_start_token_id=_FILLED,
        image_end_token_id=_FILLED + 1,
        image_patch_id=_FILLED + 2,
        low_res_image_start_token_id=_FILLED + 4,
        frame_start_token_id=_FILLED + 7,
        frame_end_token_id=_FILLED + 8,
    )


def make(
    folder: Path,
    *,
    layers: int = 3,
    hidden: int = 64,
    seed: int = 0,
    qk_norm_type: str = "qwen3",
) -> Path:
    """Write a whole folder and give it back."""
    model = Molmo2ForConditionalGeneration(make_config(layers, hidden, qk_norm_type))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                scale = 1.0 if "embed" in name else parameter.shape[-1] ** -0.5
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
        model.lm_head.weight *= 4.0
    model.generation_config.eos_token_id = None
    model.save_pretrained(folder)
    processor = Molmo2Processor(
        Molmo2ImageProcessor(), Molmo2VideoProcessor(), make_tokenizer(), chat_template=_CHAT
    )
    processor.save_pretrained(folder)
    return folder


def main() -> None:
    """Parse the command line and write the folder."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--hidden", type=int, default=64, metavar="WIDTH")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(make(options.folder, layers=options.layers, hidden=options.hidden, seed=options.seed))


if __name__ == "__main__":
    main()

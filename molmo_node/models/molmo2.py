"""Molmo2 through transformers' own class, behind the same engine as Molmo v1.

Its image block is bidirectional, so it is always prefilled whole, in one forward; the
library's chunked prefill would change the logits (performance.md §5).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import BatchFeature, DynamicCache

from molmo_node.errors import ConfigError
from molmo_node.models.family import Look, is_on_one_device
from molmo_node.models.prompts import PointFormat
from molmo_node.models.static_kv import Columns, PrefixKV

_IMAGE = "<|image|>"


class _ColumnsCache:
    """An arena as the library's attention sees its cache."""

    is_initialized = True
    is_compileable = False

    def __init__(self, columns: Columns) -> None:
        self.columns = columns

    def update(
        self, keys: Tensor, values: Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        return self.columns.put(layer, keys, values)

    def get_seq_length(self, layer: int = 0) -> int:
        return int(self.columns.positions[0, 0])


class Molmo2Language:
    """Molmo2's decoder over an arena."""

    def __init__(self, model: Any, vocabulary: int) -> None:
        self.model = model
        self.is_graphable = is_on_one_device(model)
        self.vocabulary = vocabulary

    def hidden(self, tokens: Tensor, arena: Columns) -> Tensor:
        text = self.model.model.language_model
        mask = arena.mask
        if mask is None:
            # One token a row sees all columns in view; the library wants to be told so.
            columns = int(arena.positions[0, -1]) + 1
            mask = torch.ones(len(tokens), 1, 1, columns, dtype=torch.bool, device=tokens.device)
        output = text(
            inputs_embeds=text.embed_tokens(tokens),
            attention_mask=mask,
            position_ids=arena.positions,
            past_key_values=_ColumnsCache(arena),
            use_cache=True,
        )
        return output.last_hidden_state

    def logits(self, hidden: Tensor) -> Tensor:
        return self.model.lm_head(hidden)[:, : self.vocabulary]


class Molmo2Family:
    """Molmo2: a chat whose user turn starts with the picture.

    Args:
        model: a `Molmo2ForConditionalGeneration`; processor: its `Molmo2Processor`.

    Raises:
        ConfigError: the folder's chat template does not put the picture before the words.
    """

    point_format: PointFormat = "thousandths"
    answer_start = ""

    def __init__(self, model: Any, processor: Any) -> None:
        self.model = model.eval()
        self.processor = processor
        self.tokenizer = processor.tokenizer
        text = model.config.text_config
        known = min(len(self.tokenizer), text.vocab_size)
        self.language = Molmo2Language(model, known)
        self.device = model.device
        self.max_positions = int(text.max_position_embeddings)
        self.end_ids = _end_ids(model, self.tokenizer)
        self._before, _ = self._chat("x")

    def _chat(self, words: str) -> tuple[str, str]:
        """The chat's text up to the picture, and from there to the answer."""
        content = [{"type": "image"}, {"type": "text", "text": words}]
        try:
            chat = self.processor.apply_chat_template(
                [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
            )
        except (ValueError, TypeError) as exc:
            raise ConfigError("this Molmo2 folder has no usable chat template") from exc
        before, image, after = chat.partition(_IMAGE)
        if not image or words not in after:
            raise ConfigError("the chat template does not put the picture before the words")
        return before, after

    @torch.inference_mode()
    def cut(self, pixels_hwc: Tensor, max_crops: int | None) -> BatchFeature:
        """The library's own preprocessing, on the model's device."""
        options = {} if max_crops is None else {"images_kwargs": {"max_crops": max_crops}}
        inputs = self.processor(
            images=[pixels_hwc.permute(2, 0, 1)],
            text=[self._before + _IMAGE],
            return_tensors="pt",
            **options,
        )
        return inputs.to(self.device)

    @torch.inference_mode()
    def look(self, cut: BatchFeature) -> Look:
        inputs = dict(cut)
        inputs["pixel_values"] = inputs["pixel_values"].to(self.model.dtype)
        cache = DynamicCache()
        self.model.model(**inputs, past_key_values=cache, use_cache=True)
        prefix = PrefixKV(
            tuple(layer.keys[0].contiguous() for layer in cache.layers),
            tuple(layer.values[0].contiguous() for layer in cache.layers),
        )
        return Look(prefix, int(inputs["image_num_crops"].sum()))

    def question_ids(self, prompt: str) -> list[int]:
        _, after = self._chat(prompt)
        return self.answer_ids(after)

    def answer_ids(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text, add_special_tokens=False))

    def answer_text(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))


def _end_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """Whatever the repository says that ends a turn."""
    named = model.generation_config.eos_token_id
    ids = set(named if isinstance(named, list) else [named])
    ids |= {tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<|im_end|>")}
    return frozenset(int(i) for i in ids - {None, tokenizer.unk_token_id})

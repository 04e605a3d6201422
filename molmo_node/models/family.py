"""What the engine needs from a model family, and Molmo v1 as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from molmo_node.models.decoding import Language
from molmo_node.models.molmo.geometry import TokenLayout
from molmo_node.models.molmo.modeling import MolmoForConditionalGeneration
from molmo_node.models.molmo.processing import MolmoProcessor, conversation
from molmo_node.models.prompts import PointFormat
from molmo_node.models.static_kv import ArenaAttend, Columns, PrefillAttend, PrefixKV


@dataclass(frozen=True)
class Look:
    """A picture's image block, ready for questions; `crops` is what the tower looked at."""

    prefix: PrefixKV
    crops: int


class Family(Protocol):
    """A model with its processor, behind one set of verbs."""

    point_format: PointFormat
    answer_start: str
    language: Language
    tokenizer: Any
    end_ids: frozenset[int]
    device: torch.device
    max_positions: int

    def cut(self, pixels_hwc: Tensor, max_crops: int | None) -> Any:
        """Prepare ``(H, W, 3) uint8`` pixels on the model's device for `look`."""
        ...

    def look(self, cut: Any) -> Look:
        """Compute the image block of what `cut` gave: the tower and the prefill."""
        ...

    def question_ids(self, prompt: str) -> list[int]:
        """The tokens between the image block and the answer."""
        ...

    def answer_ids(self, text: str) -> list[int]:
        """The tokens of an answer, or of a part of one."""
        ...

    def answer_text(self, ids: Sequence[int]) -> str:
        """Tokens as text, special tokens left out."""
        ...


# Crops, their masks and the token layout: what `MolmoImageProcessor.cut` gives.
Cut = tuple[Tensor, Tensor, TokenLayout]


def is_on_one_device(model: Any) -> bool:
    """Whether accelerate left a model in one place; a CUDA graph cannot span several."""
    return len(set(getattr(model, "hf_device_map", {}).values())) <= 1


class MolmoLanguage:
    """Molmo v1's decoder over an arena."""

    def __init__(self, model: MolmoForConditionalGeneration, vocabulary: int) -> None:
        self.model = model
        # Which experts run depends on the tokens, and a graph cannot branch.
        self.is_graphable = not model.config.moe_num_experts and is_on_one_device(model)
        self.vocabulary = vocabulary

    def hidden(self, tokens: Tensor, arena: Columns) -> Tensor:
        embedded = self.model.embed(tokens, None, None)
        return self.model.hidden(embedded, arena.positions, ArenaAttend(arena))

    def logits(self, hidden: Tensor) -> Tensor:
        return self.model.head(hidden)[:, : self.vocabulary]


class MolmoFamily:
    """Molmo v1: BOS and the image block first, then " User: … Assistant:"."""

    point_format: PointFormat = "percent"
    answer_start = " "

    def __init__(self, model: MolmoForConditionalGeneration, processor: MolmoProcessor) -> None:
        self.model = model.eval()
        self.processor = processor
        self.tokenizer = processor.tokenizer
        known = min(len(self.tokenizer), model.config.embedding_size)
        self.language = MolmoLanguage(model, known)
        self.end_ids = frozenset({int(self.tokenizer.eos_token_id)})
        self.device = model.device
        self.max_positions = int(model.config.max_position_embeddings)

    @torch.inference_mode()
    def cut(self, pixels_hwc: Tensor, max_crops: int | None) -> Cut:
        return self.processor.image_processor.cut(pixels_hwc, max_crops, self.device)

    @torch.inference_mode()
    def look(self, cut: Cut) -> Look:
        crops, mask, layout = cut
        kinds = torch.from_numpy(layout.kinds)
        ids = torch.tensor([[self.processor.first_token_id, *self.processor.image_ids(kinds)]])
        index = torch.from_numpy(layout.index)
        index = torch.where(index >= 0, index + 1, index)[None].to(self.device)
        features = self.model.image_features(crops[None], mask[None])
        embedded = self.model.embed(ids.to(self.device), features, index)
        attend = PrefillAttend()
        positions = torch.arange(ids.shape[1], device=self.device)[None]
        self.model.hidden(embedded, positions, attend)
        return Look(attend.prefix(), len(crops))

    def question_ids(self, prompt: str) -> list[int]:
        return self.processor.text_ids(conversation(prompt))

    def answer_ids(self, text: str) -> list[int]:
        return self.processor.text_ids(text)

    def answer_text(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))

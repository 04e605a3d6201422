"""MolmoForConditionalGeneration: the model in the library's conventions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Cache, DynamicCache, GenerationMixin, PreTrainedModel
from transformers import initialization as init
from transformers.masking_utils import create_causal_mask
from transformers.utils import ModelOutput

from molmo_node.models.molmo.checkpoint import end_of_text_id, prepare_folder
from molmo_node.models.molmo.configuration import MolmoConfig
from molmo_node.models.molmo.text import Attend, Experts, RMSNorm, Transformer
from molmo_node.models.molmo.vision import VisionBackbone


@dataclass
class MolmoOutput(ModelOutput):
    """`logits` [B, S, embedding_size]; `hidden_states` are the inputs of each block and, last,
    the normed output, where they were asked for."""

    logits: Tensor | None = None
    past_key_values: Cache | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    loss: Tensor | None = None


class _CachedAttend:
    """Attention over the library's cache (or none), with its mask."""

    def __init__(self, mask: Tensor | None, cache: Cache | None) -> None:
        self.mask = mask
        self.cache = cache

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if self.cache is not None:
            k, v = self.cache.update(k, v, layer)
        groups = q.shape[1] // k.shape[1]
        if groups > 1:
            k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
        is_causal = self.mask is None and q.shape[2] > 1
        out = functional.scaled_dot_product_attention(
            q, k, v, attn_mask=self.mask, is_causal=is_causal
        )
        return out.transpose(1, 2).flatten(2)


class _Body(nn.Module):
    """The `model.` prefix of the official tensor names."""

    def __init__(self, config: MolmoConfig) -> None:
        super().__init__()
        self.transformer = Transformer(config)
        self.vision_backbone = VisionBackbone(config)


class MolmoForConditionalGeneration(PreTrainedModel, GenerationMixin):
    """Molmo v1 with its head. Greedy `generate` works; `decoding.py` is the fast way.

    `images` enter with the prompt only; later tokens are passed without them.
    """

    config_class = MolmoConfig
    base_model_prefix = ""
    main_input_name = "input_ids"
    input_modalities = ("image", "text")
    supports_gradient_checkpointing = False
    _no_split_modules = ["DenseBlock", "MoeBlock", "VisionBackbone"]  # noqa: RUF012
    _skip_keys_device_placement = ["past_key_values"]  # noqa: RUF012
    _supports_sdpa = True
    _can_compile_fullgraph = True

    def __init__(self, config: MolmoConfig) -> None:
        super().__init__(config)
        self.model = _Body(config)
        if config.moe_num_experts:
            self.lm_head = nn.Linear(config.hidden_size, config.embedding_size, bias=False)
        self.post_init()

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, **kwargs: Any) -> Any:
        """Load an official repository or folder, checked before anything is allocated.

        Args: as in the library (`dtype`, `device_map`, `revision`, `local_files_only`, …).

        Returns:
            The model; with `output_loading_info`, the model and the library's account.

        Raises:
            ModelError: a file is missing, cut or not of this model.
            ConfigError: config.json is not one of a Molmo v1.
        """
        if pretrained_model_name_or_path is None:
            return super().from_pretrained(None, *args, **kwargs)  # a state dict, as it is
        folder, config = prepare_folder(pretrained_model_name_or_path, kwargs)
        kwargs.setdefault("config", config)
        loaded = super().from_pretrained(folder, *args, **kwargs)
        model = loaded[0] if isinstance(loaded, tuple) else loaded  # with output_loading_info
        # No official generation_config.json names the end of text; the tokenizer's files do.
        if model.generation_config.eos_token_id is None:
            model.generation_config.eos_token_id = end_of_text_id(folder)
        return loaded

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        std = self.config.initializer_range
        if isinstance(module, RMSNorm):
            init.ones_(module.weight)
        elif isinstance(module, nn.LayerNorm):
            init.ones_(module.weight)
            init.zeros_(module.bias)
        elif isinstance(module, nn.Linear | Experts):
            for name, parameter in module.named_parameters(recurse=False):
                if name == "bias":
                    init.zeros_(parameter)
                else:
                    init.normal_(parameter, std=std)
        else:
            for parameter in module.parameters(recurse=False):
                init.normal_(parameter, std=std)

    def get_input_embeddings(self) -> nn.Module:
        return self.model.transformer.wte

    def get_output_embeddings(self) -> nn.Linear:
        head = self.lm_head if self.config.moe_num_experts else self.model.transformer.ff_out
        assert isinstance(head, nn.Linear)
        return head

    def image_features(self, images: Tensor, image_masks: Tensor) -> Tensor:
        """Crops of one or more images to features.

        Args:
            images: [B, crops, patches, 588]; image_masks: [B, crops, patches].

        Returns:
            [B, crops, pooled², hidden].
        """
        features = self.model.vision_backbone(images.flatten(0, 1), image_masks.flatten(0, 1))
        return features.unflatten(0, images.shape[:2])

    def embed(
        self, input_ids: Tensor, features: Tensor | None, image_input_idx: Tensor | None
    ) -> Tensor:
        """Token embeddings [B, S, hidden], each image feature *added* where it belongs."""
        x = self.model.transformer.wte(input_ids)
        if features is None or image_input_idx is None:
            return x
        target = image_input_idx.flatten(1).to(x.device)
        row, feature = torch.nonzero(target >= 0, as_tuple=True)
        place = target[row, feature]
        added = features.flatten(1, 2).to(device=x.device, dtype=x.dtype)[row, feature]
        return x.index_put((row, place), added, accumulate=True)

    def hidden(self, x: Tensor, positions: Tensor, attend: Attend) -> Tensor:
        """The blocks over embedded tokens; `attend` keeps what came before."""
        return self.model.transformer(x, positions, attend)

    def head(self, hidden: Tensor) -> Tensor:
        """Normed hidden states → logits over `embedding_size` rows."""
        return self.get_output_embeddings()(hidden)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        images: Tensor | None = None,
        image_masks: Tensor | None = None,
        image_input_idx: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        output_hidden_states: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        **_unused: Any,
    ) -> MolmoOutput:
        """Logits of a batch.

        Args:
            input_ids: [B, S]; -1 is padding, as is a 0 of `attention_mask`, on either side.
            images, image_masks, image_input_idx: as `MolmoProcessor` makes them.
            labels: [B, S]; adds the mean cross-entropy of the next token. -100, and image
                tokens beyond the head, are ignored.
            logits_to_keep: only the last so many positions get logits; 0 = all.
        """
        if attention_mask is None and input_ids is not None and past_key_values is None:
            attention_mask = (input_ids >= 0).long()
        if inputs_embeds is None:
            assert input_ids is not None
            features = None if images is None else self._features(images, image_masks)
            inputs_embeds = self.embed(input_ids, features, image_input_idx)
        wants_cache = self.config.use_cache if use_cache is None else use_cache
        if wants_cache and past_key_values is None:
            past_key_values = DynamicCache()
        if position_ids is None:
            position_ids = _positions(inputs_embeds, attention_mask, past_key_values)
        mask = create_causal_mask(
            config=self.config,
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            past_key_values=past_key_values,
            position_ids=position_ids,
        )
        attend = _CachedAttend(mask, past_key_values)
        with _record_blocks(self.model.transformer, bool(output_hidden_states)) as seen:
            hidden = self.hidden(inputs_embeds, position_ids, attend)
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.head(hidden[:, kept])
        return MolmoOutput(
            logits=logits,
            past_key_values=past_key_values,
            hidden_states=(*seen, hidden) if output_hidden_states else None,
            loss=None if labels is None else _loss(logits, labels),
        )

    def _features(self, images: Tensor, image_masks: Tensor | None) -> Tensor:
        assert image_masks is not None, "images come with their image_masks"
        return self.image_features(images.to(self.device), image_masks.to(self.device))

    def prepare_inputs_for_generation(
        self, input_ids: Tensor, past_key_values: Cache | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """The library's inputs; the picture goes in with the prompt only."""
        inputs = super().prepare_inputs_for_generation(
            input_ids, past_key_values=past_key_values, **kwargs
        )
        if past_key_values is not None and past_key_values.get_seq_length() > 0:
            for name in ("images", "image_masks", "image_input_idx"):
                inputs.pop(name, None)
        return dict(inputs)


class _record_blocks:  # noqa: N801 - a context manager, used as a verb
    """Collects the input of every block while it is open."""

    def __init__(self, transformer: Transformer, wanted: bool) -> None:
        self.blocks = list(transformer.blocks) if wanted else []
        self.seen: list[Tensor] = []

    def __enter__(self) -> list[Tensor]:
        self.hooks = [
            block.register_forward_pre_hook(lambda _, args: self.seen.append(args[0]))
            for block in self.blocks
        ]
        return self.seen

    def __exit__(self, *_: object) -> None:
        for hook in self.hooks:
            hook.remove()


def _positions(x: Tensor, attention_mask: Tensor | None, cache: Cache | None) -> Tensor:
    """Count of real tokens before each one; padding gets no position of its own."""
    past = 0 if cache is None else int(cache.get_seq_length())
    if attention_mask is not None and attention_mask.ndim == 2:
        return (attention_mask.long().cumsum(-1) - 1).clamp(min=0)[:, -x.shape[1] :]
    return torch.arange(past, past + x.shape[1], device=x.device)[None].expand(len(x), -1)


def _loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of the next token; image tokens that the head lacks are left out."""
    labels = labels[:, 1:].flatten().to(logits.device)
    labels = torch.where(labels < logits.shape[-1], labels, -100)
    return functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(), labels)

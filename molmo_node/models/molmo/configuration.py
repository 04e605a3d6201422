"""Molmo's configuration, read from both key families of the official repositories.

Molmo-7B-D, 7B-O and 72B use one family (`hidden_size`, `num_hidden_layers`, …) and leave all
of vision to the code; MolmoE-1B uses OLMo's own (`d_model`, `n_layers`, …). Inside this
package only the first family exists. Source: the published config files.
"""

from __future__ import annotations

from typing import Any

from transformers import PretrainedConfig

from molmo_node.errors import ConfigError

# CLIP ViT-L/14-336 without its last block, as all four checkpoints were trained.
_VISION_DEFAULTS: dict[str, Any] = {
    "image_default_input_size": [336, 336],
    "image_patch_size": 14,
    "image_emb_dim": 1024,
    "image_num_heads": 16,
    "image_num_key_value_heads": None,
    "image_num_layers": 23,
    "image_head_dim": 64,
    "image_mlp_dim": 4096,
    "image_mlp_activations": "quick_gelu",
    "image_num_pos": 577,
    "image_norm_eps": 1e-5,
}
_OLMO_KEYS = {
    "hidden_size": "d_model",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
    "num_key_value_heads": "n_kv_heads",
}
_POOLING = {"attention-meanq", "attention_meanq"}


class MolmoVisionConfig(PretrainedConfig):
    """The vision tower: the names of OLMo's `vision_backbone` section, and their defaults."""

    model_type = "molmo_vision"
    base_config_key = "vision_backbone"

    def __init__(self, **kwargs: Any) -> None:
        values = _VISION_DEFAULTS | {k: kwargs.pop(k) for k in _VISION_DEFAULTS if k in kwargs}
        values["image_num_key_value_heads"] = (
            values["image_num_key_value_heads"] or values["image_num_heads"]
        )
        for name, value in values.items():
            setattr(self, name, value)
        kwargs.pop("model_type", None)
        super().__init__(**kwargs)

    @property
    def grid(self) -> int:
        """Patches along one side of a crop: 24 for 336 pixels."""
        return int(self.image_default_input_size[0]) // int(self.image_patch_size)


class MolmoConfig(PretrainedConfig):
    """Sizes and switches of one Molmo.

    `intermediate_size` is the fused width, twice the feed-forward's (as in the files).
    `moe_num_experts` is 0 for a dense model. `additional_vocab_size` are the rows that the
    embedding has beyond the head. Unknown keys of a file are kept and unused.

    Raises:
        ConfigError: the file asks for something that no Molmo v1 has.
    """

    model_type = "molmo"
    sub_configs = {"vision_backbone": MolmoVisionConfig}  # noqa: RUF012 - the library's own form
    keys_to_ignore_at_inference = ["past_key_values"]  # noqa: RUF012

    def __init__(
        self,
        vocab_size: int = 152064,
        embedding_size: int | None = None,
        hidden_size: int = 3584,
        intermediate_size: int | None = None,
        num_hidden_layers: int = 28,
        num_attention_heads: int = 28,
        num_key_value_heads: int | None = None,
        head_dim: int | None = None,
        max_position_embeddings: int = 4096,
        layer_norm_eps: float = 1e-6,
        rope_theta: float = 1_000_000.0,
        qkv_bias: bool = False,
        attention_layer_norm: bool = False,
        norm_after: bool = False,
        additional_vocab_size: int = 128,
        moe_num_experts: int | None = None,
        moe_top_k: int | None = None,
        vit_layers: list[int] | tuple[int, ...] = (-2, -9),
        image_pooling_h: int = 2,
        image_pooling_w: int = 2,
        vision_backbone: dict[str, Any] | MolmoVisionConfig | None = None,
        initializer_range: float = 0.02,
        use_cache: bool = True,
        tie_word_embeddings: bool = False,
        bos_token_id: int | None = None,
        eos_token_id: int | None = None,
        pad_token_id: int | None = None,
        **kwargs: Any,
    ) -> None:
        from_olmo = {ours: kwargs.pop(theirs, None) for ours, theirs in _OLMO_KEYS.items()}
        self.vocab_size = vocab_size
        self.embedding_size = embedding_size or vocab_size
        self.hidden_size = from_olmo["hidden_size"] or hidden_size
        self.num_hidden_layers = from_olmo["num_hidden_layers"] or num_hidden_layers
        self.num_attention_heads = from_olmo["num_attention_heads"] or num_attention_heads
        kv_heads = from_olmo["num_key_value_heads"] or num_key_value_heads
        self.num_key_value_heads = kv_heads or self.num_attention_heads
        self.head_dim = head_dim or self.hidden_size // self.num_attention_heads
        self.intermediate_size = intermediate_size or _fused_width(self.hidden_size, kwargs)
        self.max_position_embeddings = max_position_embeddings
        self.layer_norm_eps = layer_norm_eps
        self.rope_theta = rope_theta
        self.qkv_bias = qkv_bias
        self.attention_layer_norm = attention_layer_norm
        self.norm_after = norm_after
        self.additional_vocab_size = additional_vocab_size
        self.moe_num_experts = _experts(moe_num_experts, kwargs)
        self.moe_top_k = (moe_top_k or 0) if self.moe_num_experts else 0
        self.vit_layers = list(vit_layers)
        self.image_pooling_h = image_pooling_h
        self.image_pooling_w = image_pooling_w
        if not isinstance(vision_backbone, MolmoVisionConfig):
            vision_backbone = MolmoVisionConfig(**(vision_backbone or {}))
        self.vision_backbone = vision_backbone
        self.initializer_range = initializer_range
        self.use_cache = use_cache
        self.bos_token_id = bos_token_id
        self.pad_token_id = pad_token_id
        _refuse_what_no_molmo_has(self, {"tie": tie_word_embeddings, **kwargs})
        super().__init__(tie_word_embeddings=False, **kwargs)
        # The base class takes generation settings out of a file; this one names the end of text.
        self.eos_token_id = eos_token_id

    @property
    def feed_forward_size(self) -> int:
        """Width of one (expert's) feed-forward: half of the fused `intermediate_size`."""
        return int(self.intermediate_size // 2)


def _fused_width(hidden_size: int, keys: dict[str, Any]) -> int:
    """The fused feed-forward width in OLMo's words: `mlp_hidden_size`, else a ratio."""
    return int(keys.get("mlp_hidden_size") or keys.get("mlp_ratio", 4) * hidden_size)


def _experts(named: int | None, keys: dict[str, Any]) -> int:
    """Number of experts; a file of the OLMo family may carry the key and still be dense."""
    if keys.get("block_type", "moe") != "moe":
        return 0
    return named or 0


def _refuse_what_no_molmo_has(config: MolmoConfig, keys: dict[str, Any]) -> None:
    """Stop at switches that this implementation would otherwise silently ignore."""
    clip = config.vision_backbone
    wrong = [
        (bool(keys["tie"] or keys.get("weight_tying")), "tied embeddings"),
        (keys.get("clip_qkv") is not None, "clip_qkv"),
        (keys.get("layer_norm_type", "rms") != "rms", "a norm that is not RMS"),
        (keys.get("activation_type", "swiglu") != "swiglu", "an activation that is not swiglu"),
        (keys.get("image_pooling_2d", "attention-meanq") not in _POOLING, "another image pooling"),
        (keys.get("image_projector", "mlp") != "mlp", "another image projector"),
        (
            keys.get("image_padding_embed", "pad_and_partial_pad") != "pad_and_partial_pad",
            "another padding embedding",
        ),
        (bool(keys.get("normalize_input_embeds")), "normalize_input_embeds"),
        (bool(keys.get("scale_logits")), "scale_logits"),
        (clip.image_mlp_activations != "quick_gelu", "a vision activation other than quick_gelu"),
        (clip.grid**2 + 1 != clip.image_num_pos, "vision positions that do not fit its crops"),
        (
            config.hidden_size != config.num_attention_heads * config.head_dim,
            "heads that do not make up the width",
        ),
        (bool(config.moe_num_experts) and not config.moe_top_k, "experts without moe_top_k"),
    ]
    found = [what for is_wrong, what in wrong if is_wrong]
    if found:
        raise ConfigError(
            f"this config.json asks for {', '.join(found)}; no Molmo v1 checkpoint has that",
            hint="is it a Molmo v1 config (7B-D, 7B-O, E-1B or 72B)?",
        )

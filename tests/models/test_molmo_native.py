"""Molmo's halves against transformers' own models, for sizes that no golden vector has."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    Olmo2Config,
    Olmo2ForCausalLM,
    OlmoeConfig,
    OlmoeForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from molmo_node.models.molmo import (
    MolmoConfig,
    MolmoForConditionalGeneration,
    MolmoProcessor,
)
from tests.models.scripting import noise
from tools.make_tiny_molmo import random_tensors

pytestmark = pytest.mark.model

# hidden, heads, key heads, layers, fused width, vocabulary
SIZES = [(48, 3, 1, 1, 80, 211), (96, 6, 3, 4, 128, 400), (40, 5, 5, 2, 96, 97)]
VISION = {"image_emb_dim": 24, "image_num_heads": 3, "image_head_dim": 8, "image_mlp_dim": 40}


def molmo(keys: dict, sizes: tuple[int, ...], seed: int) -> MolmoForConditionalGeneration:
    hidden, heads, kv_heads, layers, fused, vocabulary = sizes
    config = MolmoConfig(
        hidden_size=hidden,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        num_hidden_layers=layers,
        intermediate_size=fused,
        vocab_size=vocabulary,
        vision_backbone=VISION | {"image_num_layers": 11},
        **keys,
    )
    return MolmoForConditionalGeneration.from_pretrained(
        None, config=config, state_dict=random_tensors(config, seed)
    ).eval()


def native_text(model: MolmoForConditionalGeneration, kind: str) -> torch.nn.Module:
    """The library's own model with the same weights under its names."""
    config = model.config
    common = {
        "vocab_size": config.embedding_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.feed_forward_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_key_value_heads,
        "rms_norm_eps": config.layer_norm_eps,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
        "max_position_embeddings": 4096,
        "tie_word_embeddings": False,
        "pad_token_id": None,
        "bos_token_id": None,
        "eos_token_id": None,
    }
    if kind == "qwen2":
        native = Qwen2ForCausalLM(Qwen2Config(**common))
    elif kind == "olmo2":
        native = Olmo2ForCausalLM(Olmo2Config(**common))
    else:
        experts = {"num_experts": config.moe_num_experts, "norm_topk_prob": False}
        used = {"num_experts_per_tok": config.moe_top_k}
        native = OlmoeForCausalLM(OlmoeConfig(**common, **experts, **used))
    missing, unexpected = native.load_state_dict(dict(_renamed(model, kind)), strict=False)
    assert not unexpected
    assert not [name for name in missing if "inv_freq" not in name]
    return native.eval()


def _renamed(model: MolmoForConditionalGeneration, kind: str):
    text, sizes = model.model.transformer, None
    yield "model.embed_tokens.weight", text.wte.embedding
    yield "model.norm.weight", text.ln_f.weight
    yield "lm_head.weight", model.get_output_embeddings().weight
    is_after = kind == "olmo2"
    for number, block in enumerate(text.blocks):
        prefix = f"model.layers.{number}."
        attention = block.attn if kind == "olmoe" else block
        feed = block.mlp if kind == "olmoe" else block
        sizes = attention.sizes
        for name, part in zip("qkv", attention.att_proj.weight.split(sizes), strict=True):
            yield f"{prefix}self_attn.{name}_proj.weight", part
        if attention.att_proj.bias is not None:
            for name, part in zip("qkv", attention.att_proj.bias.split(sizes), strict=True):
                yield f"{prefix}self_attn.{name}_proj.bias", part
        yield prefix + "self_attn.o_proj.weight", attention.attn_out.weight
        if attention.has_qk_norm:
            yield prefix + "self_attn.q_norm.weight", attention.q_norm.weight
            yield prefix + "self_attn.k_norm.weight", attention.k_norm.weight
        first = "post_attention_layernorm" if is_after else "input_layernorm"
        second = "post_feedforward_layernorm" if is_after else "post_attention_layernorm"
        yield f"{prefix}{first}.weight", attention.attn_norm.weight
        yield f"{prefix}{second}.weight", feed.ff_norm.weight
        if kind == "olmoe":
            yield prefix + "mlp.gate.weight", feed.gate.weight
            yield prefix + "mlp.experts.gate_up_proj", feed.experts.gate_up_proj
            yield prefix + "mlp.experts.down_proj", feed.experts.down_proj
        else:
            up, gate = block.ff_proj.weight.chunk(2)
            yield prefix + "mlp.up_proj.weight", up
            yield prefix + "mlp.gate_proj.weight", gate
            yield prefix + "mlp.down_proj.weight", block.ff_out.weight


KINDS = {
    "qwen2": {"qkv_bias": True, "rope_theta": 1e6, "layer_norm_eps": 1e-6},
    "olmo2": {"attention_layer_norm": True, "norm_after": True, "rope_theta": 5e5},
    "olmoe": {
        "attention_layer_norm": True,
        "rope_theta": 1e4,
        "layer_norm_eps": 1e-5,
        "moe_num_experts": 5,
        "moe_top_k": 3,
    },
}


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_the_text_half_equals_the_librarys_own_model(kind: str, sizes: tuple[int, ...]) -> None:
    model = molmo(KINDS[kind], sizes, seed=hash(sizes) % 1000)
    native = native_text(model, kind)
    ids = torch.randint(0, sizes[-1], (2, 37), generator=torch.Generator().manual_seed(1))

    with torch.no_grad():
        ours, theirs = model(input_ids=ids).logits, native(input_ids=ids).logits

    torch.testing.assert_close(ours, theirs, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("layers", [9, 12])
def test_the_tower_equals_the_librarys_clip(layers: int) -> None:
    vision = VISION | {"image_num_layers": layers}
    config = MolmoConfig(
        hidden_size=16,
        num_attention_heads=2,
        num_hidden_layers=1,
        intermediate_size=16,
        vocab_size=32,
        vision_backbone=vision,
    )
    ours = MolmoForConditionalGeneration.from_pretrained(
        None, config=config, state_dict=random_tensors(config, 3)
    ).eval()
    clip = CLIPVisionModel(
        CLIPVisionConfig(
            hidden_size=24,
            intermediate_size=40,
            num_hidden_layers=layers,
            num_attention_heads=3,
            image_size=336,
            patch_size=14,
            hidden_act="quick_gelu",
        )
    ).eval()
    clip.load_state_dict(dict(_clip_names(ours)), strict=False)
    crop = torch.rand(1, 3, 336, 336)
    patches = (
        crop.unfold(2, 14, 14).unfold(3, 14, 14).permute(0, 2, 3, 4, 5, 1).reshape(1, 576, 588)
    )

    with torch.no_grad():
        got = ours.model.vision_backbone.image_vit(patches)
        states = clip(pixel_values=crop, output_hidden_states=True).hidden_states

    # The library's list starts with the embeddings, so block -2 is one place before the last.
    want = torch.cat([states[layers - 1], states[layers - 8]], dim=-1)[:, 1:]
    torch.testing.assert_close(got, want, atol=1e-4, rtol=1e-4)


def _clip_names(model: MolmoForConditionalGeneration) -> list[tuple[str, Tensor]]:
    tower = model.model.vision_backbone.image_vit
    kernel = tower.patch_embedding.weight.unflatten(1, (14, 14, 3)).permute(0, 3, 1, 2)
    names = [
        ("embeddings.class_embedding", tower.class_embedding),
        ("embeddings.position_embedding.weight", tower.positional_embedding),
        ("embeddings.patch_embedding.weight", kernel),
    ]
    names += [(f"pre_layrnorm.{end}", getattr(tower.pre_ln, end)) for end in ("weight", "bias")]
    parts = {
        "self_attn.q_proj": "attention.wq",
        "self_attn.k_proj": "attention.wk",
        "self_attn.v_proj": "attention.wv",
        "self_attn.out_proj": "attention.wo",
        "layer_norm1": "attention_norm",
        "layer_norm2": "ffn_norm",
        "mlp.fc1": "feed_forward.w1",
        "mlp.fc2": "feed_forward.w2",
    }
    for number, block in enumerate(tower.transformer.resblocks):
        for theirs, ours in parts.items():
            module = block.get_submodule(ours)
            for end in ("weight", "bias"):
                name = f"encoder.layers.{number}.{theirs}.{end}"
                names.append((name, getattr(module, end)))
    return [
        (f"{prefix}{name}", tensor) for name, tensor in names for prefix in ("", "vision_model.")
    ]


def test_the_loss_leaves_out_what_has_no_row_in_the_head_and_has_gradients(tiny) -> None:
    model = MolmoForConditionalGeneration.from_pretrained(tiny("7b-d"))
    processor = MolmoProcessor.from_pretrained(tiny("7b-d"))
    inputs = processor(images=[noise(64, 64)], text="Point to the red mug.")
    words = torch.where(
        inputs["input_ids"] < model.config.embedding_size, inputs["input_ids"], -100
    )

    loss = model(**inputs, labels=inputs["input_ids"]).loss
    loss.backward()

    torch.testing.assert_close(loss, model(**inputs, labels=words).loss)
    vision = model.model.vision_backbone
    assert float(vision.image_vit.patch_embedding.weight.grad.abs().sum()) > 0
    assert float(model.model.transformer.wte.new_embedding.grad.abs().sum()) > 0

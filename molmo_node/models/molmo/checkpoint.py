"""Official checkpoint folders: what must be in them, and whether it is.

Everything here reads headers only, so that a missing, cut or wrong file is found before a
byte is allocated. Tensor names and shapes: molmo.md §4, from the published files.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from molmo_node.errors import ConfigError, ModelError
from molmo_node.models.hub import DOWNLOAD_OPTIONS, snapshot
from molmo_node.models.molmo.configuration import MolmoConfig
from molmo_node.models.safetensors_files import Shape, TensorEntry, read_header, weight_files

_FLOATS = {"F32", "F16", "BF16"}


def official_tensors(config: MolmoConfig) -> dict[str, Shape]:
    """Every tensor name of an official checkpoint of this config, with its shape."""
    h, size, extra = config.hidden_size, config.embedding_size, config.additional_vocab_size
    names: dict[str, Shape] = {
        "model.transformer.wte.embedding": (size, h),
        "model.transformer.wte.new_embedding": (extra, h),
        "model.transformer.ln_f.weight": (h,),
    }
    is_moe = bool(config.moe_num_experts)
    names["lm_head.weight" if is_moe else "model.transformer.ff_out.weight"] = (size, h)
    for number in range(config.num_hidden_layers):
        prefix = f"model.transformer.blocks.{number}."
        layer = _moe_block(config) if is_moe else _dense_block(config)
        names |= {prefix + name: shape for name, shape in layer.items()}
    names |= {"model.vision_backbone." + n: s for n, s in _vision(config).items()}
    return names


def _attention(config: MolmoConfig) -> dict[str, Shape]:
    h = config.hidden_size
    kv = config.num_key_value_heads * config.head_dim
    names: dict[str, Shape] = {
        "att_proj.weight": (h + 2 * kv, h),
        "attn_out.weight": (h, h),
        "attn_norm.weight": (h,),
    }
    if config.qkv_bias:
        names["att_proj.bias"] = (h + 2 * kv,)
    if config.attention_layer_norm:
        names |= {"q_norm.weight": (h,), "k_norm.weight": (kv,)}
    return names


def _dense_block(config: MolmoConfig) -> dict[str, Shape]:
    h, fused = config.hidden_size, config.intermediate_size
    return _attention(config) | {
        "ff_norm.weight": (h,),
        "ff_proj.weight": (fused, h),
        "ff_out.weight": (h, fused // 2),
    }


def _moe_block(config: MolmoConfig) -> dict[str, Shape]:
    h, width, experts = config.hidden_size, config.feed_forward_size, config.moe_num_experts
    names: dict[str, Shape] = {f"attn.{n}": s for n, s in _attention(config).items()}
    names |= {"mlp.ff_norm.weight": (h,), "mlp.gate.weight": (experts, h)}
    for number in range(experts):
        prefix = f"mlp.experts.{number}."
        names[prefix + "gate_proj.weight"] = (width, h)
        names[prefix + "up_proj.weight"] = (width, h)
        names[prefix + "down_proj.weight"] = (h, width)
    return names


def _linear(name: str, out: int, inside: int) -> dict[str, Shape]:
    return {f"{name}.weight": (out, inside), f"{name}.bias": (out,)}


def _norm(name: str, size: int) -> dict[str, Shape]:
    return {f"{name}.weight": (size,), f"{name}.bias": (size,)}


def _projections(prefix: str, config: MolmoConfig, inside: int) -> dict[str, Shape]:
    v = config.vision_backbone
    q, kv = v.image_num_heads * v.image_head_dim, v.image_num_key_value_heads * v.image_head_dim
    return (
        _linear(prefix + "wq", q, inside)
        | _linear(prefix + "wk", kv, inside)
        | _linear(prefix + "wv", kv, inside)
        | _linear(prefix + "wo", v.image_emb_dim, q)
    )


def _vision(config: MolmoConfig) -> dict[str, Shape]:
    v = config.vision_backbone
    width, both = v.image_emb_dim, v.image_emb_dim * len(config.vit_layers)
    inner = config.feed_forward_size
    names: dict[str, Shape] = {
        "pad_embed": (2, both),
        "image_projector.w1.weight": (inner, width),
        "image_projector.w2.weight": (config.hidden_size, inner),
        "image_projector.w3.weight": (inner, width),
        "image_vit.class_embedding": (width,),
        "image_vit.positional_embedding": (v.image_num_pos, width),
        "image_vit.patch_embedding.weight": (width, 3 * v.image_patch_size**2),
    }
    names |= _projections("image_pooling_2d.", config, both)
    names |= _norm("image_vit.pre_ln", width)
    for number in range(v.image_num_layers):
        block = f"image_vit.transformer.resblocks.{number}."
        names |= _projections(block + "attention.", config, width)
        names |= _norm(block + "attention_norm", width) | _norm(block + "ffn_norm", width)
        names |= _linear(block + "feed_forward.w1", v.image_mlp_dim, width)
        names |= _linear(block + "feed_forward.w2", width, v.image_mlp_dim)
    return names


def check_folder(folder: Path, config: MolmoConfig) -> dict[str, TensorEntry]:
    """Hold a folder's files against what its config needs, by their headers alone.

    Returns:
        Every tensor by name.

    Raises:
        ModelError: files missing or cut; tensors missing, left over, of a wrong shape or type.
    """
    found: dict[str, TensorEntry] = {}
    for file in weight_files(folder):
        found |= read_header(file)
    expected = official_tensors(config)
    faults = list(_faults(expected, found))
    if faults:
        raise ModelError(
            f"{folder}: {len(faults)} tensors are not those of this config; {faults[0]}",
            hint="config.json and the weight files belong to different models or layouts",
        )
    return found


def _faults(expected: dict[str, Shape], found: dict[str, TensorEntry]) -> Iterator[str]:
    for name in expected.keys() - found.keys():
        yield f"{name} is missing"
    for name in found.keys() - expected.keys():
        yield f"{name} is left over"
    for name in expected.keys() & found.keys():
        entry = found[name]
        if entry.shape != expected[name]:
            yield f"{name} is {list(entry.shape)}, expected {list(expected[name])}"
        elif entry.dtype not in _FLOATS:
            yield f"{name} is stored as {entry.dtype}, expected one of {sorted(_FLOATS)}"


def read_config(folder: Path) -> MolmoConfig:
    """The folder's config.json.

    Raises:
        ConfigError: missing, not JSON, or not a Molmo v1.
    """
    file = folder / "config.json"
    try:
        keys = json.loads(file.read_text())
    except (OSError, ValueError) as exc:
        raise ConfigError(f"{file}: no readable config.json ({type(exc).__name__})") from exc
    if not isinstance(keys, dict) or keys.get("model_type") != MolmoConfig.model_type:
        kind = keys.get("model_type") if isinstance(keys, dict) else type(keys).__name__
        raise ConfigError(f"{file}: model_type is {kind!r}, expected 'molmo'")
    try:
        return MolmoConfig.from_dict(keys)
    except (TypeError, ValueError) as exc:
        raise ConfigError(f"{file}: {exc}") from exc


def prepare_folder(name: str | os.PathLike[str], kwargs: dict[str, Any]) -> tuple[str, MolmoConfig]:
    """A checked folder for a path or a hub name.

    `kwargs` are `from_pretrained`'s; what chooses the download is taken out of them.
    """
    download = {key: kwargs.pop(key) for key in DOWNLOAD_OPTIONS if key in kwargs}
    folder = snapshot(name, **download) / kwargs.pop("subfolder", "")
    config = kwargs.get("config")
    if not isinstance(config, MolmoConfig):
        config = read_config(folder)
    check_folder(folder, config)
    return str(folder), config


def end_of_text_id(folder: str | os.PathLike[str]) -> int | None:
    """The id of the tokenizer's EOS by the folder's own files, or None where they do not say."""
    file = Path(folder) / "tokenizer_config.json"
    try:
        keys = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    eos = keys.get("eos_token")
    eos = eos.get("content") if isinstance(eos, dict) else eos
    for number, token in keys.get("added_tokens_decoder", {}).items():
        if token.get("content") == eos:
            return int(number)
    return None

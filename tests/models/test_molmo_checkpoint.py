"""Official folders: every tensor accounted for, and every fault found before loading."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor

from molmo_node.errors import ConfigError, ModelError
from molmo_node.models.molmo import (
    MolmoConfig,
    MolmoForConditionalGeneration,
    MolmoProcessor,
)
from molmo_node.models.molmo.checkpoint import check_folder, official_tensors, read_config
from molmo_node.models.molmo.text import RMSNorm

pytestmark = pytest.mark.model

# The published config.json files, without what is inert.
_DENSE = {
    "model_type": "molmo",
    "architectures": ["MolmoForCausalLM"],
    "layer_norm_type": "rms",
    "clip_qkv": None,
    "weight_tying": False,
    "use_position_ids": True,
    "max_position_embeddings": 4096,
}
CONFIGS = {
    "7b-d": _DENSE
    | {
        "vocab_size": 152064,
        "embedding_size": 152064,
        "hidden_size": 3584,
        "intermediate_size": 37888,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "qkv_bias": True,
        "attention_layer_norm": False,
        "norm_after": False,
        "rope_theta": 1e6,
        "layer_norm_eps": 1e-6,
    },
    "72b": _DENSE
    | {
        "vocab_size": 152064,
        "embedding_size": 152064,
        "hidden_size": 8192,
        "intermediate_size": 59136,
        "num_hidden_layers": 80,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "qkv_bias": True,
        "attention_layer_norm": False,
        "norm_after": False,
        "rope_theta": 1e6,
        "layer_norm_eps": 1e-5,
    },
    "7b-o": _DENSE
    | {
        "vocab_size": 100278,
        "embedding_size": 100352,
        "hidden_size": 4096,
        "intermediate_size": 22016,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": None,
        "qkv_bias": False,
        "attention_layer_norm": True,
        "norm_after": True,
        "rope_theta": 5e5,
        "layer_norm_eps": 1e-6,
    },
    "e-1b": {
        "model_type": "molmo",
        "block_type": "moe",
        "activation_type": "swiglu",
        "vocab_size": 50280,
        "embedding_size": 50304,
        "d_model": 2048,
        "n_layers": 16,
        "n_heads": 16,
        "n_kv_heads": None,
        "mlp_ratio": 1,
        "mlp_hidden_size": None,
        "moe_num_experts": 64,
        "moe_top_k": 8,
        "qkv_bias": False,
        "attention_layer_norm": True,
        "norm_after": False,
        "rope_theta": 1e4,
        "layer_norm_eps": 1e-5,
        "image_pooling_2d": "attention_meanq",
        "eos_token_id": 50279,
        "pad_token_id": 1,
    },
}
# Counted from the published shapes (molmo.md §1); 7B-D's equals its published index.
PARAMETERS = {
    "7b-d": 8_021_025_280,
    "72b": 73_308_285_952,
    "7b-o": 7_665_032_192,
    "e-1b": 7_221_875_712,
}


def write_hollow_checkpoint(folder: Path, keys: dict) -> None:
    """A folder of the real size whose weight files are holes: headers and no blocks on disk."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(keys))
    names = official_tensors(MolmoConfig.from_dict(keys))
    ordered = sorted(names)
    parts = [ordered[i::4] for i in range(4)]
    weight_map = {}
    for number, part in enumerate(parts, start=1):
        file = f"model-{number:05d}-of-00004.safetensors"
        header, end = {}, 0
        for name in part:
            size = 2
            for side in names[name]:
                size *= side
            header[name] = {
                "dtype": "BF16",
                "shape": list(names[name]),
                "data_offsets": [end, end + size],
            }
            end += size
        text = json.dumps(header).encode()
        with (folder / file).open("wb") as stream:
            stream.write(struct.pack("<Q", len(text)) + text)
            stream.truncate(8 + len(text) + end)
        weight_map |= dict.fromkeys(part, file)
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize("name", CONFIGS)
def test_every_official_tensor_has_its_place_and_nothing_is_left_over(name: str) -> None:
    config = MolmoConfig.from_dict(CONFIGS[name])
    official = {
        key: torch.empty(shape, device="meta", dtype=torch.bfloat16)
        for key, shape in official_tensors(config).items()
    }

    model, info = MolmoForConditionalGeneration.from_pretrained(
        None, config=config, state_dict=official, device_map="meta", output_loading_info=True
    )

    assert info["missing_keys"] == info["unexpected_keys"] == set()
    assert not info["mismatched_keys"]
    assert all(parameter.is_meta for parameter in model.parameters())
    assert sum(parameter.numel() for parameter in model.parameters()) == PARAMETERS[name]
    assert sum(tensor.numel() for tensor in official.values()) == PARAMETERS[name]
    if not config.moe_num_experts:
        shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
        assert shapes == official_tensors(config)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_folder_of_the_real_size_is_checked_by_its_headers(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    write_hollow_checkpoint(folder, CONFIGS[name])

    found = check_folder(folder, read_config(folder))

    assert len(found) == len(official_tensors(MolmoConfig.from_dict(CONFIGS[name])))
    files = {entry.file for entry in found.values()}
    assert sum(file.stat().st_size for file in files) > 2 * PARAMETERS[name]


def test_the_constants_that_the_files_lack_are_the_published_ones() -> None:
    config = MolmoConfig.from_dict(CONFIGS["7b-d"])
    vision = config.vision_backbone

    assert (vision.image_num_layers, vision.image_emb_dim, vision.image_num_heads) == (23, 1024, 16)
    assert (vision.image_num_pos, vision.image_patch_size, vision.grid) == (577, 14, 24)
    assert (config.vit_layers, config.additional_vocab_size) == ([-2, -9], 128)
    assert (config.head_dim, config.num_key_value_heads) == (128, 4)


def test_both_key_families_survive_saving(tmp_path: Path) -> None:
    for name, keys in CONFIGS.items():
        config = MolmoConfig.from_dict(keys)
        config.save_pretrained(tmp_path / name)
        again = MolmoConfig.from_pretrained(tmp_path / name)
        assert official_tensors(again) == official_tensors(config)
        assert (again.rope_theta, again.layer_norm_eps, again.moe_top_k, again.norm_after) == (
            config.rope_theta,
            config.layer_norm_eps,
            config.moe_top_k,
            config.norm_after,
        )


@pytest.mark.parametrize("flavour", ["7b-d", "7b-o", "e-1b"])
def test_a_saved_model_is_official_again(tiny, tmp_path: Path, flavour: str) -> None:
    model = MolmoForConditionalGeneration.from_pretrained(tiny(flavour))

    model.save_pretrained(tmp_path / "again")

    found = check_folder(tmp_path / "again", model.config)
    assert set(found) == set(official_tensors(model.config))
    again = MolmoForConditionalGeneration.from_pretrained(tmp_path / "again")
    for left, right in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(left, right)


def test_auto_classes_load_without_the_folders_own_code(tiny) -> None:
    folder = tiny("7b-d")
    assert "auto_map" in json.loads((folder / "config.json").read_text())

    assert isinstance(AutoConfig.from_pretrained(folder), MolmoConfig)
    assert isinstance(AutoProcessor.from_pretrained(folder), MolmoProcessor)
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.bfloat16)
    assert isinstance(model, MolmoForConditionalGeneration)
    assert model.dtype == torch.bfloat16


@pytest.mark.parametrize("eps", [1e-6, 1e-5, 1e-2])
def test_every_norm_uses_the_configs_epsilon(eps: float) -> None:
    keys = CONFIGS["7b-o"] | {"layer_norm_eps": eps, "num_hidden_layers": 2}
    with torch.device("meta"):
        model = MolmoForConditionalGeneration(MolmoConfig.from_dict(keys))
    norms = [module for module in model.modules() if isinstance(module, RMSNorm)]
    assert len(norms) == 2 * 4 + 1
    assert {norm.eps for norm in norms} == {eps}


def test_the_norm_divides_by_the_root_of_mean_square_plus_epsilon() -> None:
    norm = RMSNorm(4, eps=0.5)
    x = torch.tensor([[1.0, -2.0, 3.0, 0.5]])
    want = x / torch.sqrt((x * x).mean() + 0.5)
    torch.testing.assert_close(norm(x), want)
    low = norm.bfloat16()(x.bfloat16())
    torch.testing.assert_close(low, want.bfloat16())


@pytest.fixture
def broken(tiny, tmp_path: Path) -> Path:
    """A copy of a tiny folder, to be damaged."""
    folder = tmp_path / "broken"
    shutil.copytree(tiny("7b-d"), folder)
    return folder


def shard(folder: Path) -> Path:
    return sorted(folder.glob("*.safetensors"))[0]


def refuse_allocation(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("the model was built before its files were checked")

    monkeypatch.setattr(MolmoForConditionalGeneration, "__init__", never)


def test_a_missing_shard_is_named_before_anything_is_allocated(broken, monkeypatch) -> None:
    refuse_allocation(monkeypatch)
    shard(broken).unlink()
    with pytest.raises(ModelError, match=r"1 of 2 weight files are missing.*00001"):
        MolmoForConditionalGeneration.from_pretrained(broken)


def test_a_cut_shard_is_named_before_anything_is_allocated(broken, monkeypatch) -> None:
    refuse_allocation(monkeypatch)
    with shard(broken).open("r+b") as stream:
        stream.truncate(shard(broken).stat().st_size - 4096)
    with pytest.raises(ModelError, match=r"00001.*was cut"):
        MolmoForConditionalGeneration.from_pretrained(broken)


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 64, struct.pack("<Q", 4) + b"[1]x"])
def test_a_file_that_is_no_safetensors_is_named(broken, content: bytes) -> None:
    shard(broken).write_bytes(content)
    with pytest.raises(ModelError, match="00001"):
        MolmoForConditionalGeneration.from_pretrained(broken)


def test_weights_of_another_size_are_refused(broken) -> None:
    keys = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps(keys | {"hidden_size": 128}))
    with pytest.raises(ModelError, match="not those of this config"):
        MolmoForConditionalGeneration.from_pretrained(broken)


def test_missing_and_left_over_tensors_are_refused(broken) -> None:
    keys = json.loads((broken / "config.json").read_text())
    for layers, fault in [(2, "left over"), (4, "missing")]:
        (broken / "config.json").write_text(json.dumps(keys | {"num_hidden_layers": layers}))
        with pytest.raises(ModelError, match=fault):
            MolmoForConditionalGeneration.from_pretrained(broken)


@pytest.mark.parametrize(
    "text", ["", "[]", '{"model_type": "qwen2"}', '{"model_type": "molmo", "clip_qkv": 8}']
)
def test_a_config_that_is_no_molmo_is_refused(broken, text: str) -> None:
    (broken / "config.json").write_text(text)
    with pytest.raises(ConfigError):
        MolmoForConditionalGeneration.from_pretrained(broken)


def test_a_folder_without_weights_says_so(broken) -> None:
    for file in broken.glob("model*"):
        file.unlink()
    with pytest.raises(ModelError, match="neither"):
        MolmoForConditionalGeneration.from_pretrained(broken)


def test_offline_and_not_on_disk_is_a_clear_error(monkeypatch, tmp_path) -> None:
    with pytest.raises(ModelError, match="not on disk"):
        MolmoForConditionalGeneration.from_pretrained(
            "allenai/Molmo-7B-D-0924", local_files_only=True, cache_dir=tmp_path
        )


def test_a_path_that_is_not_there_is_a_clear_error(tmp_path) -> None:
    with pytest.raises(ModelError, match="no such folder"):
        MolmoForConditionalGeneration.from_pretrained(tmp_path / "nothing")
    with pytest.raises(ModelError, match="no such folder"):
        MolmoProcessor.from_pretrained(tmp_path / "nothing")

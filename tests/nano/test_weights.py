"""A weights file that is missing or another network's is named, not met later as nonsense."""

from __future__ import annotations

import pytest

from molmo_node.errors import ConfigError, ModelError

pytestmark = pytest.mark.model
torch = pytest.importorskip("torch")
from safetensors.torch import save_file  # noqa: E402

from molmo_node.models.nano import NanoEngine  # noqa: E402
from molmo_node.models.nano.network import Nano, NanoConfig  # noqa: E402
from molmo_node.models.registry import load_engine  # noqa: E402


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"gone\.safetensors"):
        NanoEngine.load(tmp_path / "gone.safetensors")


def test_a_file_that_is_no_safetensors_is_named(tmp_path):
    path = tmp_path / "text.safetensors"
    path.write_bytes(b"not weights" * 20)

    with pytest.raises(ModelError, match="cannot be read"):
        NanoEngine.load(path)


def test_another_networks_weights_are_refused(tmp_path):
    path = tmp_path / "slim.safetensors"
    save_file(Nano(NanoConfig(depth=2)).state_dict(), path)

    with pytest.raises(ModelError, match="shape"):
        NanoEngine.load(path)


def test_the_network_has_the_size_that_was_promised():
    count = sum(value.numel() for value in Nano().parameters())

    assert 2_000_000 < count < 6_000_000


def test_the_table_of_engines_loads_it_from_a_file(tmp_path):
    path = tmp_path / "own.safetensors"
    save_file(Nano().state_dict(), path)
    told = []

    engine = load_engine(f"nano:{path}", device="cpu", progress=told.append)

    assert engine.name == "molmo-nano"
    assert told == [100.0]


def test_another_device_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="CPU"):
        load_engine("nano", device="cuda:0")

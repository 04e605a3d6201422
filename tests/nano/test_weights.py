"""A weights file that is missing or another network's is named, not met later as nonsense."""

from __future__ import annotations

import hashlib

import pytest

from molmo_node.errors import ConfigError, ModelError
from molmo_node.messages import Question
from molmo_node.sim.bench import Bench
from molmo_node.sim.scene import matching

pytestmark = pytest.mark.model
torch = pytest.importorskip("torch")
from safetensors.torch import save_file  # noqa: E402

from molmo_node.models.nano import NanoEngine  # noqa: E402
from molmo_node.models.nano.network import Nano, NanoConfig  # noqa: E402
from molmo_node.models.nano.weights import WEIGHTS  # noqa: E402
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


def test_the_shipped_file_is_the_one_that_the_card_describes():
    digest = hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()

    assert digest == "37105221cd90e020872e0090a7d93894731cddb92b896f0f1e2681b0741f7ea3"
    assert WEIGHTS.stat().st_size < 16 * 1024**2


def test_the_shipped_engine_finds_things_on_the_bench_and_refuses_other_words():
    scene = Bench(960, 540).at(12.5)
    engine = NanoEngine.load()

    ball, cat = engine.ask(
        engine.encode(scene.image_hwc),
        [
            Question.point("the blue ball"),
            Question.point("the cat"),
        ],
    )

    thing = matching(scene, "blue", "ball")[0]
    place = ball.points[0]
    assert scene.instance_hw[int(place.y_px), int(place.x_px)] == thing.number
    assert "cat" in cat.no_answer

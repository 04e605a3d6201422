"""Tiny checkpoints, made once a run, and the full golden set where it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the [model] extra")

import torch

from molmo_node.models.family import MolmoFamily
from molmo_node.models.molmo import MolmoForConditionalGeneration, MolmoProcessor
from molmo_node.models.molmo2 import Molmo2Family
from tools import make_tiny_molmo, make_tiny_molmo2

SHARED_GOLDEN = Path(__file__).resolve().parents[2].parent / "shared" / "golden"


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Tests run beside each other; torch's threads would only fight."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Gives the folder of a tiny checkpoint; the same arguments give the same folder."""
    made: dict[tuple[str, int], Path] = {}

    def folder(flavour: str, layers: int = 3) -> Path:
        key = (flavour, layers)
        if key not in made:
            path = tmp_path_factory.mktemp("tiny") / flavour
            if flavour.startswith("molmo2"):
                norm = "olmo" if flavour == "molmo2-o" else "qwen3"
                made[key] = make_tiny_molmo2.make(path, layers=layers, qk_norm_type=norm)
            else:
                made[key] = make_tiny_molmo.make(path, flavour, layers=layers)
        return made[key]

    return folder


def load_family(folder: Path) -> MolmoFamily | Molmo2Family:
    """The family of a tiny folder, float32 on the CPU."""
    if not folder.name.startswith("molmo2"):
        model = MolmoForConditionalGeneration.from_pretrained(folder)
        return MolmoFamily(model, MolmoProcessor.from_pretrained(folder))
    from transformers import AutoProcessor, Molmo2ForConditionalGeneration

    model = Molmo2ForConditionalGeneration.from_pretrained(folder, attn_implementation="sdpa")
    return Molmo2Family(model, AutoProcessor.from_pretrained(folder))


@pytest.fixture(scope="session")
def family(tiny: Callable[..., Path]) -> Callable[[str], MolmoFamily | Molmo2Family]:
    """Gives the family of a flavour, loaded once a run."""
    loaded: dict[str, MolmoFamily | Molmo2Family] = {}

    def get(flavour: str) -> MolmoFamily | Molmo2Family:
        if flavour not in loaded:
            loaded[flavour] = load_family(tiny(flavour))
        return loaded[flavour]

    return get


@pytest.fixture(scope="session")
def golden() -> Path:
    """The full golden set."""
    if not SHARED_GOLDEN.is_dir():
        pytest.skip("the full golden set is not beside this checkout")
    return SHARED_GOLDEN

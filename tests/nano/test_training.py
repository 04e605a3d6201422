"""Training lowers the loss, and a run taken up goes on exactly where it stopped."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.model
torch = pytest.importorskip("torch")
from molmo_node.errors import ConfigError  # noqa: E402
from molmo_node.models.nano.network import Nano, NanoConfig  # noqa: E402
from molmo_node.models.nano.weights import load_network  # noqa: E402
from tools.nano_training import checkpoint  # noqa: E402
from tools.nano_training.batches import patch_of  # noqa: E402
from tools.nano_training.curves import draw_curves  # noqa: E402
from tools.nano_training.drawing import make_batch  # noqa: E402
from tools.nano_training.loop import Limits, Run, train_step  # noqa: E402
from tools.nano_training.optimizer import Optimizer, Rates, orthogonalized  # noqa: E402
from tools.nano_training.recipe import FROM_NOTHING, Recipe, Stage, Turn  # noqa: E402

SLIM = NanoConfig(
    cell_width=16, vit_width=32, vit_depth=1, vit_heads=2, key_width=32, width=48, depth=2, heads=3
)
TINY = Recipe(
    stages=(Stage("tiny", 40, (Turn(84, 4, {"objects": 0.7, "clock": 0.3}, 3),), 0.5),),
    peak=Rates(muon=0.01, adam=0.002),
    warmup_steps=5,
)


def tiny_batch(seed: int, step: int):
    return make_batch(seed * 1000 + step, TINY.stages[0].turn_at(step))


def run_to(folder, step: int) -> None:
    limits = Limits(until_step=step, cpu_s=1e9, evaluate_every=1000, drawing_processes=0)
    Run(
        folder, torch.device("cpu"), limits, lambda row: None, TINY, tiny_batch, config=SLIM
    ).go_on()


def tensors_of(folder):
    model = Nano(SLIM)
    optimizer = Optimizer(model)
    progress = checkpoint.load(folder, model, optimizer)
    return progress, {**model.state_dict(), **optimizer.state()}


def test_twenty_steps_on_one_batch_lower_every_part_of_the_loss():
    torch.manual_seed(0)
    model, batch = Nano(SLIM), make_batch(7, Turn(84, 4, {"objects": 0.6, "gauge": 0.4}, 3))
    optimizer = Optimizer(model)

    rows = [
        train_step(model, optimizer, batch, step, Rates(0.01, 0.002), 0.5) for step in range(20)
    ]

    assert sum(rows[-1].values()) < 0.75 * sum(rows[0].values())
    assert rows[-1]["patch"] < rows[0]["patch"]
    assert rows[-1]["stop"] < rows[0]["stop"]


def test_a_run_taken_up_equals_a_run_that_went_through(tmp_path):
    run_to(tmp_path / "through", 6)
    run_to(tmp_path / "cut", 3)
    run_to(tmp_path / "cut", 6)

    first, second = tensors_of(tmp_path / "through"), tensors_of(tmp_path / "cut")

    assert first[0].step == second[0].step == 6
    assert first[0].pictures == second[0].pictures == 24
    assert first[1].keys() == second[1].keys()
    assert all(torch.equal(first[1][name], second[1][name]) for name in first[1])


def test_an_exported_file_answers_as_the_averaged_weights(tmp_path):
    model = Nano()
    optimizer = Optimizer(model)
    optimizer.average["query.bias"].fill_(0.25)
    checkpoint.save(tmp_path, model, optimizer, checkpoint.Progress(step=70, pictures=9))

    digest = checkpoint.export(tmp_path, tmp_path / "nano.safetensors")
    shipped = load_network(tmp_path / "nano.safetensors")

    assert len(digest) == 64
    assert checkpoint.exported_progress(tmp_path / "nano.safetensors").step == 70
    assert bool((shipped.query.bias == 0.25).all())
    assert torch.allclose(shipped.stem.weight, model.stem.weight, atol=1e-3)
    assert (tmp_path / "nano.safetensors").stat().st_size < 16 * 1024**2


def test_a_lost_run_goes_on_from_its_exported_weights(tmp_path):
    model = Nano()
    checkpoint.save(tmp_path, model, Optimizer(model), checkpoint.Progress(step=70, pictures=9))
    checkpoint.export(tmp_path, tmp_path / "nano.safetensors")
    limits = Limits(until_step=70, cpu_s=1e9, drawing_processes=0)

    run = Run(tmp_path / "new", torch.device("cpu"), limits, lambda row: None, TINY, tiny_batch)
    run.start_from, run.keeps_progress = tmp_path / "nano.safetensors", True
    progress = run.go_on()

    assert (progress.step, progress.pictures) == (70, 9)


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    run_to(tmp_path, 1)
    path = tmp_path / "checkpoint.safetensors"
    from safetensors.torch import load_file, save_file

    tensors = load_file(path)
    del tensors["model/query.weight"]
    save_file(tensors, path, metadata={"progress": json.dumps({"step": 1})})

    with pytest.raises(ConfigError, match="another network"):
        tensors_of(tmp_path)


def test_nothing_to_export_is_said(tmp_path):
    with pytest.raises(ConfigError, match="no checkpoint"):
        checkpoint.export(tmp_path, tmp_path / "x")


def test_a_batch_depends_on_its_seed_alone():
    first, again, other = (make_batch(seed, Turn(84, 2, {"objects": 1.0}, 3)) for seed in (5, 5, 6))

    assert torch.equal(first.images, again.images)
    assert torch.equal(first.ids, again.ids)
    assert torch.equal(first.targets.patch, again.targets.patch)
    assert not torch.equal(first.images, other.images)


def test_the_recipe_warms_up_holds_and_decays():
    last = FROM_NOTHING.total_steps - 1
    rates = [FROM_NOTHING.rates_at(step).muon for step in (0, 99, 5_000, last)]

    assert rates[0] == pytest.approx(rates[1] / 100)
    assert rates[1] == rates[2] == FROM_NOTHING.peak.muon
    assert rates[3] < 0.03 * rates[2]


def test_orthogonalized_matrices_have_singular_values_near_one():
    for shape in ((2, 8, 24), (3, 24, 8)):
        values = torch.linalg.svdvals(orthogonalized(torch.randn(shape, generator=_generator())))
        assert values.min() > 0.5
        assert values.max() < 1.3


def _generator():
    return torch.Generator().manual_seed(3)


@pytest.mark.parametrize("point", [(0.0, 0.0), (83.99, 3.5), (40.2, 77.7), (500.0, -3.0)])
def test_a_point_is_its_patch_cell_and_offset(point):
    patch, cell, dx, dy = patch_of(point, 6)

    x = (patch % 6 * 2 + cell % 2 + 0.5 + dx) * 7
    y = (patch // 6 * 2 + cell // 2 + 0.5 + dy) * 7
    assert x == pytest.approx(min(max(point[0], 0), 83.99), abs=0.02)
    assert y == pytest.approx(min(max(point[1], 0), 83.99), abs=0.02)


def test_curves_are_drawn(tmp_path):
    rows = [{"cpu_s": 60 * i, "loss": {"patch": 3 - i}, "figures": {"single_hit": i / 3}}
            for i in range(3)]  # fmt: skip

    draw_curves(rows, tmp_path / "curve.png")

    assert (tmp_path / "curve.png").stat().st_size > 2000

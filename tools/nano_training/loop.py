"""The training loop: exact to the step wherever it is stopped and taken up."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch

from molmo_node.models.nano.engine import NanoEngine
from molmo_node.models.nano.network import Nano, NanoConfig
from molmo_node.models.nano.weights import load_network
from tools.nano_training import checkpoint
from tools.nano_training.batches import Batch, Targets
from tools.nano_training.checkpoint import Progress
from tools.nano_training.curves import draw_curves
from tools.nano_training.drawing import RecipeBatches
from tools.nano_training.evaluate import evaluate, summary
from tools.nano_training.losses import LossWeights, losses
from tools.nano_training.optimizer import Optimizer, Rates, has_bf16_unit
from tools.nano_training.recipe import FROM_NOTHING, Recipe

BatchMaker = Callable[[int, int], Batch]  # seed of the run, step


@dataclass(frozen=True)
class Limits:
    """When to stop and how often to save and evaluate."""

    until_step: int
    cpu_s: float
    save_every_s: float = 120.0
    evaluate_every: int = 500
    evaluate_scenes: int = 100
    drawing_processes: int = 1
    threads: int = 1

    def up_to(self, steps: int) -> Limits:
        """The same, but ending at `steps` at the latest."""
        return replace(self, until_step=min(self.until_step, steps))


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The same batch with its tensors on a device."""
    moved: dict[str, Any] = {}
    for item in fields(batch):
        value = getattr(batch, item.name)
        if isinstance(value, Targets):
            tensors = {f.name: getattr(value, f.name).to(device) for f in fields(value)}
            moved[item.name] = Targets(**tensors)
        else:
            moved[item.name] = value.to(device)
    return Batch(**moved)


def precision(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """bf16 where the machine has a unit for it (GPU, AMX), else fp32: emulated bf16 is slower."""
    if has_bf16_unit(device):
        return torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext()


def train_step(
    model: Nano, optimizer: Optimizer, batch: Batch, step: int, rates: Rates, dense: float
) -> dict[str, float]:
    """One step; `step` counts from 0. Returns the parts of the loss, weighted."""
    device = model.stem.weight.device
    with precision(device):
        parts = losses(model, to_device(batch, device), LossWeights(dense=dense))
    torch.stack(list(parts.values())).sum().backward()
    optimizer.step(step + 1, rates)
    return {name: float(value.detach()) for name, value in parts.items()}


def batches(maker: BatchMaker, seed: int, first: int, processes: int) -> Iterator[Batch]:
    """Batches from step `first` on; with processes, some steps are drawn ahead."""
    if processes == 0:
        step = first
        while True:
            yield maker(seed, step)
            step += 1
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, torch.set_num_threads, (1,)) as pool:
        ahead: list[Future[Batch]] = []
        step = first
        while True:
            while len(ahead) < 2 * processes + 1:
                ahead.append(pool.submit(maker, seed, step))
                step += 1
            yield ahead.pop(0).result()


def _cpu_s() -> float:
    """Processor time of this process and its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


@dataclass
class Run:
    """A run in its folder; `on_row` is told of every new row of the curve.

    A new run starts from the weights in `start_from`, with `keeps_progress` at the step at
    which they were exported; a folder with a checkpoint always goes on from that.
    """

    folder: Path
    device: torch.device
    limits: Limits
    on_row: Callable[[dict[str, Any]], None]
    recipe: Recipe = FROM_NOTHING
    maker: BatchMaker = field(default_factory=RecipeBatches)
    start_from: Path | None = None
    keeps_progress: bool = False
    config: NanoConfig = field(default_factory=NanoConfig)
    should_stop: Callable[[], bool] = lambda: False

    def go_on(self) -> Progress:
        """Train from the folder's checkpoint to a limit, saving and evaluating on the way.

        Raises:
            ConfigError: the checkpoint belongs to another network.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        torch.set_num_threads(self.limits.threads)
        torch.manual_seed(1)
        model = load_network(self.start_from) if self.start_from else Nano(self.config)
        model.to(self.device).train().requires_grad_(True)
        optimizer = Optimizer(model)
        progress = checkpoint.load(self.folder, model, optimizer)
        if self.start_from and self.keeps_progress and progress.step == 0:
            progress = checkpoint.exported_progress(self.start_from)
        source = batches(self.maker, progress.seed, progress.step, self.limits.drawing_processes)
        with contextlib.closing(source):
            progress = self._loop(model, optimizer, progress, source)
        checkpoint.save(self.folder, model, optimizer, progress)
        return progress

    def _loop(
        self, model: Nano, optimizer: Optimizer, start: Progress, source: Iterator[Batch]
    ) -> Progress:
        progress, spent_s, saved_s = start, _cpu_s(), time.monotonic()
        mean: dict[str, float] = {}
        while not self._is_over(progress, start):
            stage, _ = self.recipe.stage_at(progress.step)
            batch, rates = next(source), self.recipe.rates_at(progress.step)
            parts = train_step(model, optimizer, batch, progress.step, rates, stage.dense)
            mean = {k: mean.get(k, v) * 0.98 + v * 0.02 for k, v in parts.items()}
            progress = replace(
                progress,
                step=progress.step + 1,
                pictures=progress.pictures + len(batch.images),
                cpu_s=start.cpu_s + _cpu_s() - spent_s,
            )
            if time.monotonic() - saved_s > self.limits.save_every_s:
                checkpoint.save(self.folder, model, optimizer, progress)
                saved_s = time.monotonic()
            if progress.step % self.limits.evaluate_every == 0:
                averaged = checkpoint.averaged(optimizer, self.config)
                self._report(averaged, progress, mean)
        return progress

    def _is_over(self, progress: Progress, start: Progress) -> bool:
        return (
            progress.step >= self.limits.until_step
            or progress.cpu_s - start.cpu_s > self.limits.cpu_s
            or self.should_stop()
        )

    def _report(self, model: Nano, progress: Progress, mean: dict[str, float]) -> None:
        stage, _ = self.recipe.stage_at(progress.step - 1)
        side_px = max(turn.side_px for turn in stage.turns)
        rows = evaluate(NanoEngine(model, side_px), self.limits.evaluate_scenes)
        row = {
            "step": progress.step,
            "stage": stage.name,
            "pictures": progress.pictures,
            "cpu_s": round(progress.cpu_s),
            "loss": {name: round(value, 4) for name, value in mean.items()},
            "figures": {name: round(value, 3) for name, (value, _) in summary(rows).items()},
        }
        checkpoint.append_curve(self.folder, row)
        draw_curves(checkpoint.read_curve(self.folder), self.folder / "curve.png")
        self.on_row(row)

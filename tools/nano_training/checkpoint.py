"""A run's folder: one resumable checkpoint, the curve, and the weights to ship."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from molmo_node.errors import ConfigError
from molmo_node.models.nano.network import Nano, NanoConfig
from tools.nano_training.optimizer import Optimizer


@dataclass
class Progress:
    """How far a run is. `cpu_s` counts the training process and its drawing processes."""

    step: int = 0
    pictures: int = 0
    cpu_s: float = 0.0
    seed: int = 1


def save(folder: Path, model: Nano, optimizer: Optimizer, progress: Progress) -> None:
    """Write `checkpoint.safetensors`, all or nothing."""
    tensors = {f"model/{name}": value for name, value in model.state_dict().items()}
    tensors |= optimizer.state()
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    path = folder / "checkpoint.safetensors"
    spare = path.with_suffix(".new")
    save_file(tensors, spare, metadata={"progress": json.dumps(asdict(progress))})
    os.replace(spare, path)


def load(folder: Path, model: Nano, optimizer: Optimizer) -> Progress:
    """Take up a run where `save` left it; a folder without a checkpoint starts from nothing.

    Raises:
        ConfigError: the checkpoint belongs to another network.
    """
    path = folder / "checkpoint.safetensors"
    if not path.exists():
        return Progress()
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        progress = Progress(**json.loads(file.metadata()["progress"]))
    try:
        _load_model(model, tensors)
        optimizer.load(tensors)
    except (KeyError, RuntimeError) as exc:
        raise ConfigError(
            f"{path}: the checkpoint is of another network ({exc})",
            hint="give another folder with --run, or use the program that wrote it",
        ) from exc
    return progress


def _load_model(model: Nano, tensors: dict[str, torch.Tensor]) -> None:
    prefix = "model/"
    model.load_state_dict({k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)})


def averaged(optimizer: Optimizer, config: NanoConfig) -> Nano:
    """A copy of the network with the averaged weights, ready to answer."""
    model = Nano(config)
    model.load_state_dict({name: value.cpu() for name, value in optimizer.average.items()})
    return model.eval()


def append_curve(folder: Path, row: dict[str, Any]) -> None:
    """One line more in `curve.jsonl`."""
    with (folder / "curve.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")


def read_curve(folder: Path) -> list[dict[str, Any]]:
    """All lines of `curve.jsonl`, oldest first."""
    path = folder / "curve.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def export(folder: Path, path: Path) -> str:
    """Write the averaged weights in half precision, as `models/nano/weights.py` reads them.

    They carry the run's progress, so that a run whose folder was lost can go on from them.

    Returns:
        The file's SHA-256, which tests/nano/test_weights.py records.

    Raises:
        ConfigError: the folder holds no checkpoint.
    """
    source = folder / "checkpoint.safetensors"
    if not source.exists():
        raise ConfigError(f"{source}: there is no checkpoint to export")
    prefix = "average/"
    with safe_open(source, framework="pt") as file:
        names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118
        tensors = {name[len(prefix) :]: file.get_tensor(name).half() for name in names}
        metadata = {"progress": file.metadata()["progress"]}
    save_file(tensors, path, metadata=metadata)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def exported_progress(path: Path) -> Progress:
    """How far the run was that `export` wrote this file from.

    Raises:
        ConfigError: the file does not say.
    """
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
    if "progress" not in metadata:
        raise ConfigError(f"{path}: the file does not say how far its training was")
    return Progress(**json.loads(metadata["progress"]))

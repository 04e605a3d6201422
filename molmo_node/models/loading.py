"""A checkpoint folder or hub name to a ready engine."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch

from molmo_node.errors import ConfigError, DeviceLost, ModelError
from molmo_node.models.catalog import known_model
from molmo_node.models.faults import is_device_lost, is_out_of_memory
from molmo_node.models.hub import snapshot
from molmo_node.models.molmo_engine import MolmoEngine
from molmo_node.models.safetensors_files import read_header, weight_files

log = logging.getLogger(__name__)

_T = TypeVar("_T")
_DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}


def load_molmo(
    spec: str,
    *,
    device: str = "auto",
    dtype: str = "auto",
    max_crops: int | None = None,
    progress: Callable[[float], None] | None = None,
    revision: str | None = None,
    full_text: bool = False,
    use_graphs: bool = True,
    is_warm: bool = True,
) -> MolmoEngine:
    """Load a Molmo or Molmo2 and warm it up.

    Args:
        spec: a folder in the official layout, or a hub name.
        device, dtype: as in `load_engine`; ``auto`` spreads a model that is too large over
            all accelerators and the host (accelerate's device map).
        revision: what is pulled from the hub; None: the commit that `catalog` pins for a known
            model, else the newest.
        full_text, use_graphs: as in `MolmoEngine`.
        is_warm: answer once before the first question.

    Raises:
        ConfigError: not a Molmo, or an unknown device or dtype.
        ModelError: files missing, cut or wrong; out of memory.
    """
    tell = progress or (lambda _: None)
    tell(0.0)
    known = known_model(spec)
    pinned = revision or (known.revision if known else None)
    folder = snapshot(spec, **({"revision": pinned} if pinned else {}))
    kind = _model_type(folder)
    place, number_type = _device(device), _dtype(dtype, device)
    if place != "auto":
        # A device that is not there fails here, before gigabytes are read.
        _safely(spec, lambda: torch.empty(0, device=place))
    tell(5.0)
    family = _safely(spec, lambda: _FAMILIES[kind](folder, place, number_type))
    tell(90.0)
    engine = MolmoEngine(
        family, spec, max_crops=max_crops, full_text=full_text, use_graphs=use_graphs
    )
    if is_warm:
        _safely(spec, engine.warm_up)
    log.info(
        "model loaded",
        extra={"model": spec, "device": str(family.device), "execution": engine.execution},
    )
    tell(100.0)
    return engine


def _safely(spec: str, step: Callable[[], _T]) -> _T:
    """Run a step of loading; what the device says becomes an error of ours."""
    try:
        return step()
    except (RuntimeError, MemoryError) as exc:
        raise _failure(spec, exc) from exc


def _failure(spec: str, exc: BaseException) -> ModelError:
    first_line = (str(exc).splitlines() or [type(exc).__name__])[0]
    if is_out_of_memory(exc):
        return ModelError(
            f"{spec}: out of memory while loading",
            hint="`molmo-node models` says how much each model needs; try --dtype bfloat16",
        )
    if is_device_lost(exc):
        return DeviceLost(f"{spec}: the device failed while loading: {first_line}")
    return ModelError(f"{spec}: cannot be loaded: {first_line}")


def _model_type(folder: Path) -> str:
    try:
        kind = json.loads((folder / "config.json").read_text()).get("model_type")
    except (OSError, ValueError, AttributeError) as exc:
        raise ConfigError(f"{folder}: no readable config.json") from exc
    if kind not in _FAMILIES:
        raise ConfigError(f"{folder}: model_type is {kind!r}, expected molmo or molmo2")
    return str(kind)


def _device(name: str) -> str:
    """What `device_map` is given."""
    if name != "auto":
        try:
            torch.device(name)
        except RuntimeError as exc:
            raise ConfigError(f"{name!r} is no device", hint="auto, cpu, cuda or cuda:1") from exc
        if name.startswith("cuda") and not torch.cuda.is_available():
            raise ConfigError(f"{name}: no CUDA device is available", hint="--device cpu, or auto")
        return name
    return "auto" if torch.cuda.is_available() else "cpu"


def _dtype(name: str, device: str) -> torch.dtype:
    if name == "auto":
        on_host = device == "cpu" or (device == "auto" and not torch.cuda.is_available())
        return torch.float32 if on_host else torch.bfloat16
    if name not in _DTYPES:
        raise ConfigError(f"{name!r} is no dtype", hint=", ".join(["auto", *_DTYPES]))
    return _DTYPES[name]


def _molmo(folder: Path, device: str, dtype: torch.dtype) -> Any:
    from molmo_node.models.family import MolmoFamily
    from molmo_node.models.molmo import MolmoForConditionalGeneration, MolmoProcessor

    processor = MolmoProcessor.from_pretrained(folder)
    model = MolmoForConditionalGeneration.from_pretrained(folder, dtype=dtype, device_map=device)
    return MolmoFamily(model, processor)


def _molmo2(folder: Path, device: str, dtype: torch.dtype) -> Any:
    try:
        from transformers import AutoProcessor, Molmo2ForConditionalGeneration
    except ImportError as exc:
        raise ModelError(
            f"{folder}: this transformers has no Molmo2", hint="pip install -U transformers"
        ) from exc
    from molmo_node.models.molmo2 import Molmo2Family

    for file in weight_files(folder):
        read_header(file)
    try:
        processor = AutoProcessor.from_pretrained(folder)
        model = Molmo2ForConditionalGeneration.from_pretrained(
            folder, dtype=dtype, device_map=device, attn_implementation="sdpa"
        )
    except (OSError, ValueError, ImportError) as exc:
        raise _failure(str(folder), exc) from exc
    return Molmo2Family(model, processor)


_FAMILIES: dict[str, Callable[[Path, str, torch.dtype], Any]] = {
    "molmo": _molmo,
    "molmo2": _molmo2,
}

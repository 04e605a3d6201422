"""Engines by name: one table row a kind, imported when it is asked for.

A spec is ``scripted:FILE``, ``nano``, a checkpoint folder, or a hub name such as
``allenai/Molmo-7B-D-0924``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from molmo_node.errors import ConfigError, ModelError
from molmo_node.models.engine import Engine

# kind: module and function that takes what stands behind the kind's colon, and the options.
KINDS = {
    "scripted": "molmo_node.models.scripted:load_scripted",
    "nano": "molmo_node.models.nano:load_nano",
    "molmo": "molmo_node.models.loading:load_molmo",
}


def load_engine(
    spec: str,
    *,
    device: str = "auto",
    dtype: str = "auto",
    max_crops: int | None = None,
    progress: Callable[[float], None] | None = None,
    **options: Any,
) -> Engine:
    """Load the engine that a spec names.

    Args:
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, …
        dtype: ``auto`` (bfloat16 on an accelerator, float32 on a CPU), ``float32``,
            ``bfloat16`` or ``float16``.
        max_crops: crops besides the global one; None: the checkpoint's own number.
        progress: is told how much is loaded, in percent.
        options: the kind's own, such as `revision` or `full_text` of `load_molmo`.

    Raises:
        ConfigError: no such kind, folder or hub name; or a setting that it does not know.
        ModelError: it cannot be loaded: files missing, cut or wrong, no memory, no device.
    """
    kind, argument = _kind(spec)
    module, _, name = KINDS[kind].partition(":")
    try:
        load: Callable[..., Engine] = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as exc:
        if (exc.name or "").startswith("molmo_node"):
            raise
        raise ModelError(
            f"{spec}: needs the Python package {exc.name}, which is not installed",
            hint=f"pip install 'molmo_node[{'nano' if kind == 'nano' else 'model'}]'",
        ) from exc
    return load(
        argument, device=device, dtype=dtype, max_crops=max_crops, progress=progress, **options
    )


def _kind(spec: str) -> tuple[str, str]:
    """The table row of a spec, and what its loader is given."""
    kind, colon, argument = spec.partition(":")
    if kind in KINDS and (colon or kind == "nano"):
        return kind, argument
    if spec and (Path(spec).expanduser().is_dir() or spec.count("/") == 1):
        return "molmo", spec
    raise ConfigError(
        f"{spec!r} is no engine: neither a kind, a folder nor a hub name",
        hint=f"kinds are {', '.join(KINDS)}; `molmo-node models` lists what can be pulled",
    )

"""`nano` and `nano:FILE` in the table of engines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from molmo_node.errors import ConfigError
from molmo_node.models.nano.engine import NanoEngine
from molmo_node.models.nano.weights import WEIGHTS


def load_nano(
    path: str = "",
    *,
    device: str = "auto",
    progress: Callable[[float], None] | None = None,
    **_options: Any,
) -> NanoEngine:
    """The embedded engine, with the weights of the package or of a file; it runs on the CPU.

    Torch is held to one thread from here on, in the whole process: a model this small gains
    little from a second one, and where cores are shared threads wait for each other.

    Raises:
        ConfigError: a device other than the CPU is asked for.
        ModelError: the weights are missing or another network's.
    """
    if device not in ("auto", "cpu"):
        raise ConfigError(
            f"molmo-nano runs on the CPU, not on {device!r}",
            hint="leave the device at auto; one answer takes 50 ms of one core",
        )
    torch.set_num_threads(1)
    engine = NanoEngine.load(Path(path).expanduser() if path else WEIGHTS)
    if progress is not None:
        progress(100.0)
    return engine

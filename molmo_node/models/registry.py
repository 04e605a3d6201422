"""Engines by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import yaml

from molmo_node.errors import ConfigError
from molmo_node.models.engine import Engine


def load_engine(
    spec: str,
    *,
    device: str = "auto",
    dtype: str = "auto",
    progress: Callable[[float], None] | None = None,
) -> Engine:
    """Load an engine: ``scripted:FILE``."""
    kind, _, path = spec.partition(":")
    if kind != "scripted":
        raise ConfigError(f"{spec!r} is no engine", hint="use none or scripted:FILE")
    from molmo_node.models.scripted import ScriptedEngine

    try:
        script = yaml.safe_load(Path(path).read_text())
    except (OSError, yaml.YAMLError) as exc:
        raise ConfigError(f"script {path}: cannot be read") from exc
    return ScriptedEngine(script)

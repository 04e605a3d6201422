"""Settings as a person or an editor reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from molmo_node.config.layers import leaves
from molmo_node.config.load import Loaded
from molmo_node.config.model import Settings
from molmo_node.config.secrets import mask


@dataclass(frozen=True)
class Row:
    """One value of `config show`; passwords are masked."""

    key: str
    value: Any
    origin: str


def show(loaded: Loaded) -> list[Row]:
    """Every setting with its value and who gave it, in the order of the model."""
    tree = loaded.settings.model_dump(mode="json")
    return [
        Row(key, mask(value) if isinstance(value, str) else value, loaded.origin(key))
        for key, value in leaves(tree, "")
    ]


def schema() -> dict[str, Any]:
    """JSON schema of a settings file, for editors."""
    return Settings.model_json_schema()

"""Laying sources of settings over each other, and remembering whose value each one is.

A dotted key names one value: ``worker.model``, ``cameras.0.fps``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

Tree = dict[str, Any]
DEFAULT = "default"


class Layers:
    """The values given so far and, for each, who gave it. Later layers win.

    Mappings merge key by key; a list replaces a list, but a mapping with numbers for keys
    (``cameras.0.fps``) changes single items of the list below it.
    """

    def __init__(self) -> None:
        self.tree: Tree = {}
        self._origins: dict[str, str] = {}

    def lay(self, layer: Mapping[str, Any], origin: str) -> None:
        """Put a source's values on top; `origin` is what a person calls that source."""
        self._merge(self.tree, layer, origin, "")

    def origin(self, dotted_key: str) -> str:
        """Who gave this value (for a mapping or list: the last one who gave a part of it)."""
        found = self._origins.get(dotted_key)
        if found is not None:
            return found
        below = [value for key, value in self._origins.items() if key.startswith(dotted_key + ".")]
        return below[-1] if below else DEFAULT

    def _merge(self, base: Any, layer: Mapping[str, Any], origin: str, prefix: str) -> None:
        for key, value in layer.items():
            place = _place(base, key)
            dotted_key = f"{prefix}{key}"
            if isinstance(value, Mapping) and place is not None and _holds(base[place], value):
                self._merge(base[place], value, origin, dotted_key + ".")
                continue
            self._forget(dotted_key)
            if place is None:
                base[key] = deepcopy(value)
            else:
                base[place] = deepcopy(value)
            self._origins.update((leaf, origin) for leaf, _ in leaves(value, dotted_key))

    def _forget(self, dotted_key: str) -> None:
        for known in list(self._origins):
            if known == dotted_key or known.startswith(dotted_key + "."):
                del self._origins[known]


def leaves(value: Any, dotted_key: str) -> Iterator[tuple[str, Any]]:
    """The single values below a key; an empty mapping or list counts as one."""
    items: list[tuple[str, Any]] = []
    if isinstance(value, Mapping):
        items = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, list | tuple):
        items = [(str(index), item) for index, item in enumerate(value)]
    if not items:
        yield dotted_key, value
    for key, item in items:
        yield from leaves(item, f"{dotted_key}.{key}" if dotted_key else key)


def nested(dotted_key: str, value: Any) -> Tree:
    """``("worker.model", "nano")`` → ``{"worker": {"model": "nano"}}``."""
    tree: Any = value
    for part in reversed(dotted_key.split(".")):
        tree = {part: tree}
    return dict(tree)


def _place(base: Any, key: str) -> Any:
    """Where `key` lies in a mapping or list, or None where it does not."""
    if isinstance(base, dict):
        return key if key in base else None
    if isinstance(base, list) and str(key).isdecimal() and int(key) < len(base):
        return int(key)
    return None


def _holds(base: Any, layer: Mapping[str, Any]) -> bool:
    """Whether a mapping can be merged into what lies there, instead of replacing it."""
    if isinstance(base, list):
        return bool(layer) and all(_place(base, key) is not None for key in layer)
    return isinstance(base, dict)

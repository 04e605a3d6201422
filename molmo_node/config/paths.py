"""Relative paths of a settings file are relative to that file, not to where a person stands."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

_SCRIPTED = "scripted:"
_FOLDERS = (
    ("gauges", "folder"),
    ("ros2", "python"),
    ("security", "keys_dir"),
    ("web", "token_file"),
    ("web", "data_file"),
)

_SINK_PATHS = (
    ("jsonl", "folder"),
    ("csv", "folder"),
    ("mqtt", "password_file"),
    ("mqtt", "tls_ca"),
    ("prometheus", "token_file"),
)


def anchored(tree: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A copy of a file's values in which its paths stand on `folder`, the file's own.

    Camera sources and models are names as well as paths: they are taken for paths where
    something of that name lies in `folder`.
    """
    tree = deepcopy(tree)
    _on_folder(tree, "run_dir", folder)
    for section, key in _FOLDERS:
        _on_folder(tree.get(section), key, folder)
    sinks = tree.get("sinks")
    for kind, key in _SINK_PATHS:
        _on_folder(sinks.get(kind) if isinstance(sinks, dict) else None, key, folder)
    cameras = tree.get("cameras")
    for camera in cameras if isinstance(cameras, list) else []:
        _if_there(camera, "source", folder)
    _if_there(tree.get("worker"), "model", folder)
    return tree


def _on_folder(section: Any, key: str, folder: Path) -> None:
    if isinstance(section, dict) and isinstance(section.get(key), str):
        section[key] = str(folder / Path(section[key]).expanduser())


def _if_there(section: Any, key: str, folder: Path) -> None:
    if not isinstance(section, dict) or not isinstance(section.get(key), str):
        return
    scheme = _SCRIPTED if section[key].startswith(_SCRIPTED) else ""
    name = section[key].removeprefix(scheme)
    if name and (folder / name).exists():
        section[key] = scheme + str(folder / name)

"""A settings file: read, parsed, and every key's line remembered for messages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from molmo_node.errors import ConfigError

LONGEST_FILE_BYTES = 1024 * 1024


@dataclass(frozen=True)
class YamlFile:
    """A parsed settings file.

    Attributes:
        tree: the top mapping; empty for an empty file.
        lines: the line, from 1, of each dotted key.
    """

    path: Path
    tree: dict[str, Any]
    lines: dict[str, int]

    def place(self, dotted_key: str) -> str:
        """``file.yaml:12`` of the key, or of the nearest key above it that has a line."""
        parts = dotted_key.split(".")
        for end in range(len(parts), 0, -1):
            line = self.lines.get(".".join(parts[:end]))
            if line is not None:
                return f"{self.path}:{line}"
        return str(self.path)


def read_yaml(path: Path) -> YamlFile:
    """Read a settings file.

    Raises:
        ConfigError: there is no such file, it cannot be read, is no YAML (names the line), says
            a key twice, or holds no mapping.
    """
    text = _text(path)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        tree = yaml.safe_load(text)
    except yaml.YAMLError as exc:
        raise ConfigError(_yaml_message(path, exc), hint="the file looks unfinished") from exc
    if tree is None:
        return YamlFile(path, {}, {})
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: expected a mapping of settings, found {type(tree).__name__}")
    lines: dict[str, int] = {}
    _note_lines(path, node, "", lines)
    return YamlFile(path, tree, lines)


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except FileNotFoundError as exc:
        raise ConfigError(
            f"{path}: no such file", hint="check the path; configs/ holds examples"
        ) from exc
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read ({exc.strerror})") from exc
    if len(raw) > LONGEST_FILE_BYTES:
        raise ConfigError(f"{path}: {len(raw)} bytes, at most {LONGEST_FILE_BYTES} allowed")
    try:
        return raw.decode()
    except UnicodeDecodeError as exc:
        line = raw[: exc.start].count(b"\n") + 1
        raise ConfigError(f"{path}:{line}: is not UTF-8 text") from exc


def _yaml_message(path: Path, exc: yaml.YAMLError) -> str:
    mark = getattr(exc, "problem_mark", None)
    problem = getattr(exc, "problem", None) or "is not YAML"
    return f"{path}: {problem}" if mark is None else f"{path}:{mark.line + 1}: {problem}"


def _note_lines(path: Path, node: yaml.Node | None, prefix: str, lines: dict[str, int]) -> None:
    if isinstance(node, yaml.MappingNode):
        items = [(str(key.value), key.start_mark.line + 1, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        items = [(str(i), item.start_mark.line + 1, item) for i, item in enumerate(node.value)]
    else:
        return
    for key, line, item in items:
        dotted_key = f"{prefix}{key}"
        if dotted_key in lines:
            first = lines[dotted_key]
            raise ConfigError(f"{path}:{line}: {dotted_key} is given twice, first in line {first}")
        lines[dotted_key] = line
        _note_lines(path, item, f"{dotted_key}.", lines)

"""Reading settings from their four sources."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource, SettingsError

from molmo_node.config.layers import DEFAULT, Layers, nested
from molmo_node.config.model import ENV_PREFIX, Settings
from molmo_node.config.paths import anchored
from molmo_node.config.problems import config_error, nearest_key
from molmo_node.config.reach import check_reach
from molmo_node.config.yamlfile import YamlFile, read_yaml
from molmo_node.errors import ConfigError

CONFIG_VARIABLE = ENV_PREFIX + "CONFIG"
"""Names the settings file; a flag goes before it. It is no setting itself."""


@dataclass(frozen=True)
class Loaded:
    """Settings, and who gave each of them."""

    settings: Settings
    path: Path | None
    flags: Mapping[str, Any]
    _layers: Layers

    def origin(self, dotted_key: str) -> str:
        """``default``, the file's path, ``MOLMO_NODE_…`` or ``--flag``."""
        return self._layers.origin(dotted_key)

    def child_env(self) -> dict[str, str]:
        """Variables that let a child process load these same settings.

        The child inherits our environment; what it cannot know are the file and the flags.
        """
        env = {} if self.path is None else {CONFIG_VARIABLE: str(self.path.resolve())}
        for key, value in self.flags.items():
            name = ENV_PREFIX + key.upper().replace(".", "__")
            is_text = isinstance(value, str | Path)
            env[name] = str(value) if is_text else json.dumps(value, default=str)
        return env


def load(
    path: Path | None = None,
    env: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
    *,
    flag_names: Mapping[str, str] | None = None,
) -> Loaded:
    """Read settings: defaults < YAML file < MOLMO_NODE_* variables < flags.

    Args:
        path: the file; None takes the one that MOLMO_NODE_CONFIG names, if any.
        env: variables; None takes this process's own.
        flags: from dotted keys (``worker.model``) to values; None values were not given.
        flag_names: from dotted keys to the option a person typed, where it is not the key's
            last word (``{"cameras": "--camera"}``).

    Raises:
        ConfigError: names the place, the key, what was found and what was expected.
    """
    env = os.environ if env is None else env
    given = {key: value for key, value in (flags or {}).items() if value is not None}
    if path is None and env.get(CONFIG_VARIABLE):
        path = Path(env[CONFIG_VARIABLE])
    layers = Layers()
    file = None if path is None else read_yaml(path)
    if file is not None:
        layers.lay(anchored(file.tree, file.path.parent), str(file.path))
    _lay_variables(layers, env)
    for key, value in given.items():
        layers.lay(nested(key, value), _flag_name(key, flag_names or {}))
    settings = _checked(layers, file)
    check_reach(settings, layers.origin)
    return Loaded(settings, path, given, layers)


def _flag_name(key: str, names: Mapping[str, str]) -> str:
    return names.get(key) or "--" + key.rpartition(".")[2].replace("_", "-")


def _lay_variables(layers: Layers, env: Mapping[str, str]) -> None:
    # Short names first, so that a part (CAMERAS__0__FPS) changes the whole (CAMERAS).
    names = [name for name in env if name.startswith(ENV_PREFIX) and name != CONFIG_VARIABLE]
    for name in sorted(names, key=lambda name: (name.count("__"), name)):
        layers.lay(_variable(name, env[name]), name)


def _variable(name: str, value: str) -> dict[str, Any]:
    known = list(Settings.model_fields)
    first = name.removeprefix(ENV_PREFIX).lower().split("__")[0]
    if first not in known:
        near = nearest_key(first, known)
        offer = ENV_PREFIX + near.upper() if near else f"known settings: {', '.join(known)}"
        raise ConfigError(
            f"{name}: unknown variable", hint=f"did you mean {offer}?" if near else offer
        )
    source = EnvSettingsSource(Settings)
    source.env_vars = {name.lower(): value}
    try:
        return source()
    except SettingsError as exc:
        raise ConfigError(
            f"{name}: expected JSON", hint=f"for one value, name it: {name}__KEY=…"
        ) from exc


def _checked(layers: Layers, file: YamlFile | None) -> Settings:
    def place(dotted_key: str) -> str:
        if not dotted_key:
            return str(file.path) if file is not None else "settings"
        origin = layers.origin(dotted_key)
        if origin == DEFAULT:
            origin = layers.origin(dotted_key.rpartition(".")[0])
        return file.place(dotted_key) if file is not None and origin == str(file.path) else origin

    try:
        return Settings(**layers.tree)
    except ValidationError as exc:
        raise config_error(exc, Settings, place) from exc

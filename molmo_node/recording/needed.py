"""Whether the packages that recordings need are installed."""

from __future__ import annotations

import importlib.util

from molmo_node.errors import ConfigError

_RECORD = ("mcap", "zstandard", "google.protobuf", "foxglove_schemas_protobuf")


def need_packages(extra: str = "record", names: tuple[str, ...] = _RECORD) -> None:
    """Say which extra is missing, before a half-done import does in worse words.

    Raises:
        ConfigError: a package of the extra is not installed.
    """
    missing = [name for name in names if not _is_there(name)]
    if missing:
        raise ConfigError(
            f"{', '.join(missing)}: not installed", hint=f"pip install 'molmo_node[{extra}]'"
        )


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # of the package around it
        return False

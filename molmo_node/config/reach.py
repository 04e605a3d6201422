"""Nothing listens beyond this machine without keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from molmo_node.bus.address import Address
from molmo_node.bus.keys import SECRET_SUFFIX
from molmo_node.config.model import Settings
from molmo_node.errors import ConfigError


def check_reach(settings: Settings, origin: Callable[[str], str]) -> None:
    """Refuse an endpoint that others can reach while there are no keys.

    Raises:
        ConfigError: names the endpoint's key, and what makes it allowed.
    """
    for key, endpoint in _endpoints(settings):
        if endpoint is None or Address(endpoint).is_loopback:
            continue
        place = f"{origin(key)}: {key}: {endpoint} reaches beyond this machine"
        if settings.security.transport_security == "off":
            raise ConfigError(
                f"{place} while security.transport_security is off",
                hint="set it to auto or required, and make keys with `molmo-node keys new`",
            )
        if not _has_keys(settings.security.keys_dir):
            raise ConfigError(
                f"{place}, and there are no keys in {settings.security.keys_dir}",
                hint="make them with `molmo-node keys new`, or use tcp://127.0.0.1:PORT",
            )


def _endpoints(settings: Settings) -> list[tuple[str, str | None]]:
    cameras = [(f"cameras.{i}.endpoint", c.endpoint) for i, c in enumerate(settings.cameras)]
    return [*cameras, ("worker.endpoint", settings.worker.endpoint)]


def _has_keys(folder: Path) -> bool:
    return any(path.is_file() for path in folder.glob("*" + SECRET_SUFFIX))

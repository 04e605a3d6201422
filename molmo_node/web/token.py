"""The page's token: read from a file, or made once when the page reaches beyond this machine."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import platformdirs

from molmo_node.config import WebSettings
from molmo_node.errors import ConfigError

SHORTEST = 16
LONGEST = 256


def default_token_file() -> Path:
    """Where a token is kept that nobody named a file for."""
    return Path(platformdirs.user_config_dir("molmo_node", appauthor=False)) / "page_token"


def page_token(settings: WebSettings) -> str | None:
    """The token that visitors must show; None for a page that only this machine reaches.

    Raises:
        ConfigError: the file is missing, open to others, or holds no token.
    """
    if settings.token_file is not None:
        return _read(settings.token_file)
    if settings.is_loopback:
        return None
    path = default_token_file()
    if not path.exists():
        _make(path)
    return _read(path)


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:  # another page was faster
        return
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(32) + "\n")


def _read(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        text = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as exc:
        reason = getattr(exc, "strerror", None) or "is no text"
        raise ConfigError(f"web.token_file {path}: {reason}") from exc
    if mode & 0o077:
        raise ConfigError(f"web.token_file {path}: others may read it", hint=f"chmod 600 {path}")
    if not (SHORTEST <= len(text) <= LONGEST and text.isascii() and text.isprintable()):
        raise ConfigError(
            f"web.token_file {path}: expected one line of {SHORTEST} to {LONGEST} characters",
            hint=f"molmo-node makes a good one if the file is left out ({default_token_file()})",
        )
    return text

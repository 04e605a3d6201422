"""Passwords out of everything that is shown: logs, errors, `config show`."""

from __future__ import annotations

import re
from pathlib import Path

from molmo_node.errors import ConfigError

_LONGEST_SECRET = 1024
_USER = re.compile(r"(?<=://)[^/?#\s]*@")
# Cheap IP cameras take the password in the path or the query instead: …/user=a&password=b
_FIELD = re.compile(r"(?i)\b(user|username|passw(?:or)?d|pwd|pass|token|secret)=[^&\s/]*")


def mask(text: str) -> str:
    """Replace user names and passwords of URLs in `text` by ``***``.

    >>> mask("rtsp://admin:s3cret@10.0.0.7/ch1")
    'rtsp://***@10.0.0.7/ch1'
    """
    return _FIELD.sub(r"\1=***", _USER.sub("***@", text))


def read_secret(path: Path) -> str:
    """The one line that a file of a password or token holds.

    Raises:
        ConfigError: it cannot be read, others may read it, or it holds no such line. The text
            itself is in no message.
    """
    try:
        mode, text = path.stat().st_mode, path.read_text().strip("\r\n")
    except (OSError, UnicodeDecodeError) as exc:
        reason = getattr(exc, "strerror", None) or "is no text"
        raise ConfigError(f"{path}: cannot be read ({reason.lower()})") from exc
    if mode & 0o077:
        raise ConfigError(f"{path}: others may read this secret", hint=f"chmod 600 {path}")
    if not text or len(text) > _LONGEST_SECRET or not text.isprintable():
        raise ConfigError(f"{path}: expected one line of 1 to {_LONGEST_SECRET} characters")
    return text

"""Passwords out of everything that is shown: logs, errors, `config show`."""

from __future__ import annotations

import re

_USER = re.compile(r"(?<=://)[^/?#\s]*@")
# Cheap IP cameras take the password in the path or the query instead: …/user=a&password=b
_FIELD = re.compile(r"(?i)\b(user|username|passw(?:or)?d|pwd|pass|token|secret)=[^&\s/]*")


def mask(text: str) -> str:
    """Replace user names and passwords of URLs in `text` by ``***``.

    >>> mask("rtsp://admin:s3cret@10.0.0.7/ch1")
    'rtsp://***@10.0.0.7/ch1'
    """
    return _FIELD.sub(r"\1=***", _USER.sub("***@", text))

"""Which machine this is, so that monotonic stamps and rings are only compared on one host."""

from __future__ import annotations

import functools
import hashlib
import uuid
from pathlib import Path


@functools.cache
def host_id() -> str:
    """A short id of this boot of this machine; says nothing about it to others."""
    parts = []
    for name in ("/etc/machine-id", "/proc/sys/kernel/random/boot_id"):
        try:
            parts.append(Path(name).read_text().strip())
        except OSError:
            parts.append(f"{uuid.getnode():x}")
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:12]


def new_session() -> str:
    """The id of one life of one sender."""
    return uuid.uuid4().hex[:12]

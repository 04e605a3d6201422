"""Which machine this is, so that monotonic stamps and rings are only compared on one host."""

from __future__ import annotations

import functools
import hashlib
import os
import uuid
from pathlib import Path

import psutil


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


def start_time_s(pid: int) -> float:
    """When a process began, 0 if it is gone: with the pid it names a process for ever."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0


def own_start_time_s() -> float:
    """When this process began."""
    return start_time_s(os.getpid())

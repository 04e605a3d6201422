"""One node of a name on a host: a lock file, held as long as the process lives.

A second ``bind`` to the same ipc path succeeds silently and orphans the first, so the lock is
taken before any socket. It also is the registry that `molmo-node node list` reads: the
kernel drops the lock when its holder dies, however it dies.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from molmo_node.errors import ConfigError

PROBE_S = 0.2


@dataclass(frozen=True)
class NodeEntry:
    """What a lock file says about its holder."""

    node: str
    kind: str
    pid: int
    address: str


class NodeLock:
    """Holds the name of a node on this host.

    Args:
        run_dir: the private folder, see `rundir.ensure_run_dir`.
        entry: what others may read about this node.

    Raises:
        ConfigError: a living process holds the name; its pid is named.
    """

    def __init__(self, run_dir: Path, entry: NodeEntry) -> None:
        self.path = run_dir / f"{entry.node}.lock"
        self._fd = _acquire(self.path, entry.node)
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, json.dumps(asdict(entry)).encode(), 0)

    def release(self) -> None:
        """Give the name back; the file goes with it."""
        self.path.unlink(missing_ok=True)
        os.close(self._fd)


def _acquire(path: Path, node: str) -> int:
    deadline = time.monotonic() + PROBE_S
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            holder = _read(fd).get("pid", "unknown")
            os.close(fd)
            # `running_nodes` holds a lock for an instant while it looks.
            if time.monotonic() < deadline:
                time.sleep(PROBE_S / 10)
                continue
            raise ConfigError(
                f"{node} already runs here (pid {holder}, lock {path})",
                hint=f"stop it (kill {holder}), or give this one another name or run_dir",
            ) from exc
        if _is_current(fd, path):
            return fd
        os.close(fd)  # its last holder removed the file while we opened it


def _is_current(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except OSError:
        return False


def running_nodes(run_dir: Path) -> list[NodeEntry]:
    """The nodes that live on this host, by name; stale files of dead ones do not count."""
    return [entry for path in sorted(run_dir.glob("*.lock")) if (entry := _holder(path))]


def _holder(path: Path) -> NodeEntry | None:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        fields = _read(fd)
        known = {name: fields.get(name) for name in NodeEntry.__dataclass_fields__}
        return None if None in known.values() else NodeEntry(**known)  # type: ignore[arg-type]
    else:
        return None
    finally:
        os.close(fd)


def _read(fd: int) -> dict[str, Any]:
    try:
        fields = json.loads(os.pread(fd, 4096, 0))
    except (ValueError, OSError):
        return {}
    return fields if isinstance(fields, dict) else {}

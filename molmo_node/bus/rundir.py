"""The folder of this user's sockets, locks and rings on this host."""

from __future__ import annotations

import os
import stat
import tempfile
import warnings
from pathlib import Path

import platformdirs

from molmo_node.errors import ConfigError

# A Unix socket's path holds 107 bytes; the rest is room for the socket's own name.
_LONGEST_PATH_BYTES = 107 - 24


def default_run_dir() -> Path:
    """The system's own folder for this user, or ``<tmp>/molmo-<uid>``. Makes nothing.

    The fallback serves machines without a login session (containers, services), and ones
    whose folder is too long to hold a socket's path.
    """
    with warnings.catch_warnings():
        # It warns when it falls back to a folder of its own; then we take ours.
        warnings.simplefilter("ignore")
        path = Path(platformdirs.user_runtime_dir("molmo_node", appauthor=False))
    parent = path.parent
    if _fits(path) and parent.is_dir() and os.access(parent, os.W_OK):
        return path
    return Path(tempfile.gettempdir()) / f"molmo-{os.getuid()}"


def ensure_run_dir(path: Path) -> Path:
    """Make the folder with mode 0700, or check one that is there.

    Returns:
        `path`, which is now a folder that only this user can enter.

    Raises:
        ConfigError: it cannot be made, belongs to somebody else, is open to others, or its
            name is too long for a Unix socket inside it.
    """
    if not _fits(path):
        raise ConfigError(
            f"run_dir {path}: {len(os.fsencode(path))} bytes long, at most {_LONGEST_PATH_BYTES}"
            " leave room for a socket's name",
            hint="set a shorter run_dir, for example /run/molmo_node",
        )
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
    except OSError as exc:
        raise ConfigError(
            f"run_dir {path}: cannot be made ({exc.strerror})",
            hint="set run_dir to a folder of yours",
        ) from exc
    _check_private(path, found)
    return path


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= _LONGEST_PATH_BYTES


def _check_private(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISDIR(found.st_mode):
        raise ConfigError(f"run_dir {path}: expected a folder, found something else")
    if found.st_uid != os.getuid():
        raise ConfigError(
            f"run_dir {path}: belongs to user {found.st_uid}, expected {os.getuid()}",
            hint="set run_dir to a folder of yours",
        )
    if found.st_mode & 0o077:
        raise ConfigError(
            f"run_dir {path}: mode {stat.S_IMODE(found.st_mode):04o} lets others in, expected 0700",
            hint=f"chmod 700 {path}",
        )

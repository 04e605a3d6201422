"""Exit codes, and how an error becomes one."""

from __future__ import annotations

import sys

from molmo_node.errors import (
    Cancelled,
    ConfigError,
    DeadlineExceeded,
    MolmoNodeError,
    NotConnected,
)

DONE = 0
FAILED = 1
WRONG_USAGE = 2
NOT_CONNECTED = 3
DEADLINE = 4
INTERRUPTED = 130

_CODES: dict[type[MolmoNodeError], int] = {
    ConfigError: WRONG_USAGE,
    NotConnected: NOT_CONNECTED,
    DeadlineExceeded: DEADLINE,
    Cancelled: INTERRUPTED,
}


def exit_code(error: MolmoNodeError) -> int:
    """The exit code that stands for an error."""
    return next((code for kind, code in _CODES.items() if isinstance(error, kind)), FAILED)


def show_error(error: MolmoNodeError) -> None:
    """What went wrong, and the next step, on stderr."""
    print(f"molmo-node: {error.message}", file=sys.stderr)
    if error.hint:
        print(f"  next: {error.hint}", file=sys.stderr)

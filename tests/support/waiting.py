"""Waiting for conditions instead of sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(condition: Callable[[], T], within_s: float, what: str) -> T:
    """Call `condition` until it gives something true, and return that; fail after `within_s`."""
    until_s = time.monotonic() + within_s
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > until_s:
            raise AssertionError(f"not within {within_s} s: {what}")
        time.sleep(0.005)

"""Looks at a socket before it is read, and how long to wait for one."""

from __future__ import annotations

import math

import zmq


def has_message(socket: zmq.Socket[bytes]) -> bool:
    """Whether `recv` would give a message at once; cheaper than to catch `zmq.Again`."""
    return bool(int(socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN)


def soonest_ms(first_ms: float | None, second_ms: float | None) -> int | None:
    """The shorter of two waits, in whole milliseconds; None is for ever."""
    waits_ms = [wait_ms for wait_ms in (first_ms, second_ms) if wait_ms is not None]
    return math.ceil(min(waits_ms)) if waits_ms else None

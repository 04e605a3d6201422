"""Telling systemd how we are: sd_notify(3) and its watchdog, without its library."""

from __future__ import annotations

import contextlib
import os
import socket

VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class ServiceManager:
    """The service manager that started us, if one did; otherwise nothing happens."""

    def __init__(self) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        watched_us = os.environ.get("WATCHDOG_USEC", "")
        self._alive_each_s = int(watched_us) / 2e6 if watched_us.isdecimal() else 0.0
        self._next_alive_s = 0.0
        self._is_ready = False

    def tell(self, message: str) -> None:
        """Send lines such as ``READY=1``. A manager that does not listen is no fault of ours."""
        if not self._address:
            return
        # An @ stands for the zero byte of Linux's abstract socket names.
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender,
        ):
            sender.settimeout(0.1)
            sender.sendto(message.encode(), address)

    def ready(self) -> None:
        """Say once that everything is up."""
        if not self._is_ready:
            self._is_ready = True
            self.tell("READY=1")

    def alive(self, now_s: float) -> None:
        """Feed the watchdog, at half the time it allows. `now_s`: monotonic seconds."""
        if self._alive_each_s and now_s >= self._next_alive_s:
            self._next_alive_s = now_s + self._alive_each_s
            self.tell("WATCHDOG=1")

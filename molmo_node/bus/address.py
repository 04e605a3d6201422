"""Where nodes listen: ipc paths in a private folder, or tcp ports.

A node has one base address and a socket a *part*: ``ipc:///run/…/worker`` gives
``…/worker.0``, ``…/worker.1``; ``tcp://127.0.0.1:5760`` gives ports 5760, 5761.
"""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from pathlib import Path

from molmo_node.errors import ConfigError

IPC_PATH_BYTES = 107  # sun_path of a Unix socket, less its closing zero
_TCP = re.compile(r"tcp://(?P<host>\[[0-9a-fA-F:]+\]|[^:/\[\]]+):(?P<port>\d{1,5})")


@dataclass(frozen=True)
class Address:
    """A node's base address, checked when it is made. `text` is what the user wrote."""

    text: str

    def __post_init__(self) -> None:
        if self.is_ipc:
            if not self.path.startswith("/"):  # "ipc://@name" would be open to every user
                raise ConfigError(
                    f"{self.text!r} is no address", hint="write ipc:///path/name, from the root"
                )
            if len(os.fsencode(self.path)) + 2 > IPC_PATH_BYTES:
                raise ConfigError(
                    f"{self.text}: {len(self.path) + 2} characters, "
                    f"a Unix socket's path has at most {IPC_PATH_BYTES}",
                    hint="choose a shorter run_dir",
                )
        elif not (match := _TCP.fullmatch(self.text)) or not 0 < int(match["port"]) < 65535:
            raise ConfigError(
                f"{self.text!r} is no address",
                hint="write ipc:///path/name or tcp://host:port",
            )

    @property
    def is_ipc(self) -> bool:
        """Whether it can be reached from this host alone."""
        return self.text.startswith("ipc://")

    @property
    def path(self) -> str:
        """The file path of an ipc address."""
        return self.text.removeprefix("ipc://")

    @property
    def host(self) -> str:
        """The host of a tcp address, without brackets; empty for ipc."""
        match = _TCP.fullmatch(self.text)
        return match["host"].strip("[]") if match else ""

    @property
    def is_loopback(self) -> bool:
        """Whether nothing outside this host can reach it."""
        if self.is_ipc or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def part(self, index: int) -> str:
        """The endpoint of the node's socket number `index`, for zmq bind or connect."""
        if self.is_ipc:
            return f"{self.text}.{index}"
        base, port = self.text.rsplit(":", 1)
        return f"{base}:{int(port) + index}"


def node_address(run_dir: Path, node: str) -> Address:
    """The address of a node on this host."""
    return Address(f"ipc://{run_dir.absolute()}/{node}")

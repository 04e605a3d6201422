"""What verbs need from the settings: the settings themselves, a client, the log."""

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from molmo_node.bus.address import Address, node_address
from molmo_node.bus.sockets import Security

if TYPE_CHECKING:
    from molmo_node.client import Client
    from molmo_node.config import Loaded, Settings

_PLAIN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def load_settings(config: Path | None, **flags: Any) -> Loaded:
    """Defaults < file < MOLMO_NODE_* < flags; a flag that is None was not given.

    Args:
        flags: dotted keys, written with double underscores (``worker__model``).
    """
    from molmo_node.config import load

    return load(config, flags={key.replace("__", "."): value for key, value in flags.items()})


def security_of(settings: Settings) -> Security:
    """The settings' keys, for sockets."""
    security = settings.security
    return Security(mode=security.transport_security, keys_dir=security.keys_dir)


def worker_address(settings: Settings) -> Address:
    """Where the worker is, or will be."""
    if settings.worker.endpoint:
        return Address(settings.worker.endpoint)
    return node_address(settings.run_dir, "worker")


def make_client(settings: Settings) -> Client:
    """A client of the node that these settings describe."""
    from molmo_node.client import Client

    return Client(
        worker_address(settings).text, run_dir=settings.run_dir, security=security_of(settings)
    )


def start_log(settings: Settings) -> None:
    """Log to stderr as the settings say."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if settings.log.format == "json" else _TextLines())
    logging.basicConfig(level=settings.log.level.upper(), handlers=[handler], force=True)


class _TextLines(logging.Formatter):
    """``12:30:05 INFO camera.loop: camera opened camera=front backend=…`` for people."""

    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        name = record.name.removeprefix("molmo_node.")
        facts = " ".join(f"{key}={value}" for key, value in _facts(record).items())
        line = f"{clock} {record.levelname} {name}: {record.getMessage()} {facts}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class _JsonLines(logging.Formatter):
    """One object a line, for machines."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": record.created,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_facts(record),
        }
        if record.exc_info:
            fields["trace"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str)


def _facts(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in _PLAIN}

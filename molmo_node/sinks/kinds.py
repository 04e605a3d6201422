"""The kinds of sink: one table row and one file each, imported when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from molmo_node.client.view import NodeView
from molmo_node.errors import ConfigError
from molmo_node.sinks.base import Sink

# kind: module and class, made with its settings (`config.sinks`) and the node's view.
KINDS = {
    "console": "molmo_node.sinks.console:ConsoleSink",
    "jsonl": "molmo_node.sinks.jsonl:JsonlSink",
    "csv": "molmo_node.sinks.csv_files:CsvSink",
    "mqtt": "molmo_node.sinks.mqtt:MqttSink",
    "prometheus": "molmo_node.sinks.prometheus:PrometheusSink",
}
_EXTRAS = {"paho": "mqtt", "prometheus_client": "metrics"}


def make_sink(kind: str, settings: Any, view: NodeView) -> Sink:
    """A sink of this kind, not yet connected to anything.

    Args:
        settings: the section of `config.sinks` that belongs to the kind.

    Raises:
        ConfigError: what it needs is not installed, or a setting cannot be used here.
    """
    module, _, name = KINDS[kind].partition(":")
    try:
        make: Callable[[Any, NodeView], Sink] = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as exc:
        package = (exc.name or "").partition(".")[0]
        if package not in _EXTRAS:
            raise
        raise ConfigError(
            f"sink {kind} needs the Python package {package}, which is not installed",
            hint=f"pip install 'molmo_node[{_EXTRAS[package]}]'",
        ) from exc
    return make(settings, view)

"""Settings: defaults < YAML < MOLMO_NODE_* < flags; every value knows where it came from."""

from molmo_node.bus.rundir import default_run_dir, ensure_run_dir
from molmo_node.config.load import Loaded, load
from molmo_node.config.model import (
    CameraSettings,
    GaugeSettings,
    LogSettings,
    SecuritySettings,
    Settings,
    WatchSettings,
    WorkerSettings,
)
from molmo_node.config.page import WebSettings
from molmo_node.config.processes import ProcessSettings, start_waves
from molmo_node.config.secrets import mask
from molmo_node.config.show import Row, schema, show
from molmo_node.config.sinks import SinksSettings

__all__ = [
    "CameraSettings",
    "GaugeSettings",
    "Loaded",
    "LogSettings",
    "ProcessSettings",
    "Row",
    "SecuritySettings",
    "Settings",
    "SinksSettings",
    "WatchSettings",
    "WebSettings",
    "WorkerSettings",
    "default_run_dir",
    "ensure_run_dir",
    "load",
    "mask",
    "schema",
    "show",
    "start_waves",
]

"""Opening a source, grabbing and stamping frames."""

from molmo_node.camera.base import (
    KINDS,
    BadFrame,
    EndOfStream,
    Grabbed,
    Source,
    SourceInfo,
    make_source,
    open_source,
)
from molmo_node.camera.convert import converter
from molmo_node.camera.devices import Device, list_devices, snapshot
from molmo_node.camera.factory import SourceFactory
from molmo_node.camera.loop import CaptureLoop
from molmo_node.camera.spec import SourceSpec, parse_source, redact

__all__ = [
    "KINDS",
    "BadFrame",
    "CaptureLoop",
    "Device",
    "EndOfStream",
    "Grabbed",
    "Source",
    "SourceFactory",
    "SourceInfo",
    "SourceSpec",
    "converter",
    "list_devices",
    "make_source",
    "open_source",
    "parse_source",
    "redact",
    "snapshot",
]

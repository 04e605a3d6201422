"""Announcements by which Home Assistant finds cameras and watches by itself.

Source: https://www.home-assistant.io/integrations/mqtt/ (discovery, sensor, binary sensor).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from molmo_node import __version__
from molmo_node.messages import WatchSpec
from molmo_node.sinks.mqtt_topics import Topics

_CLASSES: dict[str, tuple[str, ...]] = {
    "pressure": ("Pa", "hPa", "kPa", "bar", "cbar", "mbar", "mmHg", "inHg", "psi"),
    "temperature": ("°C", "°F", "K"),
    "voltage": ("V", "mV", "kV"),
    "current": ("A", "mA"),
    "power": ("W", "kW"),
    "frequency": ("Hz", "kHz", "MHz"),
    "speed": ("m/s", "km/h", "mph"),
    "volume_flow_rate": ("m³/h", "L/min"),
}
_CLASS_OF = {unit: name for name, units in _CLASSES.items() for unit in units}
_NUMERIC = ("read_gauge", "count", "point")


@dataclass(frozen=True)
class Announcement:
    """A retained message, and the topic that Home Assistant looks for it under."""

    topic: str
    payload: dict[str, Any]


def device_class(unit: str) -> str | None:
    """Home Assistant's class of a quantity; None for units that it knows no class for."""
    return _CLASS_OF.get(unit)


class Announcer:
    """Writes the announcements of one node.

    Args:
        prefix: where Home Assistant looks for them.
        node: this node's word in topics.
    """

    def __init__(self, prefix: str, node: str, topics: Topics) -> None:
        self._prefix = prefix
        self._node = node
        self._topics = topics

    def watch(self, spec: WatchSpec, unit: str) -> Announcement:
        """A sensor for a watch; `unit` is empty as long as no reading has told it."""
        topics = self._topics
        payload: dict[str, Any] = {
            "name": spec.name,
            "state_topic": topics.reading(spec.name),
            "value_template": "{{ value_json.value }}",
            "json_attributes_topic": topics.status(spec.name),
            "availability": [
                {"topic": topics.availability},
                {"topic": topics.watch_availability(spec.name)},
            ],
            "availability_mode": "all",
        }
        if spec.question.task in _NUMERIC:
            payload["state_class"] = "measurement"
        if unit:
            payload["unit_of_measurement"] = unit
        if (found := device_class(unit)) is not None:
            payload["device_class"] = found
        return self._announce("sensor", f"watch_{spec.name}", payload)

    def camera_connected(self, camera: str) -> Announcement:
        """Whether frames come from a camera."""
        payload = {
            "name": f"camera {camera}",
            "state_topic": self._topics.camera_connected(camera),
            "device_class": "connectivity",
            "entity_category": "diagnostic",
            "availability_topic": self._topics.availability,
        }
        return self._announce("binary_sensor", f"camera_{camera}", payload)

    def camera_last_frame(self, camera: str) -> Announcement:
        """When a camera's newest frame was captured; known also while it is away."""
        payload = {
            "name": f"camera {camera} last frame",
            "state_topic": self._topics.camera_last_frame(camera),
            "device_class": "timestamp",
            "entity_category": "diagnostic",
            "availability_topic": self._topics.availability,
        }
        return self._announce("sensor", f"camera_{camera}_last_frame", payload)

    def worker(self) -> Announcement:
        """What the worker does."""
        payload = {
            "name": "worker",
            "state_topic": self._topics.worker,
            "entity_category": "diagnostic",
            "availability_topic": self._topics.availability,
        }
        return self._announce("sensor", "worker", payload)

    def _announce(self, component: str, thing: str, payload: dict[str, Any]) -> Announcement:
        unique = f"molmo_node_{self._node}_{thing}"
        whole = {
            "unique_id": unique,
            "device": {
                "identifiers": [f"molmo_node_{self._node}"],
                "name": f"molmo_node {self._node}",
                "manufacturer": "molmo_node",
                "sw_version": __version__,
            },
            "origin": {"name": "molmo_node", "sw_version": __version__},
            **payload,
        }
        return Announcement(f"{self._prefix}/{component}/{unique}/config", whole)

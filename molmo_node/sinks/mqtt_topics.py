"""The names of the topics of one node; docs/mqtt.md lists them.

Names of cameras and watches are letters, digits, ``-`` and ``_``: no text of a person or a
model becomes part of a topic.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass

from molmo_node.bus.limits import NAME


@dataclass(frozen=True)
class Topics:
    """Everything lies below ``PREFIX/NODE``."""

    prefix: str
    node: str

    @property
    def base(self) -> str:
        """The first words of all."""
        return f"{self.prefix}/{self.node}"

    @property
    def availability(self) -> str:
        """``online``, or ``offline`` by the last will."""
        return f"{self.base}/availability"

    @property
    def worker(self) -> str:
        """What the worker does: its state, or ``lost``."""
        return f"{self.base}/worker"

    def reading(self, watch: str) -> str:
        """Trusted answers of a watch, and nothing else."""
        return f"{self.base}/watch/{watch}/reading"

    def is_reading(self, topic: str) -> bool:
        """Whether a topic is one of `reading`."""
        return topic.startswith(f"{self.base}/watch/") and topic.endswith("/reading")

    def status(self, watch: str) -> str:
        """Of a watch's newest answer: status, reason, time."""
        return f"{self.base}/watch/{watch}/status"

    def watch_availability(self, watch: str) -> str:
        """``online`` while the newest answer is trusted and holds."""
        return f"{self.base}/watch/{watch}/availability"

    def camera_connected(self, camera: str) -> str:
        """``ON`` while frames come, else ``OFF``."""
        return f"{self.base}/camera/{camera}/connected"

    def camera_last_frame(self, camera: str) -> str:
        """When the newest frame was captured."""
        return f"{self.base}/camera/{camera}/last_frame"


def node_word(configured: str | None) -> str:
    """The node's word in topics: as configured, or made of the host's name."""
    if configured:
        return configured
    word = re.sub(r"[^a-z0-9_-]+", "-", socket.gethostname().partition(".")[0].lower())
    word = word.lstrip("-_")[:64]
    return word if NAME.fullmatch(word) else "node"

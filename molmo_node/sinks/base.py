"""What every way out has in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from molmo_node.client.view import NodeView
from molmo_node.errors import MolmoNodeError
from molmo_node.messages import Answer, Status

Message = Answer | Status


class SinkDown(MolmoNodeError):
    """The way out is closed for now: no broker, no room on the disk. It is tried again."""

    code = "sink_down"


class Sink(Protocol):
    """One way out. All but `wants` is called in the pump's thread, and may wait some seconds."""

    def wants(self, message: Message) -> bool:
        """Whether this message goes out here; called in the node's thread, must not wait."""
        ...

    def write(self, messages: Sequence[Message]) -> None:
        """Send messages out, oldest first.

        Raises:
            SinkDown: not now. All of them are given again later; a sink that sent some of
                them may send those twice.
        """
        ...

    def tend(self, view: NodeView) -> None:
        """Do what time demands; called twice a second.

        Raises:
            SinkDown: the way out is closed.
        """
        ...

    def close(self) -> None:
        """Say goodbye and let go; called once, also after a `SinkDown`."""
        ...

"""Keeps the processes of a launch file alive."""

from molmo_node.supervisor.announce import Announcer
from molmo_node.supervisor.launch import process_specs
from molmo_node.supervisor.run import Supervisor
from molmo_node.supervisor.spec import Backoff, ChildState, ProcessEvent, ProcessSpec

__all__ = [
    "Announcer",
    "Backoff",
    "ChildState",
    "ProcessEvent",
    "ProcessSpec",
    "Supervisor",
    "process_specs",
]

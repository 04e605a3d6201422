"""Supervisors that end with their test."""

from __future__ import annotations

import psutil
import pytest
from supervised import Running

from molmo_node.supervisor import ProcessSpec


@pytest.fixture
def supervise():
    started: list[Running] = []

    def start(*specs: ProcessSpec, **more) -> Running:
        started.append(Running(*specs, **more))
        return started[-1]

    yield start
    for running in started:
        running.end()
    assert psutil.Process().children(recursive=True) == []

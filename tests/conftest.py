"""Fixtures for all tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from molmo_node.bus.sockets import Transport
from tests.support.stack import Stack
from tests.support.transports import KeepingTransport

# The same examples at every run: a failure is a bug found, not a throw of dice.
settings.register_profile("default", derandomize=True, deadline=None)
settings.load_profile("default")


@pytest.fixture
def run_dir() -> Iterator[Path]:
    """A private folder whose path is short enough for Unix sockets."""
    folder = Path(tempfile.mkdtemp(prefix="mn-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def stack(tmp_path: Path, run_dir: Path) -> Iterator[Stack]:
    """Real processes that end with the test."""
    stack = Stack(tmp_path, run_dir)
    yield stack
    stack.close()


@pytest.fixture
def transport() -> Iterator[Transport]:
    """A context without keys; its sockets end with the test."""
    transport = KeepingTransport()
    yield transport
    transport.close()

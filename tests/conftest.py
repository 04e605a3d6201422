"""Fixtures for all tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.stack import Stack


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

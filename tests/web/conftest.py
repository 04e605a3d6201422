"""A running node with its page, shared by the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.page_stack import PageStack, page_stack


@pytest.fixture(scope="module")
def node() -> Iterator[PageStack]:
    """Cameras `front` and `dial`, a scripted worker, the page."""
    with page_stack() as node:
        yield node

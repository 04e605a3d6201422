"""Fixtures of the tests of faults."""

from tests.support.reading_node import broker, listener, module_node, node  # noqa: F401

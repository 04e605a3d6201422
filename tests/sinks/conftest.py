"""Fixtures of the tests of sinks."""

from tests.support.reading_node import broker, listener, module_node, node  # noqa: F401

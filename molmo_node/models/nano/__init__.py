"""molmo-nano: the small engine that ships in the package."""

from molmo_node.models.nano.engine import NanoEngine

__all__ = ["NanoEngine"]

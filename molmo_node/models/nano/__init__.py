"""molmo-nano: the small engine that ships in the package."""

from molmo_node.models.nano.engine import NanoEngine
from molmo_node.models.nano.loading import load_nano

__all__ = ["NanoEngine", "load_nano"]

"""molmo_node: a vision node that answers where things are and what dials read."""

__version__ = "0.1.0"

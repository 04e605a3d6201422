"""molmo_node: a vision node that answers where things are and what dials read.

import molmo_node

with molmo_node.Client() as client:                 # ask a running node
    answer = client.point("the red mug")

engine = molmo_node.load_engine("scripted:a.yaml")  # or in this process, without one
frame = engine.encode(image_hwc_rgb8)
reply = engine.ask(frame, [molmo_node.Question.point("the red mug")])[0]
reading = molmo_node.instruments.read_gauge(image_hwc_rgb8, profile)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from molmo_node import instruments
    from molmo_node.client import AsyncClient, Client
    from molmo_node.messages import Question
    from molmo_node.models.registry import load_engine

__version__ = "0.1.0"
__all__ = ["AsyncClient", "Client", "Question", "__version__", "instruments", "load_engine"]

_PLACES = {
    "AsyncClient": "molmo_node.client",
    "Client": "molmo_node.client",
    "Question": "molmo_node.messages",
    "load_engine": "molmo_node.models.registry",
}


def __getattr__(name: str) -> Any:
    """The public names, imported when they are first used: the package itself loads nothing."""
    if name == "instruments":
        return importlib.import_module("molmo_node.instruments")
    if name in _PLACES:
        return getattr(importlib.import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

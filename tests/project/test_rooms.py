"""Who may import whom, so that each room can be read and changed by itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "molmo_node"

PLAIN = {"", "messages", "errors", "clock"}
"""Types that cross rooms; ``""`` is the package itself, for its version."""
PURE = {"models", "instruments", "sim"}
PIXELS = PLAIN | {"imaging"}
READING = PIXELS | {"bus"}
MAY_IMPORT = {
    "messages": set(),
    "errors": set(),
    "clock": set(),
    "imaging": PLAIN | {"bus"},  # for the limits
    "overlay": PIXELS | {"instruments"},
    "bus": PIXELS,
    "models": PLAIN,
    "instruments": PLAIN,
    "sim": PLAIN,
    "gauge_profiles": PIXELS | {"instruments"},
    "config": PLAIN | {"bus"},
    "recording": READING | {"client", "instruments"},
    "foxglove": READING | {"client", "recording"},
    "camera": READING | {"sim", "recording"},
    "client": READING,
    "supervisor": PLAIN | {"bus", "config"},
    "worker": READING | {"models", "instruments", "gauge_profiles", "config"},
    "sinks": READING | {"client", "config"},
    "ros2": READING | {"camera", "client", "config", "instruments"},
}
DOORS = {"cli", "web", "", "__main__"}
"""They may use every room, and no room uses them."""

NEVER_IN_PURE = {
    "asyncio", "concurrent", "ftplib", "http", "multiprocessing", "queue", "requests", "select",
    "selectors", "socket", "socketserver", "subprocess", "threading", "urllib", "zmq",
}  # fmt: skip
NETWORKS = {"accelerate", "safetensors", "torch", "torchvision", "transformers"}


def room_of(path: Path) -> str:
    """The part of the package that a file belongs to."""
    first = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return "" if first == "__init__" else first


def imported(tree: ast.AST, package: str = "molmo_node") -> Iterator[str]:
    """Every module that is imported anywhere in a file, by its full name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            assert node.level == 0, "relative imports hide which room is meant"
            if module == package:
                yield from (f"{package}.{alias.name}" for alias in node.names)
            else:
                yield module


def rooms_used(tree: ast.AST) -> set[str]:
    names = [name.split(".") for name in imported(tree)]
    used = {parts[1] if len(parts) > 1 else "" for parts in names if parts[0] == "molmo_node"}
    return {"" if name.startswith("__") else name for name in used}


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


FILES = sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)
ROOMS = sorted({room_of(path) for path in FILES})


@pytest.mark.parametrize("room", sorted(set(ROOMS) - DOORS))
def test_a_room_imports_only_what_it_may(room):
    allowed = MAY_IMPORT.get(room, READING) | {room}

    crossings = {
        str(path.relative_to(ROOT)): sorted(rooms_used(parsed(path)) - allowed)
        for path in FILES
        if room_of(path) == room
    }

    assert {path: rooms for path, rooms in crossings.items() if rooms} == {}


@pytest.mark.parametrize("room", sorted(PURE))
def test_a_pure_room_knows_no_sockets_threads_or_processes(room):
    found = {
        str(path.relative_to(ROOT)): sorted(
            {name.split(".")[0] for name in imported(parsed(path))} & NEVER_IN_PURE
        )
        for path in FILES
        if room_of(path) == room
    }

    assert {path: names for path, names in found.items() if names} == {}


def test_nothing_but_models_imports_a_neural_network_with_the_module():
    """The core installs without torch, and `molmo-node --help` does not wait for it."""
    found = {
        str(path.relative_to(ROOT)): names
        for path in FILES
        if room_of(path) != "models" and (names := sorted(at_top(path) & NETWORKS))
    }

    assert found == {}


def at_top(path: Path) -> set[str]:
    """The packages that importing this module imports at once."""
    statements = [n for n in parsed(path).body if isinstance(n, ast.Import | ast.ImportFrom)]
    return {name.split(".")[0] for name in imported(ast.Module(statements, []))}


@pytest.mark.parametrize(
    ("source", "used"),
    [
        ("import molmo_node.bus.ring", {"bus"}),
        ("from molmo_node import bus, __version__", {"bus", ""}),
        ("def f():\n    from molmo_node.worker.node import x", {"worker"}),
        ("import numpy", set()),
    ],
)
def test_imports_are_found_wherever_they_stand(source, used):
    assert rooms_used(ast.parse(source)) == used

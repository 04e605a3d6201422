"""Finds what must never ship: code that runs what somebody sent, and files that hold such code."""

from __future__ import annotations

import ast
from collections.abc import Iterator

FORBIDDEN_MODULES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "marshal", "shelve"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_METHODS = {
    "recv_pyobj", "send_pyobj", "recv_serialized",
    "yaml.load", "yaml.unsafe_load", "yaml.full_load",
    "torch.load", "torch.save", "joblib.load",
    "os.system", "os.popen",
}  # fmt: skip
FORBIDDEN_FLAGS = {"shell", "allow_pickle", "trust_remote_code"}
FORBIDDEN_SUFFIXES = (".pkl", ".pickle", ".pt", ".pth", ".joblib", ".pyc", ".so")


def findings(source: str) -> Iterator[str]:
    """What is forbidden in a Python file, as ``line: what``."""
    for node in ast.walk(ast.parse(source)):
        for what in _in_node(node):
            yield f"{getattr(node, 'lineno', 0)}: {what}"


def _in_node(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (a.name for a in node.names if a.name.split(".")[0] in FORBIDDEN_MODULES)
    elif isinstance(node, ast.ImportFrom):
        module = node.module or ""
        if module.split(".")[0] in FORBIDDEN_MODULES:
            yield module
        full_names = (f"{module}.{alias.name}" for alias in node.names)
        yield from (name for name in full_names if name in FORBIDDEN_METHODS)
    elif isinstance(node, ast.Call):
        yield from _in_call(node)


def _in_call(node: ast.Call) -> Iterator[str]:
    name = ast.unparse(node.func)
    is_bare = isinstance(node.func, ast.Name)
    if is_bare and name in FORBIDDEN_CALLS:
        yield f"{name}()"
    if name in FORBIDDEN_METHODS or name.rpartition(".")[2] in FORBIDDEN_METHODS:
        yield f"{name}()"
    for keyword in node.keywords:
        is_off = isinstance(keyword.value, ast.Constant) and not keyword.value.value
        if keyword.arg in FORBIDDEN_FLAGS and not is_off:
            yield f"{keyword.arg}={ast.unparse(keyword.value)}"

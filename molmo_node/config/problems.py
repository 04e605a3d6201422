"""From pydantic's findings to one message: place, key, what was found, what was expected."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from molmo_node.config.secrets import mask
from molmo_node.errors import ConfigError

_LONGEST_FOUND = 60
_SECRETS = ("password", "token")


def config_error(
    exc: ValidationError, model: type[BaseModel], place: Callable[[str], str]
) -> ConfigError:
    """One error that names every fault, each on its line with its next step.

    Args:
        model: what was being made; its keys are the ones that are offered.
        place: from a dotted key to where a person finds it: a file and line, a variable, a flag.
    """
    found = [_describe(details, model, place) for details in exc.errors(include_url=False)]
    if len(found) == 1:
        return ConfigError(found[0][0], hint=found[0][1])
    return ConfigError("\n".join(f"{text}; {hint}" if hint else text for text, hint in found))


def nearest_key(key: str, known: list[str]) -> str | None:
    """The known key that `key` was most likely meant to be, or None."""
    lowered = key.lower().replace("-", "_")
    close = difflib.get_close_matches(lowered, known, n=1, cutoff=0.6)
    return close[0] if close else None


def keys_at(model: type[BaseModel], path: list[str]) -> list[str]:
    """The keys that may stand below `path`, the index or name of an item included in it."""
    inner: Any = model
    is_name = False
    for part in path:
        if is_name or part.isdecimal():
            is_name = False
            continue
        field = inner.model_fields.get(part)
        inner = None if field is None else _model_in(field.annotation)
        if field is None or inner is None:
            return []
        is_name = get_origin(field.annotation) is dict
    return list(inner.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _model_in(arg))), None)


def _describe(
    details: ErrorDetails, model: type[BaseModel], place: Callable[[str], str]
) -> tuple[str, str]:
    path = [str(part) for part in details["loc"]]
    dotted_key = ".".join(path)
    where = f"{place(dotted_key)}: {dotted_key}" if dotted_key else place("")
    if details["type"] == "extra_forbidden":
        return f"{where}: unknown key", _offer(path, model)
    if details["type"] == "missing":
        return f"{where}: missing", ""
    expected = mask(_expected(details["msg"]))
    if not dotted_key or isinstance(details["input"], BaseModel | Mapping):
        return f"{where}: {expected}", ""
    found = "***" if path[-1] in _SECRETS else _found(details["input"])
    return f"{where}: found {found}, {expected}", ""


def _offer(path: list[str], model: type[BaseModel]) -> str:
    known = keys_at(model, path[:-1])
    near = nearest_key(path[-1], known)
    if near is not None:
        return f"did you mean {'.'.join([*path[:-1], near])}?"
    return f"known keys: {', '.join(known)}" if known else ""


def _expected(message: str) -> str:
    for prefix in ("Input should be ", "Value error, expected "):
        if message.startswith(prefix):
            return f"expected {message.removeprefix(prefix)}"
    return message.removeprefix("Value error, ")


def _found(value: Any) -> str:
    text = mask(repr(value))
    return text if len(text) <= _LONGEST_FOUND else f"{text[:_LONGEST_FOUND]}…"

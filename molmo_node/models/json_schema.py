"""The part of JSON Schema that a model's answer can be held against.

A keyword that is not checked here is an error, not a silent pass.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}
_NOTES = frozenset(
    {"$schema", "$id", "$comment", "title", "description", "default", "examples", "format"}
)
_MEMBERS = {"properties", "required", "additionalProperties", "items"}
_SIZES = {"minItems", "maxItems", "minLength", "maxLength", "minimum", "maximum"}
_CHECKED = frozenset({"type", "enum", "const"} | _MEMBERS | _SIZES)
_DEEPEST = 32


def schema_fault(value: Any, schema_text: str) -> str | None:
    """Why a value does not follow a schema, or None if it does.

    Checked: type, enum, const, properties, required, additionalProperties (yes or no), items,
    minItems, maxItems, minLength, maxLength, minimum, maximum.
    """
    try:
        schema = json.loads(schema_text)
    except (ValueError, RecursionError):
        return "the schema is not JSON"
    return next(_faults(value, schema, "the answer", 0), None)


def _faults(value: Any, schema: Any, where: str, depth: int) -> Iterator[str]:
    if schema is True:
        return
    if not isinstance(schema, dict) or depth > _DEEPEST:
        yield f"the schema of {where} is no JSON object, or too deep"
        return
    unknown = sorted(schema.keys() - _CHECKED - _NOTES)
    if unknown:
        yield f"the schema uses {', '.join(map(str, unknown))}, which cannot be checked here"
    yield from _wrong_kind(value, schema, where)
    yield from _wrong_size(value, schema, where)
    if isinstance(value, dict):
        yield from _wrong_members(value, schema, where, depth)
    if isinstance(value, list) and "items" in schema:
        for number, item in enumerate(value):
            yield from _faults(item, schema["items"], f"{where}[{number}]", depth + 1)


def _wrong_kind(value: Any, schema: dict[str, Any], where: str) -> Iterator[str]:
    named = schema.get("type", [])
    names = named if isinstance(named, list) else [named]
    if names and not any(_is_kind(value, name) for name in names):
        yield f"{where} is not {' or '.join(map(str, names))}"
    if "enum" in schema and not any(_same(value, choice) for choice in _as_list(schema["enum"])):
        yield f"{where} is none of the schema's choices"
    if "const" in schema and not _same(value, schema["const"]):
        yield f"{where} is not what the schema says it must be"


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_kind(value: Any, name: Any) -> bool:
    kinds = _TYPES.get(name, ()) if isinstance(name, str) else ()
    if isinstance(value, bool):
        return bool in kinds
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, kinds)


def _same(left: Any, right: Any) -> bool:
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _wrong_size(value: Any, schema: dict[str, Any], where: str) -> Iterator[str]:
    sizes = [
        (list, "minItems", "maxItems", len),
        (str, "minLength", "maxLength", len),
        ((int, float), "minimum", "maximum", lambda number: number),
    ]
    for kind, least, most, measure in sizes:
        if not isinstance(value, kind) or isinstance(value, bool):  # type: ignore[arg-type]
            continue
        for keyword, sign in ((least, 1), (most, -1)):
            limit = schema.get(keyword)
            if isinstance(limit, int | float) and sign * (measure(value) - limit) < 0:
                yield f"{where} breaks {keyword} {limit}"


def _wrong_members(
    value: dict[str, Any], schema: dict[str, Any], where: str, depth: int
) -> Iterator[str]:
    properties = schema.get("properties", {})
    properties = properties if isinstance(properties, dict) else {}
    for name in _as_list(schema.get("required")):
        if name not in value:
            yield f"{where} lacks {name}"
    for name, item in value.items():
        if name in properties:
            yield from _faults(item, properties[name], f"{where}.{name}", depth + 1)
        elif schema.get("additionalProperties") is False:
            yield f"{where} has {name}, which the schema does not know"
        elif isinstance(schema.get("additionalProperties"), dict):
            yield from _faults(item, schema["additionalProperties"], f"{where}.{name}", depth + 1)

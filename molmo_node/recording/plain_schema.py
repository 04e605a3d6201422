"""JSON schemas of our messages, in the part of JSON Schema that Foxglove's app understands.

The app takes objects, arrays of one kind, numbers, strings and booleans; a schema with anything
else (``anyOf``, ``$ref``, a list of types, an array in an array) makes it refuse the channel. A
member that cannot be said in that part is left out of the schema and stays in the message: a
schema says what its members look like, not that there are no others.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
from msgspec import inspect

_PLAIN = {
    inspect.BoolType: "boolean",
    inspect.IntType: "integer",
    inspect.FloatType: "number",
    inspect.StrType: "string",
}


def plain_schema(kind: type[msgspec.Struct]) -> bytes:
    """The schema of a message type, as UTF-8 JSON."""
    found = inspect.type_info(kind)
    assert isinstance(found, inspect.StructType)
    return json.dumps({"title": kind.__name__, **_object(found)}).encode()


def _object(kind: inspect.StructType) -> dict[str, Any]:
    # Only a type that leaves its nulls out may call a number what can be null.
    omits_null = kind.cls.__struct_config__.omit_defaults
    said = {field.encode_name: _member(field.type, omits_null) for field in kind.fields}
    if isinstance(kind.tag, str) and kind.tag_field:
        said = {kind.tag_field: {"type": "string"}, **said}
    return {"type": "object", "properties": {name: one for name, one in said.items() if one}}


def _member(kind: inspect.Type, omits_null: bool) -> dict[str, Any] | None:
    """The schema of one member, None where it cannot be said."""
    if isinstance(kind, inspect.Metadata):
        return _member(kind.type, omits_null)
    if isinstance(kind, inspect.LiteralType):
        return {"type": "string"}
    if isinstance(kind, inspect.StructType):
        return _object(kind)
    if isinstance(kind, inspect.VarTupleType | inspect.ListType):
        item = _member(kind.item_type, omits_null)
        return {"type": "array", "items": item} if item and item["type"] != "array" else None
    if isinstance(kind, inspect.UnionType):
        others = [one for one in kind.types if not isinstance(one, inspect.NoneType)]
        return _member(others[0], omits_null) if omits_null and len(others) == 1 else None
    name = _PLAIN.get(type(kind))
    return {"type": name} if name else None

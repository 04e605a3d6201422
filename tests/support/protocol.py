"""The messages of the code, in the words that docs/PROTOCOL.md uses."""

from __future__ import annotations

import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from molmo_node import messages

ENUMS = {
    "Task": messages.Task,
    "Encoding": messages.Encoding,
    "FrameChoice": messages.FrameChoice,
    "NodeState": messages.NodeState,
    "ProcessState": messages.ProcessState,
    "ReadingStatus": messages.ReadingStatus,
    "Reason": messages.Reason,
}


def structs() -> dict[str, type[msgspec.Struct]]:
    """Every message and part of a message, by name."""
    return {
        name: kind
        for name, kind in vars(messages).items()
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct)
    }


def fields(kind: type[msgspec.Struct]) -> dict[str, tuple[str, str]]:
    """Each field of a struct: its type and its default, as the document writes them."""
    hints = get_type_hints(kind, include_extras=True)
    found = {
        field.name: (type_name(hints[field.name]), _default(field))
        for field in msgspec.structs.fields(kind)
    }
    config = kind.__struct_config__
    if config.tag_field:
        found = {config.tag_field: (f'"{config.tag}"', "required"), **found}
    return found


def type_name(hint: Any) -> str:
    """A type in words: ``array of Point``, ``float or nil``."""
    for name, enum in ENUMS.items():
        if hint == enum:
            return name
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return type_name(arguments[0])
    if origin is Literal:
        return ", ".join(f'"{value}"' for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(type_name(one) for one in arguments)
    if origin is tuple:
        is_open = arguments[-1] is ...
        count = "" if is_open else f"{len(arguments)} "
        return f"array of {count}{type_name(arguments[0])}"
    if origin is dict:
        return f"map of {type_name(arguments[0])} to {type_name(arguments[1])}"
    if hint is Any:
        return "any"
    return "nil" if hint is types.NoneType else str(hint.__name__)


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.default_factory is not msgspec.NODEFAULT:
        return "{}"
    if field.default is msgspec.NODEFAULT:
        return "required"
    if field.default is None:
        return "nil"
    if field.default == ():
        return "[]"
    if isinstance(field.default, msgspec.Struct):
        return "{}"
    if isinstance(field.default, bool):
        return str(field.default).lower()
    return f'"{field.default}"' if isinstance(field.default, str) else str(field.default)

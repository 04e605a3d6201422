"""The kinds of value that settings are made of."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from molmo_node.bus import limits
from molmo_node.bus.address import Address
from molmo_node.errors import ConfigError


class Section(BaseModel):
    """A mapping of a settings file: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def _off_if_false(value: object) -> object:
    # YAML 1.1 reads a bare `off` as the boolean false.
    return "off" if value is False else value


def _short_dtype(value: object) -> object:
    short = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
    return short.get(value, value) if isinstance(value, str) else value


def _text_if_number(value: object) -> object:
    # `source: 0` means the first camera, as everywhere in this field.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _checked_endpoint(value: str) -> str:
    try:
        return Address(value).text
    except ConfigError as exc:
        raise ValueError(f"expected ipc:///path/name or tcp://host:port ({exc.message})") from exc


def _checked_name(value: str) -> str:
    if not limits.NAME.fullmatch(value):
        raise ValueError("expected 1 to 64 of a-z, 0-9, - and _, the first a letter or a digit")
    return value


Name = Annotated[str, AfterValidator(_checked_name)]
Endpoint = Annotated[str, AfterValidator(_checked_endpoint)]
SourceText = Annotated[str, BeforeValidator(_text_if_number), Field(min_length=1)]
SidePx = Annotated[int, Field(ge=limits.IMAGE_MIN_SIDE_PX, le=limits.IMAGE_SIDE_PX)]
Seconds = Annotated[float, Field(gt=0, le=3600)]
Dtype = Annotated[Literal["auto", "float32", "bfloat16", "float16"], BeforeValidator(_short_dtype)]
PrefillAhead = Annotated[Literal["off", "idle", "always"], BeforeValidator(_off_if_false)]
Transport = Annotated[Literal["off", "auto", "required"], BeforeValidator(_off_if_false)]

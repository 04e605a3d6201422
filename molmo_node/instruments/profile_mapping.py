"""A profile as a plain mapping, for YAML; every mistake is named by its key."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from molmo_node.errors import ConfigError
from molmo_node.instruments.pixels import ImageRGB
from molmo_node.instruments.profile import Mark, Profile, Register

Pair = tuple[float, float]
_UNKNOWN = re.compile(r"unknown field `([^`]+)`")
_MISSING = re.compile(r"missing required field `([^`]+)`")
_PLACE = re.compile(r" - at `\$\.?([^`]*)`")


class _Strict(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    pass


class _Mark(_Strict, frozen=True, kw_only=True):
    value: float
    x_px: float
    y_px: float


class _Register(_Strict, frozen=True, kw_only=True):
    center_px: Pair
    zero_px: Pair
    factor: float
    direction: Literal["clockwise", "counterclockwise"] = "clockwise"
    offset: float = 0.0


class _Ellipse(_Strict, frozen=True, kw_only=True):
    long_px: float
    short_px: float
    tilt_deg: float


class _Plausible(_Strict, frozen=True, kw_only=True):
    min: float
    max: float


class _Profile(_Strict, frozen=True, kw_only=True):
    name: str = ""
    unit: str = ""
    picture_size_px: tuple[int, int]
    patch_offset_px: tuple[int, int]
    center_px: Pair = (0.0, 0.0)
    marks: tuple[_Mark, ...] = ()
    min: float | None = None
    max: float | None = None
    direction: Literal["clockwise", "counterclockwise"] | None = None
    wraps: bool = False
    ellipse: _Ellipse | None = None
    plausible: _Plausible | None = None
    highest_rate_per_s: float | None = None
    glare: tuple[tuple[Pair, ...], ...] = ()
    registers: tuple[_Register, ...] = ()


def to_mapping(profile: Profile) -> dict[str, Any]:
    """Plain lists, numbers and text; defaults are left out, and so is the patch."""
    plausible, ellipse = profile.plausible, profile.ellipse
    record = _Profile(
        name=profile.name,
        unit=profile.unit,
        picture_size_px=profile.picture_size,
        patch_offset_px=profile.patch_offset,
        center_px=profile.center,
        marks=tuple(_Mark(value=m.value, x_px=m.x_px, y_px=m.y_px) for m in profile.marks),
        min=profile.min,
        max=profile.max,
        direction=profile.direction,
        wraps=profile.wraps,
        ellipse=ellipse and _Ellipse(long_px=ellipse[0], short_px=ellipse[1], tilt_deg=ellipse[2]),
        plausible=plausible and _Plausible(min=plausible[0], max=plausible[1]),
        highest_rate_per_s=profile.highest_rate_per_s,
        glare=profile.glare,
        registers=tuple(
            _Register(
                center_px=each.center, zero_px=each.zero, factor=each.factor,
                direction=each.direction, offset=each.offset,
            )
            for each in profile.registers
        ),
    )  # fmt: skip
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(record))
    return plain


def from_mapping(mapping: Mapping[str, Any], patch: ImageRGB) -> Profile:
    """The profile that `to_mapping` wrote, or that a person did.

    Args:
        patch: ``(H, W, 3) uint8, rgb8``, the picture that belongs to the mapping.

    Raises:
        ConfigError: an unknown, missing or wrong value; the message begins with its key.
    """
    try:
        record = msgspec.convert(dict(mapping), _Profile)
    except msgspec.ValidationError as exc:
        raise _named(str(exc)) from exc
    _check_finite(msgspec.to_builtins(record), "")
    _check_patch(record, patch)
    profile = Profile(
        name=record.name,
        unit=record.unit,
        patch=patch,
        patch_offset=record.patch_offset_px,
        picture_size=record.picture_size_px,
        center=record.center_px,
        marks=tuple(Mark(mark.value, mark.x_px, mark.y_px) for mark in record.marks),
        min=record.min,
        max=record.max,
        direction=record.direction,
        wraps=record.wraps,
        ellipse=_ellipse(record.ellipse),
        plausible=_plausible(record.plausible),
        highest_rate_per_s=_positive("highest_rate_per_s", record.highest_rate_per_s),
        glare=_glare(record.glare),
        registers=tuple(_register(index, each) for index, each in enumerate(record.registers)),
    )
    profile.check()
    return profile


def _named(text: str) -> ConfigError:
    """msgspec's message, key first; a misspelt key gets the nearest known one."""
    place = _PLACE.search(text)
    where = place.group(1) if place else ""
    what = _PLACE.sub("", text)
    if unknown := _UNKNOWN.search(text):
        key = unknown.group(1)
        known = {name for kind in _Strict.__subclasses__() for name in kind.__struct_fields__}
        near = difflib.get_close_matches(key, sorted(known), 1)
        hint = f"did you mean {near[0]}?" if near else "see configs/gauges for every key"
        return ConfigError(f"{_joined(where, key)}: unknown key", hint=hint)
    if missing := _MISSING.search(text):
        return ConfigError(f"{_joined(where, missing.group(1))}: missing")
    return ConfigError(f"{where or 'profile'}: {what[:1].lower()}{what[1:]}")


def _joined(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _check_finite(value: Any, key: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{key}: {value} is not a number that can be read with")
    if isinstance(value, Mapping):
        for name, item in value.items():
            _check_finite(item, _joined(key, str(name)))
    if isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _check_finite(item, f"{key}[{index}]")


def _check_patch(record: _Profile, patch: ImageRGB) -> None:
    height, width = patch.shape[:2]
    for name, size, offset, whole in (
        ("width", width, record.patch_offset_px[0], record.picture_size_px[0]),
        ("height", height, record.patch_offset_px[1], record.picture_size_px[1]),
    ):
        if offset < 0 or offset + size > whole:
            raise ConfigError(
                f"patch_offset_px: a patch of {name} {size} px at {offset} px does not fit a "
                f"picture of {whole} px",
                hint="the picture beside the profile belongs to another profile?",
            )


def _positive(key: str, value: float | None) -> float | None:
    if value is not None and value <= 0:
        raise ConfigError(f"{key}: {value:g} must be above 0")
    return value


def _ellipse(record: _Ellipse | None) -> tuple[float, float, float] | None:
    if record is None:
        return None
    if not 0 < record.short_px <= record.long_px:
        raise ConfigError("ellipse.short_px: half axes must be 0 < short_px <= long_px")
    return record.long_px, record.short_px, record.tilt_deg


def _plausible(record: _Plausible | None) -> tuple[float, float] | None:
    if record is None:
        return None
    if record.min >= record.max:
        raise ConfigError(f"plausible.max: {record.max:g} is not above min {record.min:g}")
    return record.min, record.max


def _glare(polygons: tuple[tuple[Pair, ...], ...]) -> tuple[tuple[Pair, ...], ...]:
    for index, polygon in enumerate(polygons):
        if len(polygon) < 3:
            raise ConfigError(f"glare[{index}]: a polygon needs three or more points")
    return polygons


def _register(index: int, record: _Register) -> Register:
    if record.factor <= 0:
        raise ConfigError(f"registers[{index}].factor: {record.factor:g} must be above 0")
    if math.dist(record.center_px, record.zero_px) < 3:
        raise ConfigError(f"registers[{index}].zero_px: less than 3 px from center_px")
    return Register(
        record.center_px, record.zero_px, record.factor, record.direction, record.offset
    )

"""Printed numbers and units among the texts that an OCR finds on a dial."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from molmo_node.instruments.pixels import ImageRGB


@dataclass(frozen=True)
class Text:
    """A text found in a picture: its centre in pixels, its longer side, and the OCR's score."""

    text: str
    x_px: float
    y_px: float
    size_px: float
    score: float


TextReader = Callable[[ImageRGB], Sequence[Text]]
"""``(H, W, 3) uint8, rgb8`` → every text that can be read as it stands."""

LEAST_SCORE = 0.5
_NUMBER = re.compile(r"^-?\d{1,5}(?:\.\d{1,3})?$")
_LOOKS_LIKE = str.maketrans({",": ".", "O": "0", "o": "0", "−": "-", "–": "-", "—": "-"})
_DECORATION = " ·•*'`°_:;|"
# Longer names first: "mbar" must not be taken for "bar".
_UNITS = (
    ("kg/cm", "kg/cm²"), ("kgf/cm", "kg/cm²"), ("inhg", "inHg"), ("mmhg", "mmHg"),
    ("lb/in", "psi"), ("lbf/in", "psi"), ("mbar", "mbar"), ("hpa", "hPa"), ("kpa", "kPa"),
    ("mpa", "MPa"), ("psi", "psi"), ("psl", "psi"), ("bar", "bar"), ("%rh", "%RH"),
    ("°c", "°C"), ("℃", "°C"), ("°f", "°F"), ("℉", "°F"), ("rpm", "rpm"), ("km/h", "km/h"),
    ("mph", "mph"), ("volt", "V"), ("amp", "A"), ("m3/h", "m³/h"), ("l/min", "l/min"),
)  # fmt: skip
_PASCAL_IN = {
    "Pa": 1.0, "hPa": 1e2, "kPa": 1e3, "MPa": 1e6, "mbar": 1e2, "bar": 1e5, "psi": 6894.76,
    "kg/cm²": 98066.5, "inHg": 3386.39, "mmHg": 133.322,
}  # fmt: skip


def number_in(text: Text) -> float | None:
    """The number that a text is, or None."""
    if text.score < LEAST_SCORE:
        return None
    plain = text.text.strip().translate(_LOOKS_LIKE).strip(_DECORATION)
    if not _NUMBER.match(plain):
        return None
    digits = plain.lstrip("-")
    has_false_zero = len(digits) > 1 and digits[0] == "0" and "." not in digits
    return None if has_false_zero else float(plain)


def units_in(texts: Sequence[Text]) -> tuple[str, ...]:
    """The different units that the texts name, in their order."""
    found: list[str] = []
    for text in texts:
        plain = text.text.lower().replace(" ", "").replace("kgf", "kg")
        unit = next((unit for key, unit in _UNITS if key in plain), None)
        if unit and unit not in found:
            found.append(unit)
    return tuple(found)


def unit_of_ring(units: Sequence[str], low: float, high: float, other_high: float | None) -> str:
    """Which unit belongs to a ring of numbers, or empty where that cannot be told.

    Args:
        low, high: the ring's lowest and highest number.
        other_high: the highest number, at the same place, of a second ring on the dial.
    """
    if len(units) == 1:
        return units[0]
    if other_high is None or other_high <= 0 or high <= 0:
        return ""
    best, best_off = "", 0.25
    for unit in units:
        for other in units:
            if unit == other or unit not in _PASCAL_IN or other not in _PASCAL_IN:
                continue
            expected = _PASCAL_IN[other] / _PASCAL_IN[unit]
            off = abs(high / other_high / expected - 1.0)
            if off < best_off:
                best, best_off = unit, off
    return best

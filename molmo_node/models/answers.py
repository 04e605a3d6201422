"""Text to points, counts, times, values and JSON.

Every parser takes any string and gives a typed result or a `NoAnswer` that says why: never a
guess, never an exception. Model units (percent, thousandths) become pixels here and nowhere
else.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from molmo_node.errors import NoAnswer
from molmo_node.messages import Point

_REFUSAL = re.compile(r"\b(none|isn't in|is not in|not shown|no such|cannot see|can't see)\b", re.I)
_LONGEST_LIST = 1000


@dataclass(frozen=True)
class ClockTime:
    """Hour 0 to 11 (a dial has no am or pm), minute, second if one was said."""

    hour: int
    minute: int
    second: int | None


@dataclass(frozen=True)
class Value:
    """A number and the unit that stood behind it, empty if none did."""

    value: float
    unit: str


def to_pixels(x: float, y: float, scale: float, width: int, height: int) -> tuple[float, float]:
    """A point in shares of the picture to pixels.

    Args:
        x, y: 0 at the left or top edge, `scale` at the right or bottom one.
        scale: 100 for Molmo v1, 1000 for Molmo2.
        width, height: of the picture that was asked about; `scale` maps to `width`, not to
            ``width - 1``.

    Source: the pointing format of the Molmo paper (arXiv 2409.17146).
    """
    return x / scale * width, y / scale * height


_TAG = re.compile(r"<points?\b([^>]*)(>|\Z)", re.DOTALL)
_ATTRIBUTE = re.compile(r'([a-z]+)(\d*)\s*=\s*"\s*([^"]*?)\s*("|\Z)')
_DECIMAL = re.compile(r"\d{1,4}(\.\d{1,6})?", re.ASCII)


def percent_points(
    text: str, width: int, height: int, label: str = ""
) -> tuple[Point, ...] | NoAnswer:
    """Points of Molmo v1's tags, in the order in which the model named them.

    A tag may end with its last coordinate, where decoding stops. An index without its
    partner, a value that is no number or one beyond 100 makes the whole answer void: a robot
    must not go to what is left of a broken list.

    Args:
        label: for points whose tag was not read up to its own.
    """
    points: list[Point] = []
    for tag in _TAG.finditer(text):
        found = _tag_points(tag[1], width, height, label)
        if isinstance(found, NoAnswer):
            return found
        points += found
    if not points:
        return _nothing(text)
    return tuple(points)


def _tag_points(inside: str, width: int, height: int, label: str) -> list[Point] | NoAnswer:
    attributes = [(m[1], m[2], m[3]) for m in _ATTRIBUTE.finditer(inside)]
    label = next((value for name, _, value in attributes if name == "alt"), label)
    places: dict[str, dict[str, str]] = {}
    for name, index, value in attributes:
        if name in ("x", "y"):
            pair = places.setdefault(index, {})
            if name in pair:
                return NoAnswer(f"{name}{index} was said twice")
            pair[name] = value
    points = []
    for index, pair in places.items():
        if len(pair) != 2:
            return NoAnswer(f"point {index or 1} has only one coordinate")
        point = _point(pair["x"], pair["y"], 100.0, width, height, label)
        if isinstance(point, NoAnswer):
            return point
        points.append(point)
    return points


def _point(x: str, y: str, scale: float, width: int, height: int, label: str) -> Point | NoAnswer:
    if not _DECIMAL.fullmatch(x) or not _DECIMAL.fullmatch(y):
        return NoAnswer(f"a coordinate is not a number: x={x[:12]!r}, y={y[:12]!r}")
    if max(float(x), float(y)) > scale:
        return NoAnswer(f"a point lies outside the picture: x={x}, y={y} of {scale:g}")
    x_px, y_px = to_pixels(float(x), float(y), scale, width, height)
    return Point(x_px=x_px, y_px=y_px, label=label)


_COORDS_TAG = re.compile(r'<points\s+coords="([^"]*)("|\Z)(?:[^>]*>([^<]*))?', re.DOTALL)


def thousandth_points(
    text: str, width: int, height: int, label: str = ""
) -> tuple[Point, ...] | NoAnswer:
    """Points of Molmo2's tags: picture number, then object number, x and y for each point.

    Only picture 1 exists here; another number, or a list that breaks off, voids the answer.
    """
    points: list[Point] = []
    for tag in _COORDS_TAG.finditer(text):
        fields = tag[1].split()
        if len(fields) > _LONGEST_LIST or len(fields) % 3 != 1 or fields[0] != "1":
            return NoAnswer(f"a list of points of {len(fields)} numbers is not whole")
        name = (tag[3] or "").strip() or label
        for _, x, y in zip(fields[1::3], fields[2::3], fields[3::3], strict=True):
            point = _point(x, y, 1000.0, width, height, name)
            if isinstance(point, NoAnswer):
                return point
            points.append(point)
    if not points:
        return _nothing(text)
    return tuple(points)


def _nothing(text: str) -> NoAnswer:
    said = " ".join(text.split())[:80]
    if not said:
        return NoAnswer("the model said nothing")
    if _REFUSAL.search(said):
        return NoAnswer(f"the model sees none: {said}")
    return NoAnswer(f"no point in the model's answer: {said}")


_WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen", "twenty",
)  # fmt: skip
_TOTAL = re.compile(r"\btotal of (\d{1,6}|[a-z]+)\b", re.I | re.ASCII)
_INTEGER = re.compile(r"(?<![\d.,])\d{1,6}(?![\d]|[.,]\d)", re.ASCII)


def count_in(text: str) -> int | NoAnswer:
    """The number that an answer to "how many" states; tags of points are not looked into."""
    prose = re.sub(r"<[^>]*(>|\Z)", " ", text)
    total = _TOTAL.search(prose)
    stated = [total[1]] if total else _INTEGER.findall(prose)
    if not stated:
        stated = [word for word in re.findall(r"[a-z]+", prose.lower()) if word in _WORDS]
    numbers = {_integer(word) for word in stated} - {None}
    if len(numbers) == 1:
        return int(numbers.pop() or 0)
    if not numbers and re.search(r"\bnone\b|\bno\b", prose, re.I):
        return 0
    said = " ".join(text.split())[:80]
    return NoAnswer(f"{'several numbers' if numbers else 'no number'} in the answer: {said}")


def _integer(word: str) -> int | None:
    if word.isdecimal():
        return int(word)
    return _WORDS.index(word.lower()) if word.lower() in _WORDS else None


_TIME = re.compile(r"(?<![\d:])(\d{1,2}):(\d\d)(?::(\d\d))?(?![\d:])", re.ASCII)


def time_in(text: str) -> ClockTime | NoAnswer:
    """The one time of day that a text names."""
    said = " ".join(text.split())[:80]
    times = set()
    for hour, minute, second in _TIME.findall(text):
        if int(hour) > 23 or int(minute) > 59 or int(second or 0) > 59:
            return NoAnswer(f"not a time of day: {hour}:{minute}")
        times.add((int(hour) % 12, int(minute), int(second) if second else None))
    if len(times) == 1:
        return ClockTime(*times.pop())
    if not times:
        return NoAnswer(f"no time in the model's answer: {said}")
    return NoAnswer(f"several times in the model's answer: {said}")


_VALUE = re.compile(
    r"(?<![\w.,])([-+−]?\d{1,9}(?:[.,]\d{1,6})?)(?![\d.,]*\d)\s*([%°℃℉µμ\w/²³·]{0,12})"
)
# A word behind a number is a unit only if it is one: "4.2 on the dial" has none.
_UNIT_WORDS = """
    % ° °C °F ℃ ℉ C F K Pa hPa kPa MPa bar mbar psi PSI atm Torr mmHg inHg kg/cm² kgf/cm²
    V mV kV volts A mA kA µA amps W kW MW kWh Hz kHz MHz rpm RPM r/min min⁻¹ s ms min h
    mm cm m km in ft mm/s m/s km/h mph kn l/min L/min l/h m³/h m3/h gpm cfm l L ml m³ gal
    g kg t lb lbs N kN Nm degrees deg Celsius Fahrenheit
"""
_UNITS = frozenset(_UNIT_WORDS.split())


def value_in(text: str) -> Value | NoAnswer:
    """The one number with its unit that a text names.

    A comma before one, two or four and more digits is a decimal comma; before exactly three
    it could also group thousands, and is then no answer.
    """
    said = " ".join(text.split())[:80]
    found = set()
    for number, unit in _VALUE.findall(text):
        if re.search(r",\d{3}\Z", number):
            return NoAnswer(f"a comma that may mean two things: {number}")
        plain = number.replace(",", ".").replace("−", "-")
        if not plain.isascii():
            return NoAnswer(f"digits of another script: {said}")
        found.add((float(plain), unit if unit in _UNITS else ""))
    if len(found) == 1:
        return Value(*found.pop())
    return NoAnswer(f"{'several numbers' if found else 'no number'} in the answer: {said}")


def json_in(text: str) -> Any | NoAnswer:
    """The longest JSON object or list in a text; prose and code fences around it are skipped.

    Returns:
        A dict or a list, or NoAnswer.
    """
    decoder = json.JSONDecoder(parse_constant=_refuse_constant)
    best: tuple[int, Any] | None = None
    end = 0
    for start in list(re.finditer(r"[{\[]", text))[:_LONGEST_LIST]:
        if start.start() < end:
            continue
        try:
            value, end = decoder.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            continue
        if best is None or end - start.start() > best[0]:
            best = (end - start.start(), value)
    return NoAnswer("no JSON in the model's answer") if best is None else best[1]


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")

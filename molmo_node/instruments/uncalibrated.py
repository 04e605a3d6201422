"""Read gauges nobody has calibrated: the scale from its printed numbers, the needle from pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from molmo_node.instruments.angles import unit_vector
from molmo_node.instruments.dial import Dial
from molmo_node.instruments.even import Sighting
from molmo_node.instruments.find import find_dials
from molmo_node.instruments.needle import Needle, find_needles
from molmo_node.instruments.ocr import text_reader
from molmo_node.instruments.perspective import Lean, PointXY, dial_about
from molmo_node.instruments.pick import Pick, choose
from molmo_node.instruments.pivot import find_pivot
from molmo_node.instruments.pixels import ImageRGB
from molmo_node.instruments.polar import unroll
from molmo_node.instruments.ring import Number, Ring, find_rings, fit_ring
from molmo_node.instruments.spread import ring_texts, upright_texts
from molmo_node.instruments.texts import Text, TextReader, number_in, unit_of_ring, units_in
from molmo_node.instruments.ticks import find_comb
from molmo_node.messages import GaugeReading, Geometry, Reason, Vote

MOST_DIALS = 3
TURNS_DEG = (0.0, 180.0, 90.0, 270.0, 45.0, 315.0)
ENOUGH_NUMBERS = 4
FEW_NUMBERS = 3
PLENTY_NUMBERS = 7
TWICE = 0.1
"""The same number nearer than this, in radii, was read twice."""
FEWEST_TEXTS = 2
"""A round thing with less print than this is no gauge: it is not turned and read again."""
LEAST_RIM = 0.35
BEYOND_NUMBERS_DEG = 25.0
BEYOND_ENDS_DEG = 12.0
SHORTEST_NEEDLE = 0.38
FARTHEST_PIVOT = 0.16
SETTLED = 0.003
COARSE_DEG = 1.0
LOOKS = 4
TICK_SIGMA = 0.005
BEYOND_READ = 0.8
"""Confidence in a value that lies outside the numbers that were read."""
LEAST_CONFIDENCE = 0.45
PIVOT_SIGMA = 0.01


@dataclass(frozen=True)
class _Scale:
    """What the texts of a dial say, in the plane of the rectified dial."""

    ring: Ring
    units: tuple[str, ...]
    other: Ring | None
    up_deg: float | None

    def swapped(self) -> _Scale:
        """The same dial, to be read on the other ring."""
        assert self.other is not None
        return replace(self, ring=self.other, other=self.ring)


@dataclass(frozen=True)
class _Seen:
    """A needle, the ring fitted about a pivot on its line, and the dial about that pivot."""

    dial: Dial
    ring: Ring
    pick: Pick

    @property
    def goodness(self) -> float:
        """Long, straight, through the pivot, and numbers that are even about it."""
        needle = self.pick.needle
        blur = 0.5 * needle.sigma_deg + 3.0 * needle.miss
        return needle.length - blur - 0.03 * self.ring.rms_deg


def read_gauges(
    image: ImageRGB, *, read_text: TextReader | None = None, dials: Sequence[Dial] = ()
) -> list[GaugeReading]:
    """Read every gauge in a picture, each on the ring of numbers that was read best.

    Args:
        image: ``(H, W, 3) uint8, rgb8``.
        read_text: finds printed text; default: the extra `[ocr]`, if it is installed.
        dials: where they are, if that is known (from an engine's points); default: looked for.

    Returns:
        One reading for each dial, the surest first. Without numbers there is no value: the
        reason is `scale_unread`, and `no_dial` where no ellipse was found at all.
    """
    read_text = read_text or text_reader()
    found = list(dials) or [d for d in find_dials(image, most=MOST_DIALS) if d.score > LEAST_RIM]
    readings: list[GaugeReading] = []
    for dial in found:
        if any(_covers(reading, dial) for reading in readings):
            continue
        readings.append(_read_one(image, dial, read_text))
    if not readings:
        return [_refused("no_dial", None)]
    told = [reading for reading in readings if reading.reason != "scale_unread"]
    return sorted(told or readings[:1], key=lambda reading: -reading.confidence)


def _covers(reading: GaugeReading, dial: Dial) -> bool:
    """The dial is another rim of one that was read already."""
    if reading.geometry is None or reading.reason == "scale_unread":
        return False
    return math.dist(reading.geometry.center, dial.center) < 0.4 * dial.radius_px


def _read_one(image: ImageRGB, dial: Dial, read_text: TextReader | None) -> GaugeReading:
    scale = None if read_text is None else _scale(image, dial, read_text)
    if scale is None:
        return _refused("scale_unread", dial)
    if scale.ring.is_clock(scale.up_deg):
        return _refused("no_dial", dial)
    seen = _best_seen(image, dial, scale.ring)
    if seen is None:
        return _refused("no_needle", dial)
    reading = _reading(dial, seen, scale)
    if scale.other is None or seen.ring.is_between(seen.pick.needle.direction_deg):
        return reading
    again = _best_seen(image, dial, scale.other)
    if again is None or not again.ring.is_between(again.pick.needle.direction_deg):
        return reading
    other = _reading(dial, again, scale.swapped())
    return other if other.confidence > BEYOND_READ * reading.confidence else reading


def _best_seen(image: ImageRGB, dial: Dial, ring: Ring) -> _Seen | None:
    """The needle about the likeliest pivot, and the ring on its ticks."""
    seen = [_needle(image, dial, start, ring) for start in _starts(image, dial, ring)]
    found = [each for each in seen if each is not None]
    if not found:
        return None
    return _on_ticks(image, dial, max(found, key=lambda each: each.goodness))


def _scale(image: ImageRGB, dial: Dial, read_text: TextReader) -> _Scale | None:
    """Numbers as they stand, then along the ring, then the dial turned: until a ring is found."""
    lean = Lean.of(dial)
    best: _Scale | None = None
    for turn_deg in TURNS_DEG:
        texts = upright_texts(image, dial, read_text, turn_deg)
        if len(texts) < FEWEST_TEXTS:
            break
        found = _ring_in(texts, lean, turn_deg)
        if turn_deg == 0.0 and (found is None or len(found.ring.numbers) < PLENTY_NUMBERS):
            found = _ring_in([*texts, *ring_texts(image, dial, read_text)], lean, None)
        if found and (best is None or len(found.ring.numbers) > len(best.ring.numbers)):
            best = found
        enough = ENOUGH_NUMBERS if turn_deg in TURNS_DEG[:2] else FEW_NUMBERS
        if best is not None and len(best.ring.numbers) >= enough:
            break
    return best


def _ring_in(texts: Sequence[Text], lean: Lean, up_deg: float | None) -> _Scale | None:
    numbers: list[Number] = []
    for text in texts:
        value = number_in(text)
        if value is None or any(
            value == other.value and math.hypot(text.x_px - other.x, text.y_px - other.y) < TWICE
            for other in numbers
        ):
            continue
        numbers.append(Number(value, text.x_px, text.y_px, text.score))
    rings = find_rings(numbers, lean)
    if not rings:
        return None
    return _Scale(rings[0], units_in(texts), rings[1] if len(rings) > 1 else None, up_deg)


def _starts(image: ImageRGB, rim: Dial, ring: Ring) -> list[PointXY]:
    """Where the pivot may be, in the rim's plane: by the numbers, the rim, and the hub."""
    return [ring.pivot, (0.0, 0.0), rim.to_unit(*find_pivot(image, rim).center)]


def _needle(image: ImageRGB, rim: Dial, start: PointXY, ring: Ring) -> _Seen | None:
    """The needle and the ring about a pivot on its line, searched from a first place."""
    lean, pivot = Lean.of(rim), start
    seen: _Seen | None = None
    for _ in range(LOOKS):
        dial = dial_about(rim, pivot)
        about = ring if seen is None else seen.ring
        pick = _pick(image, dial, about)
        if pick is None:
            return seen
        sighting = _sighting(rim, dial, pick.needle)
        fitted = fit_ring(ring.numbers, lean, sighting, zero=ring.zero)
        seen = _Seen(dial, fitted, pick)
        if math.dist(fitted.pivot, pivot) < SETTLED:
            break
        pivot = fitted.pivot
    return seen


def _on_ticks(image: ImageRGB, rim: Dial, seen: _Seen) -> _Seen:
    """The ring through the marks beside its numbers, read or not, where they are seen."""
    ring, dial = seen.ring, seen.dial
    values = ring.printed_values()
    read = {number.value for number in ring.numbers}
    even = [ring.angle_deg(value) for value in values]
    as_read = [ring.angle_deg(value) + float(off) for value, off in zip(values, np.interp(values, [n.value for n in ring.numbers], ring.off_deg), strict=True)]
    comb = find_comb(unroll(image, dial), (even, as_read), ring.radius, seen.pick.needle)
    if comb is None:
        return seen
    marked = [
        _number_at(rim, dial, value, angle_deg, ring.radius)
        for value, angle_deg, is_seen in zip(values, comb.angles_deg, comb.is_seen, strict=True)
        if is_seen or value in read
    ]
    sighting = _sighting(rim, dial, seen.pick.needle)
    return replace(seen, ring=fit_ring(marked, Lean.of(rim), sighting, TICK_SIGMA, ring.zero))


def _number_at(rim: Dial, dial: Dial, value: float, angle_deg: float, reach: float) -> Number:
    """A number where its mark is, in the rim's plane."""
    x, y = unit_vector(angle_deg)
    return Number(value, *rim.to_unit(*dial.to_image(reach * x, reach * y)), 1.0)


def _sighting(rim: Dial, dial: Dial, needle: Needle) -> Sighting | None:
    """The needle's line in the rim's plane; None where it is no sharp line near the pivot."""
    if needle.sigma_deg > COARSE_DEG or needle.miss > FARTHEST_PIVOT:
        return None
    x, y = unit_vector(needle.direction_deg)
    foot_x, foot_y = needle.foot
    near = rim.to_unit(*dial.to_image(foot_x, foot_y))
    far = rim.to_unit(*dial.to_image(foot_x + x, foot_y + y))
    return Sighting(near, (far[0] - near[0], far[1] - near[1]))


def _pick(image: ImageRGB, dial: Dial, ring: Ring) -> Pick | None:
    """The needle about a pivot, among those that point into the scale or a little beyond."""
    outer = min(0.97, ring.radius + 0.25)
    needles = find_needles(unroll(image, dial), outer=outer, shortest=SHORTEST_NEEDLE)
    most_deg = BEYOND_NUMBERS_DEG + _step_deg(ring)
    return choose([n for n in needles if ring.beyond_deg(n.angle_deg) < most_deg])


def _reading(rim: Dial, seen: _Seen, scale: _Scale) -> GaugeReading:
    dial, ring, pick = seen.dial, seen.ring, seen.pick
    angle_deg = pick.needle.direction_deg
    value = ring.value(angle_deg)
    other = None if pick.other is None else ring.value(pick.other.direction_deg)
    confidence = _confidence(ring, pick)
    reason = _doubt(ring, pick, confidence)
    unit = unit_of_ring(scale.units, ring.low, ring.high, _high_of(scale.other, ring))
    return GaugeReading(
        value=None if reason else value,
        unit=unit,
        min=ring.low,
        max=ring.high,
        sigma=_sigma(ring, pick.needle),
        confidence=confidence,
        status="refused" if reason else ("ok" if unit else "doubtful"),
        method="ocr_scale",
        reason=reason or (None if unit else "unit_unknown"),
        alternative=value if reason else other,
        votes=(Vote(method="ocr_scale", value=value, confidence=confidence, reason=reason),),
        geometry=_geometry(rim, dial, ring, pick.needle),
    )


def _high_of(other: Ring | None, ring: Ring) -> float | None:
    """What a second ring says where this one has its highest number."""
    if other is None:
        return None
    angle_deg = ring.base_deg + (ring.high - ring.base_value) / ring.units_per_deg
    return other.value(angle_deg)


def _confidence(ring: Ring, pick: Pick) -> float:
    """0..1: enough numbers on an even scale, a straight long needle, one clear tip."""
    count = len(ring.numbers) + (ring.zero is not None)
    enough = min(1.0, (count - 1) / 4)
    even = math.exp(-ring.rms_deg / 5.0)
    straight = math.exp(-((pick.needle.sigma_deg / 2.0) ** 2))
    long = min(1.0, pick.needle.length / 0.55)
    between = 1.0 if ring.is_between(pick.needle.direction_deg) else BEYOND_READ
    return enough * even * straight * long * pick.clearness * between


def _doubt(ring: Ring, pick: Pick, confidence: float) -> Reason | None:
    if ring.beyond_deg(pick.needle.direction_deg) > BEYOND_ENDS_DEG + _step_deg(ring):
        return "outside_sweep"
    if confidence >= LEAST_CONFIDENCE:
        return None
    is_end_unclear = pick.other is not None and pick.other.is_opposite(pick.needle)
    return "tip_tail_ambiguous" if is_end_unclear and pick.clearness < 0.6 else "low_confidence"


def _step_deg(ring: Ring) -> float:
    """Degrees between neighbouring numbers: the last one may not have been read."""
    return ring.span_deg / max(1, len(ring.numbers) - 1)


def _sigma(ring: Ring, needle: Needle) -> float:
    """One standard deviation in units: the numbers' line, the needle's, and the pivot."""
    parts_deg = (
        ring.rms_deg / math.sqrt(max(1, len(ring.numbers) - 2)),
        needle.sigma_deg,
        math.degrees(PIVOT_SIGMA / max(0.3, needle.length)),
    )
    return abs(ring.units_per_deg) * math.hypot(*parts_deg)


def _geometry(rim: Dial, dial: Dial, ring: Ring, needle: Needle) -> Geometry:
    x, y = unit_vector(needle.angle_deg)
    places = [rim.to_image(number.x, number.y) for number in ring.numbers]
    return Geometry(
        center=dial.center,
        needle_tip=dial.to_image(needle.length * x, needle.length * y),
        needle_deg=needle.direction_deg,
        sweep_deg=ring.span_deg,
        ellipse=(*rim.center, *rim.axes_px),
        scale_points=tuple(
            (number.value, *place) for number, place in zip(ring.numbers, places, strict=True)
        ),
    )


def _refused(reason: Reason, dial: Dial | None) -> GaugeReading:
    geometry = (
        None
        if dial is None
        else Geometry(center=dial.center, ellipse=(*dial.center, *dial.axes_px))
    )
    return GaugeReading(
        value=None, status="refused", method="ocr_scale", reason=reason, geometry=geometry
    )

"""Read gauges nobody has calibrated: the scale from its printed numbers, the needle from pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from molmo_node.instruments.angles import unit_vector
from molmo_node.instruments.dial import Dial
from molmo_node.instruments.find import find_dials
from molmo_node.instruments.hint import DialHint, hint_on
from molmo_node.instruments.needle import Needle
from molmo_node.instruments.ocr import text_reader
from molmo_node.instruments.perspective import Lean
from molmo_node.instruments.pick import Pick
from molmo_node.instruments.pixels import ImageRGB
from molmo_node.instruments.printed import Number
from molmo_node.instruments.ring import Ring
from molmo_node.instruments.ring_needle import Seen, best_seen
from molmo_node.instruments.ring_search import find_rings
from molmo_node.instruments.spread import ring_texts, upright_texts
from molmo_node.instruments.texts import Text, TextReader, number_in, unit_of_ring, units_in
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
BEYOND_ENDS_DEG = 12.0
BEYOND_READ = 0.8
"""Confidence in a value that lies outside the numbers that were read."""
LEAST_CONFIDENCE = 0.35
"""By the rule of tools/choose_threshold.py on tests/instruments/threshold_evidence.json."""
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


def read_gauges(
    image: ImageRGB,
    *,
    read_text: TextReader | None = None,
    dials: Sequence[Dial] = (),
    hints: Sequence[DialHint] = (),
) -> list[GaugeReading]:
    """Read every gauge in a picture, each on the ring of numbers that was read best.

    Args:
        image: ``(H, W, 3) uint8, rgb8``.
        read_text: finds printed text; default: the extra `[ocr]`, if it is installed.
        dials: where they are, if that is known; default: looked for.
        hints: what a model points at. Dials that only it sees are read too; it settles which end
            of a needle is its tip, and a reading that it agrees with is the surer for it.

    Returns:
        One reading for each dial, the surest first. Without numbers there is no value: the
        reason is `scale_unread`, and `no_dial` where no ellipse was found at all.
    """
    read_text = read_text or text_reader()
    found = list(dials) or [d for d in find_dials(image, most=MOST_DIALS) if d.score > LEAST_RIM]
    found += [hint.dial for hint in hints if not any(hint.is_on(dial) for dial in found)]
    readings: list[GaugeReading] = []
    for dial in found:
        if any(_covers(reading, dial) for reading in readings):
            continue
        readings.append(_read_one(image, dial, read_text, hint_on(dial, hints)))
    if not readings:
        return [_refused("no_dial", None)]
    told = [reading for reading in readings if reading.reason != "scale_unread"]
    return sorted(told or readings[:1], key=lambda reading: -reading.confidence)


def _covers(reading: GaugeReading, dial: Dial) -> bool:
    """The dial is another rim of one that was read already."""
    if reading.geometry is None or reading.reason == "scale_unread":
        return False
    return math.dist(reading.geometry.center, dial.center) < 0.4 * dial.radius_px


def _read_one(
    image: ImageRGB, dial: Dial, read_text: TextReader | None, hint: DialHint | None
) -> GaugeReading:
    scale = None if read_text is None else _scale(image, dial, read_text)
    if scale is None:
        return _refused("scale_unread", dial)
    if scale.ring.is_clock(scale.up_deg):
        return _refused("no_dial", dial)
    seen = best_seen(image, dial, scale.ring)
    if seen is None:
        return _refused("no_needle", dial)
    reading = _reading(dial, seen, scale, hint)
    if scale.other is None or seen.ring.is_between(seen.pick.needle.direction_deg):
        return reading
    again = best_seen(image, dial, scale.other)
    if again is None or not again.ring.is_between(again.pick.needle.direction_deg):
        return reading
    other = _reading(dial, again, scale.swapped(), hint)
    return other if other.confidence > BEYOND_READ * reading.confidence else reading


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
            up_deg = None if found is None and not _has_upright(texts) else turn_deg
            found = _ring_in([*texts, *ring_texts(image, dial, read_text)], lean, up_deg)
        if found and (best is None or len(found.ring.numbers) > len(best.ring.numbers)):
            best = found
        enough = ENOUGH_NUMBERS if turn_deg in TURNS_DEG[:2] else FEW_NUMBERS
        if best is not None and len(best.ring.numbers) >= enough:
            break
    return best


def _has_upright(texts: Sequence[Text]) -> bool:
    """Two or more numbers can be read as they stand, so that up is up."""
    return sum(number_in(text) is not None for text in texts) >= FEWEST_TEXTS


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


def _reading(rim: Dial, seen: Seen, scale: _Scale, hint: DialHint | None) -> GaugeReading:
    dial, ring = seen.dial, seen.ring
    pick = seen.pick if hint is None else hint.chosen(dial, seen.pick)
    angle_deg = pick.needle.direction_deg
    value = ring.value(angle_deg)
    other = None if pick.other is None else ring.value(pick.other.direction_deg)
    confidence = own = _confidence(ring, pick)
    if hint is not None and hint.sees(dial, pick.needle):
        confidence = 1.0 - (1.0 - own) * (1.0 - hint.trust)
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
        method="ocr_scale" if confidence == own else "fused",
        reason=reason or (None if unit else "unit_unknown"),
        alternative=value if reason else other,
        votes=(
            Vote(method="ocr_scale", value=value, confidence=own, reason=reason),
            *_told(hint, dial, ring),
        ),
        geometry=_geometry(rim, dial, ring, pick.needle),
    )


def _told(hint: DialHint | None, dial: Dial, ring: Ring) -> tuple[Vote, ...]:
    """What the model's needle shows on the ring."""
    if hint is None:
        return ()
    value = ring.value(dial.angle_deg(*hint.tip))
    return (Vote(method=hint.told_by, value=value, confidence=hint.trust),)


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
    if ring.beyond_deg(pick.needle.direction_deg) > BEYOND_ENDS_DEG + ring.step_deg:
        return "outside_sweep"
    if confidence >= LEAST_CONFIDENCE:
        return None
    is_end_unclear = pick.other is not None and pick.other.is_opposite(pick.needle)
    return "tip_tail_ambiguous" if is_end_unclear and pick.clearness < 0.6 else "low_confidence"


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

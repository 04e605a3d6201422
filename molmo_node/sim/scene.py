"""A whole picture with its exact truth, made from one seed."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field, replace
from typing import Literal

import cv2
import numpy as np

from molmo_node.sim.backgrounds import background
from molmo_node.sim.clocks import DialTime, DrawnDial, draw_clock, random_time
from molmo_node.sim.clutter import strew
from molmo_node.sim.colors import COLORS, pick_rgb
from molmo_node.sim.dial_plane import seen_plane
from molmo_node.sim.gauges import GaugeScale, draw_gauge, random_scale
from molmo_node.sim.objects import Light, Placed, draw_thing, pick_light
from molmo_node.sim.paint import Image, inner_point
from molmo_node.sim.photometry import photograph
from molmo_node.sim.solids import View
from molmo_node.sim.things import SIDE_COLORS, THINGS, UNNAMED

Kind = Literal["objects", "clock", "gauge", "mixed", "cluttered"]
_NATURAL = {"banana": "yellow", "apple": "red", "cable": "black", "wrench": "gray"}
# a thing less visible than this is neither there nor absent:
_MIN_VISIBLE = 0.45  # share of its own area
_MIN_AREA_PX = 90
_MOST_THINGS = 10
_MIN_CONTRAST = 24.0  # distance of its mean colour from that around it, of 441


@dataclass(frozen=True)
class Thing:
    """Something in the picture that can be asked for.

    `number` is its value in the instance mask. `color` is empty for dials. `other_colors`
    could be meant by a colour without being the thing's own. `is_clear` is false where so
    little is visible that neither "there" nor "absent" is fair.
    """

    number: int
    noun: str
    color: str
    other_colors: frozenset[str]
    x_px: float
    y_px: float
    is_clear: bool = True


@dataclass(frozen=True)
class ClockTruth:
    """A clock's time and key points, see `clocks.DrawnDial`."""

    time: DialTime
    dial: DrawnDial


@dataclass(frozen=True)
class GaugeTruth:
    """A gauge's scale, needle (fraction of the scale) and key points."""

    scale: GaugeScale
    fraction: float
    dial: DrawnDial

    @property
    def value(self) -> float:
        """What the gauge reads, in its unit."""
        return self.scale.value(self.fraction)


@dataclass
class Scene:
    """A picture and what is in it.

    `image_hwc` is ``(H, W, 3) uint8, rgb8``; `instance_hw` ``(H, W) uint8`` holds each visible
    thing's number, 0 for none. `scrap_colors` are those of things without a name that lie about;
    "" among them stands for any colour.
    """

    image_hwc: Image
    instance_hw: Image
    things: list[Thing] = field(default_factory=list)
    scrap_colors: frozenset[str] = frozenset()
    clocks: list[ClockTruth] = field(default_factory=list)
    gauges: list[GaugeTruth] = field(default_factory=list)


def matching(scene: Scene, color: str, noun: str) -> list[Thing] | None:
    """The things that a colour and a noun (empty: any) ask for.

    Returns:
        None where the scene does not tell: something is hardly visible or of two colours, or
        scraps lie about that have the colour, more or less.
    """
    if not noun and color in scene.scrap_colors:
        return None
    found = []
    for thing in scene.things:
        if noun not in ("", thing.noun):
            continue
        if color not in ("", thing.color):
            if color in thing.other_colors:
                return None
            continue
        if not thing.is_clear or (not noun and not thing.color):
            return None
        found.append(thing)
    return found


def _pick_places(
    rng: random.Random, width: int, height: int, count: int, is_cluttered: bool
) -> list[Placed]:
    """Things on the table, none hiding another's middle; far to near. In a cluttered room the
    picture's edge may cut them, and they may have pictures on them."""
    repeated = [(rng.choice(THINGS), rng.choice(COLORS)) for _ in range(max(1, count // 3))]
    likes_repeats, closeness = rng.random() < 0.5, 0.9 if rng.random() < 0.6 else 0.7
    crowded = min(1.0, math.sqrt(5 / count))  # many things are small ones
    is_near = rng.random() < (0.5 if is_cluttered else 0.25 * (count < 4))
    largest = 0.36 if is_near else 0.17
    low, high = 12.0, max(16.0, largest * max(width, height) * crowded)
    places: list[Placed] = []
    for _ in range(count):
        noun, color = rng.choice(THINGS), rng.choice(COLORS)
        if likes_repeats and rng.random() < 0.7:
            noun, color = rng.choice(repeated)
        elif noun in _NATURAL and rng.random() < 0.5:
            color = _NATURAL[noun]
        elif rng.random() < 0.12:
            noun = UNNAMED
        for _ in range(12):
            radius = math.exp(rng.uniform(math.log(low), math.log(high)))
            edge = radius * rng.uniform(0.2, 1) if is_cluttered else radius
            x, y = rng.uniform(edge, width - edge), rng.uniform(edge, height - edge)
            if all(
                math.hypot(x - p.x_px, y - p.y_px) > closeness * (radius + p.radius_px)
                for p in places
            ):
                rgb, look = pick_rgb(rng, color), rng.getrandbits(32)
                places.append(Placed(noun, color, rgb, x, y, radius, look, is_cluttered))
                break
    return sorted(places, key=lambda place: place.y_px)


def add_things(
    rng: random.Random, scene: Scene, places: list[Placed], view: View, light: Light
) -> None:
    """Draw things in order into the scene and enter them in its truth, in place."""
    areas: dict[int, int] = {}
    drawn: list[tuple[Placed, int]] = []
    for place in places:
        number = len(scene.things) + len(drawn) + 1
        mask, x, y = draw_thing(scene.image_hwc, place, view, light)
        areas[number] = int(np.count_nonzero(mask))
        region = scene.instance_hw[y : y + mask.shape[0], x : x + mask.shape[1]]
        region[mask > 0] = number
        drawn.append((place, number))
    for place, number in drawn:
        thing = Thing(
            number, place.noun, place.color, SIDE_COLORS.get(place.noun, frozenset()), 0, 0
        )
        scene.things.append(settle(scene, thing, areas[number]))


def settle(scene: Scene, thing: Thing, area_px: int) -> Thing:
    """The thing with its visible part's inner point, or marked as hardly visible.

    Args:
        scene: complete, with the thing's number in its mask.
        thing: entered without a place.
        area_px: what it would cover if nothing hid it.
    """
    whole = np.asarray(cv2.inRange(scene.instance_hw, thing.number, thing.number), np.uint8)
    x, y, w, h = cv2.boundingRect(whole)
    mask = whole[y : y + h, x : x + w]
    if cv2.countNonZero(mask) < max(_MIN_AREA_PX, _MIN_VISIBLE * area_px):
        return replace(thing, is_clear=False)
    if _contrast(scene.image_hwc[y : y + h, x : x + w], mask) < _MIN_CONTRAST:
        return replace(thing, is_clear=False)
    inner_x, inner_y = inner_point(mask)
    return replace(thing, x_px=x + inner_x, y_px=y + inner_y)


def _contrast(region: Image, mask: Image) -> float:
    """How far a thing's mean colour is from the rest of its box."""
    inside, around = cv2.mean(region, mask), cv2.mean(region, cv2.bitwise_not(mask))
    return math.dist(inside[:3], around[:3])


def enter_dial(scene: Scene, noun: str, dial: DrawnDial) -> None:
    """Enter a drawn dial among the things that can be pointed at, in place."""
    number = len(scene.things) + 1
    cv2.fillPoly(scene.instance_hw, [np.round(dial.case_xy).astype(np.int32)], number)
    x, y = (float(v) for v in dial.keys_xy[0])
    scene.things.append(Thing(number, noun, "", dial.color_names, x, y))


def _add_dial(rng: random.Random, scene: Scene, noun: str, share: tuple[float, float]) -> None:
    """A dial of a random size (share of the picture's short side), place, roll and tilt; none
    where no place is free."""
    height, width = scene.image_hwc.shape[:2]
    radius = min(width, height) * rng.uniform(*share) / 2
    for _ in range(8):
        room = [max(side / 2 - radius, 0.04 * side) for side in (width, height)]
        x = width / 2 + rng.uniform(-room[0], room[0])
        y = height / 2 + rng.uniform(-room[1], room[1])
        if _is_free(scene, x, y, 1.2 * radius):
            break
    else:
        return
    put_dial(rng, scene, noun, (x, y), radius)


def put_dial(
    rng: random.Random, scene: Scene, noun: str, at_px: tuple[float, float], radius_px: float
) -> None:
    """Draw a clock or a gauge of a random kind, roll and tilt over what is there, in place."""
    roll, chance = rng.gauss(0, 0.07), rng.random()
    is_turned = chance > 0.8
    if is_turned:
        roll = rng.gauss(0, 0.6) if chance < 0.9 else rng.uniform(-math.pi, math.pi)
    plane = seen_plane(rng, *at_px, radius_px * 0.9, roll, 0.2)
    if noun == "clock":
        time = random_time(rng)
        dial = draw_clock(rng, scene.image_hwc, plane, time, is_turned)
        scene.clocks.append(ClockTruth(time, dial))
    else:
        scale, fraction = random_scale(rng), min(1.0, max(0.0, rng.uniform(-0.04, 1.03)))
        dial = draw_gauge(rng, scene.image_hwc, plane, scale, fraction)
        scene.gauges.append(GaugeTruth(scale, fraction, dial))
    enter_dial(scene, noun, dial)


def make_scene(seed: int, kind: Kind, width: int = 336, height: int = 336) -> Scene:
    """One scene, the same for the same arguments on every machine of one OpenCV version.

    Args:
        kind: "objects": 1 to 10 things; "clock" or "gauge": one dial of 45 to 120 % of the
            short side; "mixed": dials of 22 to 50 %, but of at least 60 px, among things;
            "cluttered": things, at times a dial, in a room full of others without a name.
        width, height: 84 to 1024 px.
    """
    rng = random.Random(seed)
    backdrop = background(rng, width, height)
    blank = np.zeros((height, width), np.uint8)
    scene = Scene(backdrop.image, blank, scrap_colors=backdrop.scrap_colors)
    if kind == "cluttered":
        strew(rng, scene.image_hwc)
        scene.scrap_colors = frozenset(("", *COLORS))
    view, light = View(rng.uniform(0.5, 1.15), rng.uniform(4.5, 12)), pick_light(rng)
    if kind == "mixed" or (kind == "cluttered" and rng.random() < 0.2):
        for noun in rng.choice((("clock",), ("gauge",), ("clock", "gauge"))):
            _add_dial(rng, scene, noun, (max(0.22, 60 / min(width, height)), 0.5))
    elif kind in ("clock", "gauge"):
        _add_dial(rng, scene, kind, (0.45, 1.2))
    if kind not in ("clock", "gauge"):
        roominess = min(1.0, math.sqrt(width * height) / 336)
        most = max(3, round(_MOST_THINGS * roominess))
        count = most if rng.random() < 0.3 else rng.randint(1, most)
        places = _pick_places(rng, width, height, count, kind == "cluttered")
        add_things(rng, scene, _clear_of_dials(scene, places), view, light)
    scene.image_hwc = photograph(rng, scene.image_hwc, is_neglected=kind in ("clock", "gauge"))
    return scene


def _clear_of_dials(scene: Scene, places: list[Placed]) -> list[Placed]:
    return [p for p in places if _is_free(scene, p.x_px, p.y_px, 1.3 * p.radius_px)]


def _is_free(scene: Scene, x_px: float, y_px: float, reach_px: float) -> bool:
    """Whether nothing has been drawn in a square around a place."""
    left, top = (max(0, int(v - reach_px)) for v in (x_px, y_px))
    right, bottom = int(x_px + reach_px), int(y_px + reach_px)
    return not scene.instance_hw[top:bottom, left:right].any()

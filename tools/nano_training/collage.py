"""Training pictures of rendered things in company, with their exact truth.

Cut-outs (`cutouts`) are laid over a drawn backdrop, far to near: furniture first, often out of
focus, then small things with and without a name. A thing painted in a known colour can be asked
for by it; of one in its own colours only the name is known.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from molmo_node.models.nano.network import PATCH_PX
from molmo_node.models.nano.tint import color_shares
from molmo_node.sim.backgrounds import background
from molmo_node.sim.clutter import strew
from molmo_node.sim.colors import COLORS, pick_rgb
from molmo_node.sim.paint import Image, multiply
from molmo_node.sim.photometry import photograph
from molmo_node.sim.scene import Scene, Thing, put_dial, settle
from molmo_node.sim.things import UNNAMED
from tools.nano_training.cutouts import Cutout
from tools.nano_training.layers import SIDE_PX, painted

Library = dict[str, list[Cutout]]
_LIKELY = {"banana": ("yellow", "yellow", "green"), "apple": ("red", "red", "green", "yellow")}
_OWN_LOOK = {"clock": 1.0, "hammer": 1.0, "screwdriver": 0.8, "ball": 0.1, "banana": 0.0,
             "apple": 0.0}  # fmt: skip
_RARE = {"hammer": 0.25, "screwdriver": 0.25, "clock": 0.6, "apple": 0.7, "ball": 0.7}
_DIALS = 0.5  # share of the pictures in which a clock or a gauge hangs
_ENOUGH = 0.12  # share of a thing in another colour by which it could be meant, too
_MOSTLY = 0.4  # share of a thing that must be painted to have that colour


@dataclass(frozen=True)
class _Pasted:
    """A cut-out with its place (middle and ball's radius in pixels) and look."""

    cutout: Cutout
    x_px: float
    y_px: float
    radius_px: float
    color: str
    is_mirrored: bool

    @property
    def foot_px(self) -> float:
        """Where it stands: lower is nearer."""
        return self.y_px + self.radius_px * self.cutout.layers_hwc.shape[0] / SIDE_PX


def _sized(thing: _Pasted) -> NDArray[np.uint8]:
    layers = thing.cutout.layers_hwc[:, ::-1] if thing.is_mirrored else thing.cutout.layers_hwc
    scale = 2 * thing.radius_px / SIDE_PX
    height, width = (max(3, round(side * scale)) for side in layers.shape[:2])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    halves = (np.ascontiguousarray(layers[..., :4]), np.ascontiguousarray(layers[..., 4:]))
    return np.dstack([cv2.resize(part, (width, height), interpolation=how) for part in halves])


def _shade(image: Image, cover: Image, left: int, top: int, strength: float) -> None:
    """Darken what lies around a thing's foot, in place."""
    height, width = cover.shape
    reach = max(2, min(height, width) // 4)
    soft = cv2.copyMakeBorder(cover, reach, reach, reach, reach, cv2.BORDER_CONSTANT)
    soft = cv2.blur(soft, (2 * reach + 1, reach + 1)).astype(np.float32) * (strength / 255)
    region, (row, column) = _window(image, left - reach, top - reach + reach // 3, soft.shape)
    if region.size:
        multiply(region, 1 - soft[row : row + region.shape[0], column : column + region.shape[1]])


def _window(
    image: Image, left: int, top: int, shape: tuple[int, ...]
) -> tuple[Image, tuple[int, int]]:
    """The part of the picture under a patch of that shape, and where it begins in the patch."""
    y0, x0 = max(0, top), max(0, left)
    y1, x1 = min(image.shape[0], top + shape[0]), min(image.shape[1], left + shape[1])
    return image[y0 : max(y0, y1), x0 : max(x0, x1)], (y0 - top, x0 - left)


def _names_seen(look: Image, weight: Image) -> frozenset[str]:
    """The colours that a part of a thing could be called by."""
    side = 4 * PATCH_PX
    if not weight.any():
        return frozenset()
    small = np.asarray(cv2.resize(look, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    parts = cv2.resize(weight, (4, 4), interpolation=cv2.INTER_AREA).astype(np.float32)
    return frozenset(
        color
        for color in COLORS
        if float((color_shares(small, color) * parts).sum() / max(1e-6, parts.sum())) > _ENOUGH
    )


def _paste(rng: random.Random, scene: Scene, thing: _Pasted, shadow: float) -> tuple[Thing, int]:
    """Lay a thing into the picture; returns its entry, not settled, and its whole area in px."""
    layers = _sized(thing)
    look = painted(layers, pick_rgb(rng, thing.color) if thing.color else None)
    cover = np.ascontiguousarray(layers[..., 6])
    left, top = round(thing.x_px - cover.shape[1] / 2), round(thing.y_px - cover.shape[0] / 2)
    if shadow:
        _shade(scene.image_hwc, cover, left, top, shadow)
    region, (row, column) = _window(scene.image_hwc, left, top, cover.shape)
    rows, columns = slice(row, row + region.shape[0]), slice(column, column + region.shape[1])
    part = cover[rows, columns, None].astype(np.uint16)
    region[:] = (look[rows, columns] * part + region * (255 - part)) // 255
    number = len(scene.things) + 1
    inside = cover[rows, columns] > 127
    _window(scene.instance_hw, left, top, cover.shape)[0][inside] = number
    fixed = np.asarray((cover > 127) & (layers[..., 5] < 128), np.uint8)
    area = int(np.count_nonzero(cover > 127))
    is_painted = bool(thing.color) and fixed.sum() < (1 - _MOSTLY) * area
    others = _names_seen(look, fixed if is_painted else np.asarray(cover > 127, np.uint8))
    named = thing.color if is_painted else ""
    entry = Thing(number, thing.cutout.noun or UNNAMED, named, others - {named}, 0, 0)
    return entry, area


def _color(rng: random.Random, noun: str) -> str:
    """A colour to paint it in; empty to leave it as it is."""
    if rng.random() < _OWN_LOOK.get(noun, 0.3 if noun else 0.5):
        return ""
    return rng.choice(_LIKELY.get(noun, COLORS) if rng.random() < 0.8 else COLORS)


def _choose(
    rng: random.Random,
    library: Library,
    size: tuple[int, int],
    noun: str,
    span: tuple[float, float],
) -> _Pasted:
    radius = math.exp(rng.uniform(math.log(span[0]), math.log(span[1])))
    width, height = size
    x, y = rng.uniform(0.02, 0.98) * width, rng.uniform(0.05, 0.98) * height
    cutout = rng.choice(library[noun])
    return _Pasted(cutout, x, y, radius, _color(rng, noun), rng.random() < 0.5)


def _is_apart(thing: _Pasted, others: list[_Pasted]) -> bool:
    return all(
        math.hypot(thing.x_px - o.x_px, thing.y_px - o.y_px)
        > 0.55 * (thing.radius_px + o.radius_px)
        for o in others
    )


def _pick_named(rng: random.Random, library: Library, size: tuple[int, int]) -> list[_Pasted]:
    """One to eight things with a name, near ones few, often several of a kind."""
    nouns = [noun for noun in library if noun]
    shares = [_RARE.get(noun, 1.0) for noun in nouns]
    count = rng.choice((1, 1, 2, 2, 3, 4, 5, 6, 8))
    largest = max(size) * rng.choice((0.14, 0.26, 0.42)) * min(1, 1.7 / math.sqrt(count))
    again, out = rng.choices(nouns, shares)[0], list[_Pasted]()
    for _ in range(count):
        noun = again if rng.random() < 0.35 else rng.choices(nouns, shares)[0]
        for _ in range(8):
            thing = _choose(rng, library, size, noun, (14.0, max(26.0, largest)))
            if _is_apart(thing, out):
                out.append(thing)
                break
    return out


def make_collage(seed: int, library: Library, width: int = 336, height: int = 336) -> Scene:
    """One picture with its truth, the same for the same arguments.

    Args:
        library: cut-outs by noun, with those without a name under "".
        width, height: 84 to 1024 px.
    """
    rng = random.Random(seed)
    backdrop = background(rng, width, height)
    blank = np.zeros((height, width), np.uint8)
    scene = Scene(backdrop.image, blank, scrap_colors=backdrop.scrap_colors)
    if rng.random() < 0.25:
        strew(rng, scene.image_hwc)
        scene.scrap_colors = frozenset(("", *COLORS))
    size, shadow = (width, height), rng.choice((0.0, 0.3, 0.5, 0.7))
    side = min(size)
    areas: dict[int, int] = {}
    for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
        furniture = _choose(rng, library, size, "", (0.35 * side, 0.8 * side))
        _enter(rng, scene, furniture, shadow, areas)
    if rng.random() < 0.5:
        blur = rng.uniform(0.5, 3)
        scene.image_hwc[:] = cv2.GaussianBlur(scene.image_hwc, (0, 0), blur)
    things = _pick_named(rng, library, size)
    things += [
        _choose(rng, library, size, "", (0.04 * side, 0.25 * side))
        for _ in range(rng.choice((0, 0, 1, 2, 3, 5, 8)))
    ]
    if rng.random() < _DIALS:
        things = _clear_of_dial(rng, scene, things)
    for thing in sorted(things, key=lambda thing: thing.foot_px):
        _enter(rng, scene, thing, shadow, areas)
    scene.things = [
        settle(scene, thing, areas[thing.number]) if thing.number in areas else thing
        for thing in scene.things
    ]
    scene.image_hwc = photograph(rng, scene.image_hwc)
    return scene


def _enter(
    rng: random.Random, scene: Scene, thing: _Pasted, shadow: float, areas: dict[int, int]
) -> None:
    """Paste it and take its number."""
    entry, area = _paste(rng, scene, thing, shadow)
    areas[entry.number] = area
    scene.things.append(entry)


def _clear_of_dial(rng: random.Random, scene: Scene, things: list[_Pasted]) -> list[_Pasted]:
    """Hang a dial among the furniture; returns the things that do not hide it. A thing of the
    same name goes, too: which of both was meant?"""
    height, width = scene.image_hwc.shape[:2]
    radius = min(height, width) * rng.uniform(0.1, 0.5)
    x, y = (rng.uniform(radius, side - radius) for side in (width, height))
    noun = rng.choice(("clock", "gauge"))
    put_dial(rng, scene, noun, (x, y), radius)
    return [
        thing
        for thing in things
        if thing.cutout.noun != noun
        and math.hypot(thing.x_px - x, thing.y_px - y) > radius + 0.8 * thing.radius_px
    ]

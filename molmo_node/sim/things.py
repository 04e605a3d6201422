"""What the simulated bench has names for, and who draws it."""

from __future__ import annotations

import math

from molmo_node.sim import lying, outlines, turned
from molmo_node.sim.outlines import Maker, arc, sign

MAKERS: dict[str, Maker] = {
    "mug": turned.mug,
    "bottle": turned.bottle,
    "bowl": turned.bowl,
    "box": lying.box,
    "ball": outlines.ball,
    "book": lying.book,
    "button": turned.button,
    "valve": turned.valve,
    "lamp": turned.lamp,
    "cable": lying.cable,
    "wrench": lying.wrench,
    "screwdriver": lying.screwdriver,
    "hammer": lying.hammer,
    "apple": outlines.apple,
    "banana": outlines.banana,
    "circle": sign(arc(0.92, 0, 2 * math.pi, 40)),
    "triangle": sign(outlines.TRIANGLE),
    "star": sign(outlines.STAR),
}
THINGS: tuple[str, ...] = tuple(MAKERS)
UNNAMED = "scrap"
MAKERS[UNNAMED] = outlines.scrap
ROUND = frozenset({"ball", "apple"})
TURNED = frozenset({"mug", "bottle", "bowl", "lamp", "button"})
PRINTED = frozenset({"mug", "bottle", "bowl", "box", "book"})
# parts of these things have a second colour that is not the thing's own
SIDE_COLORS: dict[str, frozenset[str]] = {
    "button": frozenset({"gray", "black", "white"}),
    "valve": frozenset({"gray"}),
    "lamp": frozenset({"gray", "black", "white"}),
    "screwdriver": frozenset({"gray"}),
    "hammer": frozenset({"gray", "black"}),
    "bottle": frozenset({"white", "black", "gray"}),
    "book": frozenset({"white"}),
    "bowl": frozenset({"brown", "white"}),
}

"""Which way up a clock hangs, from its numerals: each hour's number says where the 12 is."""

from __future__ import annotations

import math
from collections.abc import Sequence

from molmo_node.instruments.angles import clockwise_deg, signed_deg
from molmo_node.instruments.dial import Dial
from molmo_node.instruments.pixels import ImageRGB
from molmo_node.instruments.spread import upright_texts
from molmo_node.instruments.texts import Text, TextReader, number_in

TURNS_DEG = (0.0, 90.0, 270.0, 180.0)
HOUR_DEG = 30.0
INNER, OUTER = 0.35, 1.0
SAME_DEG = 12.0
FEWEST = 3


def roll_from_numerals(image: ImageRGB, dial: Dial, read_text: TextReader) -> float | None:
    """Where the 12 stands, clockwise from image-up; None where too few numerals are read.

    The dial is read as it hangs and turned by quarters, until one way shows enough hours.

    Args:
        image: ``(H, W, 3) uint8, rgb8``.
        dial: about the pivot of the hands.
    """
    for turn_deg in TURNS_DEG:
        roll_deg = roll_of(upright_texts(image, dial, read_text, turn_deg))
        if roll_deg is not None:
            return roll_deg
    return None


def roll_of(texts: Sequence[Text]) -> float | None:
    """The roll that most hours agree on.

    Args:
        texts: places in radii of the dial, x right, y down.
    """
    rolls = [
        signed_deg(clockwise_deg(text.x_px, text.y_px) - HOUR_DEG * hour)
        for text in texts
        if (hour := _hour(text)) is not None and INNER < math.hypot(text.x_px, text.y_px) < OUTER
    ]
    near = max(
        ([other for other in rolls if abs(signed_deg(other - roll)) < SAME_DEG] for roll in rolls),
        key=len,
        default=[],
    )
    if len(near) < FEWEST:
        return None
    return signed_deg(near[0] + sum(signed_deg(other - near[0]) for other in near) / len(near))


def _hour(text: Text) -> int | None:
    number = number_in(text)
    return int(number) if number is not None and number in range(1, 13) else None

"""Spread a dial out for reading: flat as it hangs or turned, or with its ring made straight.

Numbers that lean with the ring, as on most large gauges, stand upright on the straight strip
however the dial is turned.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from molmo_node.instruments.dial import Dial
from molmo_node.instruments.pivot import flatten
from molmo_node.instruments.pixels import ImageRGB
from molmo_node.instruments.texts import Text, TextReader

FLAT_SIDE = 640
FLAT_REACH = 1.1
STRIP_OUTER, STRIP_INNER = 1.08, 0.30
STRIP_PX_PER_RADIUS = 220
STRIP_RADIUS = 0.7
"""Here the strip has the same scale along and across."""
STRIP_SPAN_DEG = 215.0
STRIP_STARTS_DEG = (-197.5, -17.5)


def upright_texts(
    image: ImageRGB, dial: Dial, read_text: TextReader, turn_deg: float = 0.0
) -> list[Text]:
    """Texts of the rectified dial, turned before reading; places in radii of the unturned dial."""
    cos, sin = math.cos(math.radians(turn_deg)), math.sin(math.radians(turn_deg))
    turn = np.array([[cos, -sin], [sin, cos]])
    turned = Dial(dial.center_x_px, dial.center_y_px, FLAT_REACH * dial.matrix @ turn)
    texts = []
    for text in read_text(flatten(image, turned, FLAT_SIDE)):
        place = 2.0 * np.array([text.x_px, text.y_px]) / (FLAT_SIDE - 1) - 1.0
        x, y = FLAT_REACH * turn @ place
        size = FLAT_REACH * 2.0 * text.size_px / FLAT_SIDE
        texts.append(Text(text.text, float(x), float(y), size, text.score))
    return texts


def ring_texts(image: ImageRGB, dial: Dial, read_text: TextReader) -> list[Text]:
    """Texts that lean with the ring; places in radii of the dial."""
    strips = [_strip(image, dial, start_deg) for start_deg in STRIP_STARTS_DEG]
    height = strips[0].shape[0]
    texts = []
    for text in read_text(np.vstack(strips)):
        half, down_px = divmod(text.y_px, height)
        start_deg = STRIP_STARTS_DEG[min(int(half), len(strips) - 1)]
        radius = STRIP_OUTER - down_px / STRIP_PX_PER_RADIUS
        turn = math.radians(start_deg) + text.x_px / (STRIP_PX_PER_RADIUS * STRIP_RADIUS)
        x, y = radius * math.sin(turn), -radius * math.cos(turn)
        texts.append(Text(text.text, x, y, text.size_px / STRIP_PX_PER_RADIUS, text.score))
    return texts


def _strip(image: ImageRGB, dial: Dial, start_deg: float) -> ImageRGB:
    """Part of the ring, outside up, along the clock from left to right."""
    per_rad = STRIP_PX_PER_RADIUS * STRIP_RADIUS
    width = int(math.radians(STRIP_SPAN_DEG) * per_rad)
    height = int((STRIP_OUTER - STRIP_INNER) * STRIP_PX_PER_RADIUS)
    turn = math.radians(start_deg) + np.arange(width)[None, :] / per_rad
    radius = STRIP_OUTER - np.arange(height)[:, None] / STRIP_PX_PER_RADIUS
    x, y = radius * np.sin(turn), -radius * np.cos(turn)
    m = dial.matrix
    map_x = (dial.center_x_px + m[0, 0] * x + m[0, 1] * y).astype(np.float32)
    map_y = (dial.center_y_px + m[1, 0] * x + m[1, 1] * y).astype(np.float32)
    strip = cv2.remap(image, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(strip, np.uint8)

"""Where something of a colour is on a screenshot, and where a pixel of the frame should be."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

MARK_RGB = (255, 90, 31)
NEAR = 14


def mark_center(page: Any, selector: str = "#view") -> tuple[float, float]:
    """The middle of the mark that is drawn on a canvas, in CSS pixels from its corner."""
    raw = page.locator(selector).screenshot()
    rgb = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR)[..., ::-1].astype(int)
    found = np.argwhere(np.abs(rgb - MARK_RGB).max(axis=2) <= NEAR)
    assert len(found) >= 20, "no mark is drawn"
    ratio = page.evaluate("devicePixelRatio")
    y, x = (found.min(axis=0) + found.max(axis=0) + 1) / 2 / ratio
    return float(x), float(y)


def place_of(page: Any, x_px: float, y_px: float, width: int, height: int, selector: str = "#view"):
    """Where a pixel of the frame is on the canvas, which shows it whole: CSS pixels."""
    box = page.locator(selector).bounding_box()
    scale = min(box["width"] / width, box["height"] / height)
    left, top = (box["width"] - width * scale) / 2, (box["height"] - height * scale) / 2
    return left + x_px * scale, top + y_px * scale


def on_screen(
    page: Any, x_px: float, y_px: float, width: int, height: int, selector: str = "#view"
):
    """The same, from the window's corner: where to put the mouse."""
    page.locator(selector).scroll_into_view_if_needed()
    box = page.locator(selector).bounding_box()
    x, y = place_of(page, x_px, y_px, width, height, selector)
    return box["x"] + x, box["y"] + y

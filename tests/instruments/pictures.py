"""Pictures for the instrument tests: the packaged examples, the shared set, and plain drawings."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from molmo_node.instruments.pixels import ImageRGB

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "molmo_node" / "examples"
SHARED = ROOT.parent / "shared" / "data"

needs_shared = pytest.mark.skipif(
    not (SHARED / "instruments" / "labels.json").exists(),
    reason="no shared pictures beside the repo",
)


def load(path: Path) -> ImageRGB:
    image = cv2.imread(str(path))
    assert image is not None, path
    return np.asarray(image[:, :, ::-1], np.uint8).copy()


def shared_labels() -> dict[str, Any]:
    labels: dict[str, Any] = json.loads((SHARED / "instruments" / "labels.json").read_text())
    return labels


def shared_image(file: str) -> ImageRGB:
    return load(SHARED / "instruments" / file)


def point_at(
    center: tuple[float, float], angle_deg: float, radius_px: float
) -> tuple[float, float]:
    """A point clockwise from up."""
    angle_rad = math.radians(angle_deg)
    return (
        center[0] + radius_px * math.sin(angle_rad),
        center[1] - radius_px * math.cos(angle_rad),
    )


def plain_gauge(
    angle_deg: float,
    *,
    side_px: int = 320,
    needle: tuple[int, int, int] = (20, 20, 20),
    face: tuple[int, int, int] = (235, 235, 230),
) -> ImageRGB:
    """A dial of 270° from -135° to 135° in the middle of a patterned wall."""
    wall = np.random.default_rng(3).integers(90, 160, (side_px // 8, side_px // 8, 3), np.uint8)
    image = cv2.resize(wall, (side_px, side_px), interpolation=cv2.INTER_CUBIC)
    center, radius = (side_px / 2, side_px / 2), side_px * 0.38
    middle = (side_px // 2, side_px // 2)
    cv2.circle(image, middle, int(radius * 1.08), (40, 40, 45), -1, cv2.LINE_AA)
    cv2.circle(image, middle, int(radius), face, -1, cv2.LINE_AA)
    for step in range(41):
        mark_deg = -135 + 270 * step / 40
        inner = 0.80 if step % 4 == 0 else 0.86
        ends = [point_at(center, mark_deg, radius * r) for r in (inner, 0.94)]
        cv2.line(image, *[_fixed(end) for end in ends], needle, 2, cv2.LINE_AA, 4)
        if step % 4 == 0:
            x, y = point_at(center, mark_deg, radius * 0.66)
            where = (int(x - 7), int(y + 5))
            cv2.putText(image, str(step // 4), where, 0, 0.5, needle, 1, cv2.LINE_AA)
    _draw_needle(image, center, radius, angle_deg, needle)
    return np.asarray(image, np.uint8)


def _draw_needle(
    image: ImageRGB,
    center: tuple[float, float],
    radius_px: float,
    angle_deg: float,
    colour: tuple[int, int, int],
) -> None:
    corners = [
        point_at(center, angle_deg + 180, radius_px * 0.25),
        point_at(center, angle_deg - 90, radius_px * 0.035),
        point_at(center, angle_deg, radius_px * 0.86),
        point_at(center, angle_deg + 90, radius_px * 0.035),
    ]
    polygon = np.array([_fixed(corner) for corner in corners], np.int32)
    cv2.fillPoly(image, [polygon], colour, cv2.LINE_AA, 4)
    cv2.circle(image, _fixed(center), int(radius_px * 0.07 * 16), colour, -1, cv2.LINE_AA, 4)


def _fixed(point: tuple[float, float]) -> tuple[int, int]:
    """OpenCV's fixed point with four fractional bits."""
    return round(point[0] * 16), round(point[1] * 16)

"""A second look at full resolution around each point, for pixels finer than the model's grid."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import NDArray

from molmo_node.messages import Point, Question, Work
from molmo_node.models.engine import Engine, Reply

LOOK_PX = 336  # one crop of the model at the frame's own resolution
LOOKS = 16  # a reply of 500 points must not keep the engine for minutes


def refine_points(
    engine: Engine,
    image_hwc: NDArray[np.uint8],
    question: Question,
    reply: Reply,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Reply:
    """Ask the same question of a square around each point.

    A point moves to the nearest point of the second look, and stays where the second look
    shows none; so do all beyond the first `LOOKS`. The work of all looks is added to the reply's.

    Args:
        image_hwc: ``(H, W, 3) uint8, rgb8``: the picture that `reply` is about.
        is_cancelled: asked before each look; the rest then stays as it is.
    """
    height, width = image_hwc.shape[:2]
    if max(width, height) <= LOOK_PX:
        return reply
    points, work = [], reply.work
    for index, point in enumerate(reply.points):
        if index >= LOOKS or is_cancelled():
            points.append(point)
            continue
        left, top, side_x, side_y = _window(point, width, height)
        look = np.ascontiguousarray(image_hwc[top : top + side_y, left : left + side_x])
        second = engine.ask(engine.encode(look), [question])[0]
        work = _sum(work, second.work)
        points.append(_nearest(point, second.points, left, top))
    return msgspec.structs.replace(reply, points=tuple(points), work=work)


def _window(point: Point, width: int, height: int) -> tuple[int, int, int, int]:
    side_x, side_y = min(LOOK_PX, width), min(LOOK_PX, height)
    left = min(max(round(point.x_px - side_x / 2), 0), width - side_x)
    top = min(max(round(point.y_px - side_y / 2), 0), height - side_y)
    return left, top, side_x, side_y


def _nearest(point: Point, found: tuple[Point, ...], left: int, top: int) -> Point:
    moved = [
        Point(x_px=other.x_px + left, y_px=other.y_px + top, label=point.label) for other in found
    ]
    return min(
        moved,
        key=lambda other: math.hypot(other.x_px - point.x_px, other.y_px - point.y_px),
        default=point,
    )


def _sum(first: Work, second: Work) -> Work:
    margins = [m for m in (first.min_top2_margin, second.min_top2_margin) if m is not None]
    counts = {
        name: getattr(first, name) + getattr(second, name)
        for name in Work.__struct_fields__
        if name != "min_top2_margin"
    }
    return Work(**counts, min_top2_margin=min(margins, default=None))

"""Answers in Molmo's own text form, so that parsers, drafts and tests serve every engine."""

from __future__ import annotations

from collections.abc import Sequence

from molmo_node.messages import Point


def _percent(value_px: float, side_px: int) -> str:
    return f"{min(100.0, max(0.0, 100 * value_px / side_px)):.1f}"


def point_text(points: Sequence[Point], width: int, height: int, label: str) -> str:
    """``<point x="52.3" y="41.0" alt="red mug">red mug</point>``, or ``<points x1=…`` for more.

    Args:
        points: in pixels of a picture of `width` × `height`; at least one.
    """
    if len(points) == 1:
        places = f'x="{_percent(points[0].x_px, width)}" y="{_percent(points[0].y_px, height)}"'
        return f'<point {places} alt="{label}">{label}</point>'
    places = " ".join(
        f'x{number}="{_percent(point.x_px, width)}" y{number}="{_percent(point.y_px, height)}"'
        for number, point in enumerate(points, 1)
    )
    return f'<points {places} alt="{label}">{label}</points>'


def count_text(points: Sequence[Point], width: int, height: int, label: str) -> str:
    """Point, then count, as Molmo does."""
    if not points:
        return "There are none."
    tags = point_text(points, width, height, label)
    return f"Counting the {tags} shows a total of {len(points)}."

"""Regions of a frame: cut out before they are looked at, coordinates put back afterwards."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from molmo_node.errors import ProtocolError
from molmo_node.messages import Point, Reading, Roi


def crop(image_hwc: NDArray[np.uint8], roi: Roi | None) -> NDArray[np.uint8]:
    """The region of a picture, contiguous; the picture itself without a region.

    Raises:
        ProtocolError: the region leaves the picture.
    """
    if roi is None:
        return image_hwc
    height, width = image_hwc.shape[:2]
    right, bottom = roi.x_px + roi.width_px, roi.y_px + roi.height_px
    if right > width or bottom > height:
        raise ProtocolError(
            f"roi ends at {right},{bottom} px, the frame has {width}x{height} px",
            hint="give the region in pixels of the captured frame",
        )
    return np.ascontiguousarray(image_hwc[roi.y_px : bottom, roi.x_px : right])


def shift_point(point: Point, origin: tuple[int, int]) -> Point:
    """A point of the region as a point of the frame."""
    return Point(x_px=point.x_px + origin[0], y_px=point.y_px + origin[1], label=point.label)


def shift_reading(reading: Reading, origin: tuple[int, int]) -> Reading:
    """A reading whose geometry is in the frame instead of the region."""
    if origin == (0, 0) or reading.geometry is None:
        return reading
    dx, dy = origin
    geometry = reading.geometry

    def shift(xy: tuple[float, float] | None) -> tuple[float, float] | None:
        return xy and (xy[0] + dx, xy[1] + dy)

    moved = msgspec.structs.replace(
        geometry,
        center=shift(geometry.center),
        needle_tip=shift(geometry.needle_tip),
        needle_tail=shift(geometry.needle_tail),
        ellipse=geometry.ellipse
        and (geometry.ellipse[0] + dx, geometry.ellipse[1] + dy, *geometry.ellipse[2:]),
        scale_points=tuple((value, x + dx, y + dy) for value, x, y in geometry.scale_points),
    )
    return msgspec.structs.replace(reading, geometry=moved)

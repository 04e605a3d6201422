"""What is known of one dial: made once from a picture, read from every frame afterwards."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import cv2
import numpy as np

from molmo_node.errors import ConfigError
from molmo_node.instruments.dial import Dial
from molmo_node.instruments.find import find_dials
from molmo_node.instruments.perspective import dial_about
from molmo_node.instruments.pixels import Floats, Gray, ImageRGB
from molmo_node.instruments.registration import Reference
from molmo_node.instruments.scale import Direction, Scale

MARK_TO_RIM = 1.08
"""Marks are clicked at the scale's line, a little inside the end of the ticks."""
PATCH_REACH = 1.6
REGISTER_REACH = 1.15
ROUND_ENOUGH = 0.985
"""A rim less flat than this is taken for a circle."""
SURE_RIM = 0.85
OFF_CENTER = 0.3
NEAR_RIM = (0.9, 1.8)

PointPx = tuple[float, float]


@dataclass(frozen=True)
class Mark:
    """A printed mark: its value and where it is in the profile's picture."""

    value: float
    x_px: float
    y_px: float


@dataclass(frozen=True)
class Register:
    """One dial of a chain, as water and gas meters have them; ten digits to the turn.

    Attributes:
        center, zero: the pivot and the mark of digit 0, in pixels of the profile's picture;
            `zero` lies where the needle's tip passes.
        factor: what one digit is worth.
        direction: in which the digits rise.
        offset: digits to add to what the dial shows, for a dial that was mounted askew.
    """

    center: PointPx
    zero: PointPx
    factor: float
    direction: Direction = "clockwise"
    offset: float = 0.0

    @property
    def dial(self) -> Dial:
        """The register as a dial."""
        reach_px = math.dist(self.center, self.zero) * REGISTER_REACH
        return Dial.circle(*self.center, reach_px)

    @property
    def scale(self) -> Scale:
        """Digits 0 to 10, once round."""
        zero_deg = self.dial.angle_deg(*self.zero)
        sign = 1 if self.direction == "clockwise" else -1
        marks = [(2.5 * n, zero_deg + sign * 90.0 * n) for n in range(4)]
        return Scale.from_angles(marks, low=0.0, high=10.0, direction=self.direction, wraps=True)


@dataclass(frozen=True)
class Profile:
    """One gauge. All places are pixels of the picture that the profile was made from.

    Attributes:
        marks: two or more scale marks; empty where `registers` are given.
        center: the pivot of the needle.
        min, max: the printed ends, or None where only the marks are known.
        direction: in which values rise; None: found from the marks.
        wraps: the scale closes on itself after `max`.
        ellipse: half axes in pixels and tilt in degrees of the circle that the marks lie on,
            about the pivot; None for a dial seen from the front.
        plausible: lowest and highest value that can be true; outside is refused.
        highest_rate_per_s: fastest believable change, in units a second.
        glare: polygons that are not looked at.
        registers: the chain of a meter, most significant first.
        patch: ``(H, W, 3) uint8, rgb8``, the dial and its surroundings.
        patch_offset: the patch's top-left corner in the picture.
        picture_size: (width, height) of that picture.
    """

    name: str
    unit: str
    patch: ImageRGB = field(repr=False, compare=False)
    patch_offset: tuple[int, int]
    picture_size: tuple[int, int]
    center: PointPx = (0.0, 0.0)
    marks: tuple[Mark, ...] = ()
    min: float | None = None
    max: float | None = None
    direction: Direction | None = None
    wraps: bool = False
    ellipse: tuple[float, float, float] | None = None
    plausible: tuple[float, float] | None = None
    highest_rate_per_s: float | None = None
    glare: tuple[tuple[PointPx, ...], ...] = ()
    registers: tuple[Register, ...] = ()

    @classmethod
    def from_marks(
        cls,
        image: ImageRGB,
        center: PointPx,
        marks: Sequence[tuple[float, float, float]],
        unit: str = "",
        *,
        name: str = "",
        min: float | None = None,
        max: float | None = None,
        direction: Direction | None = None,
        wraps: bool = False,
        plausible: tuple[float, float] | None = None,
        highest_rate_per_s: float | None = None,
        glare: Sequence[Sequence[PointPx]] = (),
    ) -> Profile:
        """Calibrate a dial on a picture.

        Args:
            image: ``(H, W, 3) uint8, rgb8``.
            center: the needle's pivot, (x_px, y_px).
            marks: two or more (value, x_px, y_px) on the printed scale, best its ends and
                one or more between; at one distance from the centre.

        Raises:
            ConfigError: marks that cannot be a scale, or lie outside the picture.
        """
        placed = tuple(Mark(*(float(number) for number in mark)) for mark in marks)
        _check_inside(image, [(mark.x_px, mark.y_px) for mark in placed])
        _check_near(image, center)
        patch, offset = _cut(image, [_mark_circle(center, placed)])
        profile = cls(
            name=name, unit=unit, patch=patch, patch_offset=offset,
            picture_size=(image.shape[1], image.shape[0]),
            center=(float(center[0]), float(center[1])), marks=placed,
            min=min, max=max, direction=direction, wraps=wraps,
            ellipse=_ellipse_of(image, center, placed), plausible=plausible,
            highest_rate_per_s=highest_rate_per_s,
            glare=tuple(tuple(polygon) for polygon in glare),
        )  # fmt: skip
        profile.check()
        return profile

    @classmethod
    def from_registers(
        cls, image: ImageRGB, registers: Sequence[Register], unit: str = "", *, name: str = ""
    ) -> Profile:
        """Calibrate a meter's chain of register dials, most significant first.

        Raises:
            ConfigError: no register, or one outside the picture.
        """
        _check_inside(image, [point for each in registers for point in (each.center, each.zero)])
        patch, offset = _cut(image, [each.dial for each in registers])
        profile = cls(
            name=name, unit=unit, patch=patch, patch_offset=offset,
            picture_size=(image.shape[1], image.shape[0]), registers=tuple(registers),
        )  # fmt: skip
        profile.check()
        return profile

    def to_mapping(self) -> dict[str, Any]:
        """The profile without its patch as plain lists, numbers and text, for YAML."""
        from molmo_node.instruments.profile_mapping import to_mapping

        return to_mapping(self)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], patch: ImageRGB) -> Profile:
        """What `to_mapping` gave, with its patch.

        Raises:
            ConfigError: a wrong mapping; the message begins with the key.
        """
        from molmo_node.instruments.profile_mapping import from_mapping

        return from_mapping(mapping, patch)

    def check(self) -> None:
        """Raise ConfigError if this cannot be read with."""
        if self.registers:
            if self.marks:
                raise ConfigError("registers: a profile has marks or registers, not both")
            return
        scale = self.scale
        if self.wraps and (self.min is None or self.max is None):
            raise ConfigError("wraps: a scale that closes on itself needs min and max")
        if scale.low >= scale.high:
            raise ConfigError(f"max: {scale.high} is not above min {scale.low}")

    @cached_property
    def dial(self) -> Dial:
        """The disc inside the scale, in the profile's picture."""
        if self.ellipse is None:
            return _mark_circle(self.center, self.marks)
        long_px, short_px, tilt_deg = self.ellipse
        flat = Dial.ellipse(*self.center, (2 * long_px, 2 * short_px), tilt_deg)
        return flat.scaled(MARK_TO_RIM)

    @cached_property
    def scale(self) -> Scale:
        """The printed scale on the rectified dial."""
        dial = self.dial
        return Scale.from_angles(
            [(mark.value, dial.angle_deg(mark.x_px, mark.y_px)) for mark in self.marks],
            low=self.min,
            high=self.max,
            direction=self.direction,
            wraps=self.wraps,
        )

    @cached_property
    def reference(self) -> Reference:
        """The patch, ready to be found in frames."""
        return Reference(self.patch, self.patch_offset, self.picture_size)

    def glare_mask(self, affine: Floats, width: int, height: int) -> Gray | None:
        """``(H, W) uint8`` of the frame, above 0 where the profile says not to look."""
        if not self.glare:
            return None
        mask = np.zeros((height, width), np.uint8)
        for polygon in self.glare:
            corners = np.array(polygon) @ affine[:, :2].T + affine[:, 2]
            cv2.fillPoly(mask, [np.round(corners).astype(np.int32)], 255)
        return mask


def _mark_circle(center: PointPx, marks: Sequence[Mark]) -> Dial:
    distances_px = [math.dist(center, (mark.x_px, mark.y_px)) for mark in marks]
    if len(distances_px) < 2 or min(distances_px) < 3:
        raise ConfigError(
            f"marks: {len(distances_px)} marks, the nearest "
            f"{min(distances_px, default=0.0):.1f} px from center",
            hint="two or more marks on the printed scale are needed",
        )
    return Dial.circle(center[0], center[1], float(np.median(distances_px)) * MARK_TO_RIM)


def _ellipse_of(
    image: ImageRGB, center: PointPx, marks: Sequence[Mark]
) -> tuple[float, float, float] | None:
    """Half axes and tilt of the circle that the marks lie on, in the shape of the dial's rim.

    Perspective and a rim before the face move the rim's middle away from the pivot; the shape at
    the pivot is that of `dial_about`, by the square of that shift another (0.3° at a tenth).
    """
    reach_px = _mark_circle(center, marks).radius_px
    rims = [
        rim
        for rim in find_dials(image)
        if rim.score >= SURE_RIM
        and math.dist(rim.center, center) < OFF_CENTER * rim.radius_px
        and NEAR_RIM[0] < rim.radius_px / reach_px < NEAR_RIM[1]
    ]
    if not rims:
        return None
    rim = min(rims, key=lambda each: abs(each.radius_px / reach_px - 1.1))
    long_px, short_px, _ = rim.axes_px
    if short_px > ROUND_ENOUGH * long_px:
        return None
    rim = dial_about(rim, rim.to_unit(*center))
    long_px, short_px, tilt_deg = rim.axes_px
    radii = [math.hypot(*rim.to_unit(mark.x_px, mark.y_px)) for mark in marks]
    radius = float(np.median(radii))
    return long_px * radius, short_px * radius, tilt_deg


def _check_near(image: ImageRGB, center: PointPx) -> None:
    """A panel meter's pivot may be hidden, even beyond the picture's edge, but not far beyond."""
    height, width = image.shape[:2]
    if not (-width < center[0] < 2 * width and -height < center[1] < 2 * height):
        raise ConfigError(
            f"center: ({center[0]:.0f}, {center[1]:.0f}) is far outside the picture of "
            f"{width}×{height} px"
        )


def _check_inside(image: ImageRGB, points: Sequence[PointPx]) -> None:
    height, width = image.shape[:2]
    for x_px, y_px in points:
        if not (0 <= x_px <= width and 0 <= y_px <= height):
            raise ConfigError(
                f"point ({x_px:.0f}, {y_px:.0f}) is outside the picture of {width}×{height} px"
            )


def _cut(image: ImageRGB, dials: Sequence[Dial]) -> tuple[ImageRGB, tuple[int, int]]:
    """The patch around all dials, a copy, and its top-left corner."""
    if not dials:
        raise ConfigError("registers: at least one dial is needed")
    reaches = [(dial.center, PATCH_REACH * dial.axes_px[0]) for dial in dials]
    height, width = image.shape[:2]
    x0 = int(max(0, min(x - reach for (x, _), reach in reaches)))
    y0 = int(max(0, min(y - reach for (_, y), reach in reaches)))
    x1 = int(min(width, max(x + reach for (x, _), reach in reaches))) + 1
    y1 = int(min(height, max(y + reach for (_, y), reach in reaches))) + 1
    return image[y0:y1, x0:x1].copy(), (x0, y0)

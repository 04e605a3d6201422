"""The moving bench: a scene that one likes to look at, a pure function of time.

On the wall hang a gauge whose needle follows a slow process and a clock with the time of day;
on the table things wander, and a ball rolls along the front edge. Everything is known.
"""

from __future__ import annotations

import functools
import math
import random
from dataclasses import dataclass

import cv2
import numpy as np

from molmo_node.sim.clocks import DialTime, draw_clock
from molmo_node.sim.colors import Rgb, pick_rgb
from molmo_node.sim.dial_plane import DialPlane
from molmo_node.sim.gauges import GaugeScale, draw_gauge
from molmo_node.sim.objects import Light, Placed
from molmo_node.sim.paint import Image
from molmo_node.sim.photometry import add_grain
from molmo_node.sim.scene import ClockTruth, GaugeTruth, Scene, add_things, enter_dial
from molmo_node.sim.solids import View

_EDGE = 0.46  # where the wall ends and the table begins, share of the height
_VIEW, _LIGHT = View(0.72, 9.0), Light(-0.55, -0.83, 0.42)
_CLOCK_LOOK, _GAUGE_LOOK = 1, 16  # seeds whose dials are plain and easy to read for people


@dataclass(frozen=True)
class _Actor:
    """A thing and its wandering: place and swing in shares of the picture, radius in shares of
    its height, period in seconds."""

    noun: str
    color: str
    x: float
    y: float
    radius: float
    swing: tuple[float, float]
    period_s: float


_CAST = (
    _Actor("lamp", "purple", 0.52, 0.42, 0.17, (0.0, 0.0), 60),
    _Actor("bottle", "green", 0.10, 0.58, 0.17, (0.025, 0.01), 23),
    _Actor("mug", "red", 0.28, 0.64, 0.125, (0.035, 0.02), 17),
    _Actor("box", "orange", 0.47, 0.69, 0.11, (0.025, 0.02), 29),
    _Actor("apple", "red", 0.655, 0.66, 0.08, (0.02, 0.015), 19),
    _Actor("bottle", "green", 0.78, 0.69, 0.15, (0.02, 0.015), 31),
    _Actor("book", "blue", 0.91, 0.74, 0.13, (0.01, 0.01), 41),
    _Actor("banana", "yellow", 0.17, 0.82, 0.1, (0.02, 0.015), 37),
    _Actor("wrench", "gray", 0.62, 0.83, 0.1, (0.02, 0.015), 47),
    _Actor("ball", "blue", 0.45, 0.92, 0.075, (0.36, 0.0), 13),
)


@functools.lru_cache(maxsize=4)
def _room(width: int, height: int) -> Image:
    """Wall and table without anything on them."""
    wall = np.linspace((206, 211, 214), (182, 186, 188), height)[:, None]
    image = np.broadcast_to(wall, (height, width, 3)).copy()
    edge = int(height * _EDGE)
    rows = np.arange(height - edge, dtype=np.float32)[:, None]
    grain = np.sin(np.arange(width, dtype=np.float32)[None] * 0.021 + np.sin(rows * 0.045) * 0.8)
    planks = np.sin(rows * (math.pi / (height * 0.09))) ** 16 * -16
    tone = grain * 5 + planks + np.linspace(-12, 10, height - edge)[:, None]
    image[edge:] = np.array((171, 139, 104)) + tone[..., None]
    image[edge : edge + max(2, height // 90)] = (120, 94, 68)
    return np.asarray(np.clip(image, 0, 255), np.uint8)


def process_fraction(time_s: float) -> float:
    """The gauge's process: a slow swell with a faster ripple, 0.08 to 0.92 of the scale."""
    slow, fast = math.sin(2 * math.pi * time_s / 90), math.sin(2 * math.pi * time_s / 17)
    return 0.5 + 0.33 * slow + 0.09 * fast


def day_time(time_s: float) -> DialTime:
    """Seconds since midnight (or since 1970) as a dial shows them."""
    seconds = int(time_s) % 43_200
    return DialTime(seconds // 3600, seconds // 60 % 60, seconds % 60)


@dataclass(frozen=True)
class Bench:
    """A bench of a size (320 to 1024 px wide) and with the looks of a seed."""

    width: int = 960
    height: int = 540
    seed: int = 0

    @property
    def scale(self) -> GaugeScale:
        """The gauge's scale: 0 to 10 bar over 270 degrees."""
        return GaugeScale(0, 10, 10, "bar", math.radians(-135), math.radians(270))

    def at(self, time_s: float, day_s: float | None = None) -> Scene:
        """The scene at a moment: picture and truth, the same for the same arguments.

        Args:
            time_s: drives the movements, the process and the sensor's noise.
            day_s: the time of day that the clock shows, in seconds; `time_s` by default.
        """
        image = _room(self.width, self.height).copy()
        scene = Scene(image, np.zeros((self.height, self.width), np.uint8))
        self._hang_dials(scene, time_s, day_time(time_s if day_s is None else day_s))
        places = [self._place(index, actor, time_s) for index, actor in enumerate(_CAST)]
        add_things(random.Random(0), scene, places, _VIEW, _LIGHT)
        noise = random.Random(f"{self.seed} {time_s:.4f}")
        soft = np.asarray(cv2.GaussianBlur(scene.image_hwc, (0, 0), 0.6), np.uint8)
        scene.image_hwc = np.ascontiguousarray(add_grain(noise, soft, 2.5))
        return scene

    def _hang_dials(self, scene: Scene, time_s: float, time: DialTime) -> None:
        radius = 0.18 * self.height
        gauge_rng = random.Random(f"gauge {_GAUGE_LOOK + self.seed}")
        plane = self._plane(0.22, 0.235, radius)
        fraction = process_fraction(time_s)
        dial = draw_gauge(gauge_rng, scene.image_hwc, plane, self.scale, fraction)
        scene.gauges.append(GaugeTruth(self.scale, fraction, dial))
        enter_dial(scene, "gauge", dial)
        clock_rng = random.Random(f"clock {_CLOCK_LOOK + self.seed}")
        plane = self._plane(0.8, 0.235, radius)
        dial = draw_clock(clock_rng, scene.image_hwc, plane, time)
        scene.clocks.append(ClockTruth(time, dial))
        enter_dial(scene, "clock", dial)

    def _plane(self, x: float, y: float, radius_px: float) -> DialPlane:
        matrix = np.array([
            (radius_px, 0, x * self.width), (0, radius_px, y * self.height), (0, 0, 1),
        ])  # fmt: skip
        return DialPlane(matrix)

    def _place(self, index: int, actor: _Actor, time_s: float) -> Placed:
        turn = 2 * math.pi * time_s / actor.period_s + index
        x = (actor.x + actor.swing[0] * math.sin(turn)) * self.width
        y = (actor.y + actor.swing[1] * math.sin(2 * turn)) * self.height
        radius = actor.radius * self.height
        return Placed(actor.noun, actor.color, self._paint(index, actor), x, y, radius, index)

    def _paint(self, index: int, actor: _Actor) -> Rgb:
        return pick_rgb(random.Random(f"paint {index} {self.seed}"), actor.color)

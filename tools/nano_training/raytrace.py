"""A solid seen in one light, ray by ray: smooth shading, its own shadows, occluded sky, gloss.

What is kept are layers, not colours, so that the same view can be painted in any colour later.
Rays are cast by Embree through trimesh.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import trimesh
from numpy.typing import NDArray

from tools.nano_training.layers import BRIGHT, Layers
from tools.nano_training.solid import Floats, Solid

_RAYS = 2  # a pixel's side
_SKY_RAYS = 6  # a ray
_NUDGE = 1e-3  # of the ball's radius: where a ray starts above its surface


@dataclass(frozen=True)
class Viewpoint:
    """Where the camera stands: degrees above the table and around it, and radii away."""

    above_deg: float
    around_deg: float
    away: float
    roll_deg: float = 0.0


def _unit(vectors: Floats) -> Floats:
    return vectors / np.maximum(1e-12, np.linalg.norm(vectors, axis=-1, keepdims=True))


def _camera_rays(view: Viewpoint, side: int) -> tuple[Floats, Floats]:
    """Start ``(3,)`` and directions ``(side * side, 3)``, row by row; the ball just fits."""
    above, around = math.radians(view.above_deg), math.radians(view.around_deg)
    back = np.array((math.cos(above) * math.sin(around), math.sin(above),
                     math.cos(above) * math.cos(around)))  # fmt: skip
    right = _unit(np.cross((0, 1, 0), back))
    up = np.cross(back, right)
    roll = math.radians(view.roll_deg)
    right, up = (math.cos(roll) * right + math.sin(roll) * up,
                 math.cos(roll) * up - math.sin(roll) * right)  # fmt: skip
    reach = 1 / math.sqrt(view.away**2 - 1)
    steps = (np.arange(side) + 0.5) / side * 2 - 1
    x, y = np.meshgrid(steps * reach, -steps * reach)
    rays = -back + x[..., None] * right + y[..., None] * up
    return back * view.away, _unit(rays.reshape(-1, 3))


@dataclass(frozen=True)
class _Hits:
    """Where rays meet the solid: which rays, the faces, corners' weights, places, normals."""

    rays: NDArray[np.int64]
    faces: NDArray[np.int64]
    weights: Floats
    places: Floats
    normals: Floats


def _hit(whole: trimesh.Trimesh, start: Floats, rays: Floats) -> _Hits:
    starts = np.broadcast_to(start, rays.shape)
    faces = whole.ray.intersects_first(starts, rays)
    seen = np.flatnonzero(faces >= 0)
    faces, rays = faces[seen], rays[seen]
    corners = whole.vertices[whole.faces[faces]]
    flat = np.asarray(whole.face_normals)[faces]
    slope = np.einsum("ij,ij->i", rays, flat)
    slope = np.where(np.abs(slope) < 1e-9, 1e-9, slope)
    far = np.einsum("ij,ij->i", corners[:, 0] - start, flat) / slope
    places = start + rays * far[:, None]
    weights = np.clip(trimesh.triangles.points_to_barycentric(corners, places), 0, 1)
    smooth = np.asarray(whole.vertex_normals)[whole.faces[faces]]
    normals = _unit(np.einsum("ij,ijk->ik", weights, smooth))
    leaning = np.einsum("ij,ij->i", normals, flat) < 0.8  # an edge is no curve
    normals = np.where(leaning[:, None], flat, normals)
    away = np.einsum("ij,ij->i", normals, rays) > 0
    return _Hits(seen, faces, weights, places, np.where(away[:, None], -normals, normals))


def _paint(solid: Solid, hits: _Hits, piece_of: NDArray[np.int64], first: list[int]) -> Floats:
    """The paint at each hit, sRGB 0 to 1."""
    out = np.zeros((len(hits.faces), 3))
    for index, piece in enumerate(solid):
        mine = piece_of[hits.faces] == index
        out[mine] = piece.rgb
        if piece.texture_hwc is None or piece.uv is None or not mine.any():
            continue
        corners = piece.mesh.faces[hits.faces[mine] - first[index]]
        uv = np.einsum("ij,ijk->ik", hits.weights[mine], piece.uv[corners]) % 1.0
        height, width = piece.texture_hwc.shape[:2]
        column = np.minimum((uv[:, 0] * width).astype(int), width - 1)
        row = np.minimum(((1 - uv[:, 1]) * height).astype(int), height - 1)
        out[mine] = piece.texture_hwc[row, column]
    return out


@dataclass(frozen=True)
class Lamps:
    """A sun, a sky, the table's reflection, and a window that glossy things mirror."""

    sun: Floats
    sun_gain: float
    sky_gain: float
    table_gain: float
    window: Floats
    window_size: float


def pick_lamps(rng: random.Random) -> Lamps:
    """Daylight or a lamp from above, of any side and hardness."""
    turn, height = rng.uniform(0, 2 * math.pi), rng.uniform(0.5, 1.4)
    sun = np.array((math.cos(turn) * math.cos(height), math.sin(height),
                    math.sin(turn) * math.cos(height)))  # fmt: skip
    window = _unit(np.array((rng.gauss(0, 1), rng.uniform(0.3, 1.5), rng.gauss(0, 1))))
    hard = rng.random()
    return Lamps(sun, 0.75 * hard, rng.uniform(0.55, 1.0) * (1.15 - 0.6 * hard),
                 rng.uniform(0.1, 0.5), window, rng.uniform(0.02, 0.12))  # fmt: skip


def _light(rng: np.random.Generator, whole: trimesh.Trimesh, hits: _Hits, lamps: Lamps) -> Floats:
    """The linear light that falls on each hit: sun, unless shadowed, and the sky that is free."""
    starts = hits.places + hits.normals * _NUDGE
    toward = np.einsum("ij,j->i", hits.normals, lamps.sun)
    lit = toward > 0
    suns = np.broadcast_to(lamps.sun, starts.shape)
    lit[lit] = ~whole.ray.intersects_any(starts[lit], suns[lit])
    light = lamps.sun_gain * np.where(lit, toward, 0)
    for _ in range(_SKY_RAYS):
        scattered = _unit(hits.normals + _unit(rng.normal(size=hits.normals.shape)))
        free = ~whole.ray.intersects_any(starts, scattered)
        sky = np.where(scattered[:, 1] > 0, lamps.sky_gain, lamps.sky_gain * lamps.table_gain)
        light += np.where(free, sky, 0.25 * lamps.sky_gain) / _SKY_RAYS
    return light


def render(solid: Solid, view: Viewpoint, lamps: Lamps, side_px: int, seed: int) -> Layers:
    """Look at a solid.

    Args:
        solid: fitted to its ball.
        side_px: the side of the square in which the ball fits; the result is cropped.
        seed: of the light's scatter.

    Raises:
        ValueError: hardly anything of it is seen.
    """
    first = list(np.cumsum([0, *(len(piece.mesh.faces) for piece in solid)]))
    piece_of = np.repeat(np.arange(len(solid)), np.diff(first))
    whole: Any = trimesh.util.concatenate([piece.mesh for piece in solid])
    start, rays = _camera_rays(view, side_px * _RAYS)
    hits = _hit(whole, start, rays)
    if len(hits.rays) < 100:
        raise ValueError("hardly anything of it is seen")
    paintable = np.array([piece.paintable for piece in solid])[piece_of[hits.faces]]
    gloss = np.array([piece.gloss for piece in solid])[piece_of[hits.faces]]
    seen = rays[hits.rays]
    mirrored = seen - 2 * np.einsum("ij,ij->i", seen, hits.normals)[:, None] * hits.normals
    glint = np.einsum("ij,j->i", mirrored, lamps.window) > 1 - lamps.window_size
    rim = (1 - np.abs(np.einsum("ij,ij->i", seen, hits.normals))) ** 5
    shine = gloss * (0.6 * glint + 0.5 * rim * lamps.sky_gain)
    light = _light(np.random.default_rng(seed), whole, hits, lamps)
    paint = _paint(solid, hits, piece_of, first)
    columns = np.column_stack((paint, light * BRIGHT / 255, shine, paintable, np.ones(len(paint))))
    return _developed(columns, hits.rays, side_px)


def _developed(columns: Floats, rays: NDArray[np.int64], side_px: int) -> Layers:
    """Rays averaged to pixels and cropped. Beside the solid its rim goes on, so that layers can
    be resized before they are cut out by their cover."""
    fine = np.zeros((side_px * _RAYS, side_px * _RAYS, columns.shape[1]), np.float32)
    fine.reshape(-1, columns.shape[1])[rays] = columns
    sums = fine.reshape(side_px, _RAYS, side_px, _RAYS, -1).mean((1, 3))
    around = np.dstack([cv2.blur(sums[..., k], (9, 9)) for k in range(sums.shape[2])])
    cover = sums[..., -1:]
    layers = np.where(cover > 0, sums / np.maximum(cover, 1e-6),
                      around / np.maximum(around[..., -1:], 1e-6))  # fmt: skip
    layers[..., -1:] = cover
    whole = np.clip(layers * 255 + 0.5, 0, 255).astype(np.uint8)
    x, y, width, height = cv2.boundingRect(np.ascontiguousarray(whole[..., -1]))
    cut = whole[y : y + height, x : x + width]
    return Layers(cut[..., :3], cut[..., 3], cut[..., 4], cut[..., 5], cut[..., 6])

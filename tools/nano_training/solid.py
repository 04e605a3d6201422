"""Solids for rendering: what a model file holds, or a form made from numbers.

All are scaled to fit a ball of radius 1 around the origin, y up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import trimesh
from numpy.typing import NDArray

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Piece:
    """A part of one material.

    `mesh` has faces in any order of winding. `rgb` is its paint, 0 to 1, sRGB; `texture_hwc`
    ``(h, w, 3) float32``, 0 to 1, takes its place where there is one, read at `uv`
    ``(vertices, 2)``. A `paintable` piece may have any colour. `gloss`: 0 matt to 1 mirror-like.
    """

    mesh: trimesh.Trimesh
    rgb: tuple[float, float, float] = (0.8, 0.8, 0.8)
    uv: Floats | None = None
    texture_hwc: Floats | None = None
    paintable: bool = False
    gloss: float = 0.2


Solid = Sequence[Piece]


def fitted(solid: Solid) -> list[Piece]:
    """The solid in its ball."""
    corners = np.concatenate([piece.mesh.vertices for piece in solid])
    low, high = corners.min(0), corners.max(0)
    scale = 1 / max(1e-9, float(np.linalg.norm(corners - (low + high) / 2, axis=1).max()))
    return [_moved(piece, -(low + high) / 2, scale) for piece in solid]


def _moved(piece: Piece, shift: Floats, scale: float) -> Piece:
    vertices = (np.asarray(piece.mesh.vertices) + shift) * scale
    mesh = trimesh.Trimesh(vertices, piece.mesh.faces, process=False)
    return replace(piece, mesh=mesh)


def read_solid(path: Path) -> list[Piece]:
    """The pieces of a model file, one a material; panes of glass are left out, and the largest
    piece is the paintable one.

    Raises:
        ValueError: there is nothing in it to see.
    """
    scene = trimesh.load(path, force="scene", process=False)
    pieces: list[Piece] = []
    for name, mesh in scene.geometry.items():
        if not isinstance(mesh, trimesh.Trimesh) or not len(mesh.faces):
            continue
        if "glass" in name.lower() and len(scene.geometry) > 1:
            continue
        pieces.append(_piece(mesh))
    if not pieces:
        raise ValueError(f"{path}: no surfaces in it")
    largest = max(range(len(pieces)), key=lambda index: pieces[index].mesh.area)
    pieces[largest] = replace(pieces[largest], paintable=True)
    return fitted(pieces)


def _piece(mesh: trimesh.Trimesh) -> Piece:
    material = getattr(mesh.visual, "material", None)
    diffuse = np.asarray(getattr(material, "diffuse", (204, 204, 204, 255)), float)[:3] / 255
    red, green, blue = (float(v) for v in diffuse)
    uv, picture = getattr(mesh.visual, "uv", None), getattr(material, "image", None)
    texture = None
    if uv is not None and picture is not None and len(uv) == len(mesh.vertices):
        texture = np.asarray(picture.convert("RGB"), np.float32) / 255
    return Piece(mesh, (red, green, blue), uv if texture is not None else None, texture)


def turned(profile: Sequence[tuple[float, float]], steps: int = 48) -> trimesh.Trimesh:
    """A profile of (radius, height) turned about the y axis."""
    mesh = trimesh.creation.revolve(np.array(profile, float), sections=steps)
    return trimesh.Trimesh(mesh.vertices[:, [0, 2, 1]], mesh.faces, process=False)


def tube(path: Floats, radii: Floats, sides: int = 12) -> trimesh.Trimesh:
    """A tube of changing radius along a path ``(n, 3)``, closed at both ends."""
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    across = np.cross(along, (0.31, 0.9, 0.3))
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    other = np.cross(along, across)
    turn = np.linspace(0, 2 * np.pi, sides, endpoint=False)[None, :, None]
    rings = path[:, None] + radii[:, None, None] * (
        np.cos(turn) * across[:, None] + np.sin(turn) * other[:, None]
    )
    vertices = np.concatenate([rings.reshape(-1, 3), path[[0, -1]]])
    count, faces = len(path), []
    for ring in range(count - 1):
        for side in range(sides):
            a, b = ring * sides + side, ring * sides + (side + 1) % sides
            faces += [(a, b, a + sides), (b, b + sides, a + sides)]
    for side in range(sides):
        after, last = (side + 1) % sides, (count - 1) * sides
        faces += [(after, side, count * sides), (last + side, last + after, count * sides + 1)]
    return trimesh.Trimesh(vertices, faces, process=False)


def block(
    width: float, height: float, depth: float, at: tuple[float, float, float]
) -> trimesh.Trimesh:
    """A cuboid around a place."""
    mesh = trimesh.creation.box((width, height, depth))
    return trimesh.Trimesh(np.asarray(mesh.vertices) + at, mesh.faces, process=False)

"""Things with print on them, as solids: labels, books and cartons."""

from __future__ import annotations

import math
import random

import cv2
import numpy as np
import trimesh

from tools.nano_training.solid import Floats, Piece, Solid, block

_LETTERS = "ABCDEFGHIKLMNOPRSTUVWaeinorstu"
_PAPER_RGB = (0.92, 0.91, 0.88)


def print_on_paper(rng: random.Random) -> Floats:
    """A printed page or label: blocks, discs and letters on paper, ``(128, 128, 3)``, 0 to 1."""
    gain = 255 * (rng.uniform(0.1, 1) if rng.random() < 0.4 else 1.0)
    paper = np.full((128, 128, 3), [gain * rng.uniform(0.6, 1) for _ in range(3)], np.uint8)
    for _ in range(rng.randint(0, 3)):
        x, y = rng.randint(0, 110), rng.randint(0, 110)
        ink = [rng.uniform(0, 255) for _ in range(3)]
        if rng.random() < 0.5:
            far = x + rng.randint(8, 70), y + rng.randint(6, 50)
            cv2.rectangle(paper, (x, y), far, ink, cv2.FILLED)
        else:
            cv2.circle(paper, (x, y), rng.randint(5, 30), ink, cv2.FILLED)
    ink = [rng.choice((12, 25, 230)) for _ in range(3)]
    for _ in range(rng.randint(0, 3)):
        word = "".join(rng.choice(_LETTERS) for _ in range(rng.randint(2, 9)))
        at = rng.randint(-5, 50), rng.randint(15, 125)
        size, weight = rng.uniform(0.4, 1.6), rng.randint(1, 3)
        cv2.putText(paper, word, at, cv2.FONT_HERSHEY_SIMPLEX, size, ink, weight, cv2.LINE_AA)
    return paper.astype(np.float32) / 255


def printed_sheet(width: float, depth: float, height: float, rng: random.Random) -> Piece:
    """A sheet of print lying at a height."""
    x, z = width / 2, depth / 2
    corners = [(-x, height, -z), (x, height, -z), (x, height, z), (-x, height, z)]
    mesh = trimesh.Trimesh(corners, [(0, 2, 1), (0, 3, 2)], process=False)
    uv = np.array(((0, 1), (1, 1), (1, 0), (0, 0)), float)
    return Piece(mesh, _PAPER_RGB, uv, print_on_paper(rng), gloss=0.2)


def _volume(rng: random.Random) -> list[Piece]:
    """One closed book, lying."""
    width, depth, thick = rng.uniform(1.2, 1.7), rng.uniform(1.9, 2.3), rng.uniform(0.1, 0.7)
    board = rng.uniform(0.02, 0.06)
    pages = block(width * 0.96, thick, depth * 0.94, (0, board + thick / 2, 0))
    top = thick + 1.5 * board
    pieces = [
        Piece(pages, (0.88, 0.85, 0.76), gloss=0.0),
        Piece(block(width, board, depth, (0, board / 2, 0)), paintable=True),
        Piece(block(width, board, depth, (0, top, 0)), paintable=True),
        Piece(block(board, thick + 2 * board, depth, (-width / 2, board + thick / 2, 0)),
              paintable=True),
    ]  # fmt: skip
    if rng.random() < 0.6:
        share = rng.uniform(0.4, 0.95)
        pieces.append(printed_sheet(width * share, depth * share, top + board * 0.52, rng))
    return pieces


def book(rng: random.Random) -> Solid:
    """Closed and lying, closed and upright, or open with its pages to the sky."""
    chance = rng.random()
    if chance < 0.35:
        width, depth = rng.uniform(1.2, 1.6), rng.uniform(1.8, 2.3)
        thick, lean = rng.uniform(0.06, 0.3), rng.uniform(0, 0.2)
        pieces = [Piece(block(2 * width, 0.04, depth * 1.03, (0, -thick - 0.02, 0)),
                        paintable=True)]  # fmt: skip
        for side in (-1, 1):
            slab = block(width, thick, depth, (side * width / 2, -thick / 2, 0))
            sheet = printed_sheet(width * 0.9, depth * 0.92, 0.01, rng)
            sheet.mesh.apply_translation((side * width / 2, 0, 0))
            turn = trimesh.transformations.rotation_matrix(-side * lean, (0, 0, 1))
            for mesh in (slab, sheet.mesh):
                mesh.apply_transform(turn)
            pieces += [Piece(slab, (0.9, 0.88, 0.8), gloss=0.0), sheet]
        return pieces
    pieces = _volume(rng)
    if chance < 0.65:
        axis = rng.choice(((0, 0, 1), (1, 0, 0)))
        upright = trimesh.transformations.rotation_matrix(rng.choice((-1, 1)) * 1.5, axis)
        for piece in pieces:
            piece.mesh.apply_transform(upright)
    return pieces


def box(rng: random.Random) -> Solid:
    """A carton, most with print on it."""
    width, height, depth = (rng.uniform(0.6, 1.6) for _ in range(3))
    pieces = [Piece(block(width, height, depth, (0, 0, 0)), paintable=True, gloss=0.1)]
    if rng.random() < 0.5:
        share = rng.uniform(0.3, 0.9)
        pieces.append(printed_sheet(width * share, depth * share, height / 2 + 0.01, rng))
    if rng.random() < 0.5:
        share = rng.uniform(0.3, 0.9)
        for turns in (1, 3):
            sheet = printed_sheet(width * share, height * share, depth / 2 + 0.01, rng)
            sheet.mesh.apply_transform(
                trimesh.transformations.rotation_matrix(turns * math.pi / 2, (1, 0, 0))
            )
            pieces.append(sheet)
    return pieces

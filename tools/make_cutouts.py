"""Render the things that are pasted into molmo-nano's training pictures.

    apt-get download sweethome3d-furniture && dpkg-deb -x sweethome3d-furniture_*.deb furniture
    python -m tools.make_cutouts --libraries furniture/usr/share/sweethome3d/furniture --out FILE
    python -m tools.make_cutouts --out FILE --sheet collages.jpg      eight pictures made of FILE

Needs the extra [training]. Deterministic for one version of the libraries. docs/nano.md tells
what the file is for.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from molmo_node.errors import MolmoNodeError
from tools.nano_training import catalogue, cutouts, forms
from tools.nano_training.collage import make_collage
from tools.nano_training.cutouts import Cutout
from tools.nano_training.layers import SIDE_PX, stacked
from tools.nano_training.raytrace import Viewpoint, pick_lamps, render
from tools.nano_training.solid import Solid, read_solid

_VIEWS_OF_NAMED, _VIEWS_OF_COMPANY = 16, 2
_OF_EACH_FORM = 200
_MOST_FACES = 120_000
_LYING = frozenset({"hammer", "screwdriver", "clock", "book", "banana"})


def _view(rng: random.Random, noun: str) -> Viewpoint:
    """From the table's height to steeply above; things that lie are seen from all sides."""
    above = rng.uniform(25, 88) if noun in _LYING else rng.triangular(3, 75, 18)
    return Viewpoint(above, rng.uniform(0, 360), rng.uniform(2.5, 9), rng.gauss(0, 4))


def _look(noun: str, solid: Solid, seed: int) -> list[Cutout]:
    """The solid from one place; nothing where it shows hardly anything."""
    rng = random.Random(seed)
    try:
        layers = render(solid, _view(rng, noun), pick_lamps(rng), SIDE_PX, seed)
    except ValueError:
        return []
    return [Cutout(noun, stacked(layers))] if min(layers.cover.shape) >= 8 else []


def _of_model(model: catalogue.Model) -> list[Cutout]:
    try:
        solid = read_solid(model.path)
    except Exception as exc:  # of hundreds of files made by as many hands, a few cannot be read
        print(f"{model.path}: {exc}", file=sys.stderr)
        return []
    if sum(len(piece.mesh.faces) for piece in solid) > _MOST_FACES:
        return []
    count = _VIEWS_OF_NAMED if model.noun else _VIEWS_OF_COMPANY
    first = int.from_bytes(model.path.parent.name.encode()[:6], "big")
    return [view for index in range(count) for view in _look(model.noun, solid, first + index)]


def _of_form(task: tuple[str, int]) -> list[Cutout]:
    noun, seed = task
    return _look(noun, forms.make(noun, random.Random(seed)), seed)


def _make(libraries: Path, out: Path, processes: int) -> None:
    tasks = [(noun, seed) for noun in forms.FORMS for seed in range(_OF_EACH_FORM)]
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(processes) as pool:
        catalogue.unpack(libraries, Path(folder))
        models = catalogue.models(Path(folder))
        made = [*pool.map(_of_model, models), *pool.map(_of_form, tasks, chunksize=8)]
    every = [cutout for some in made for cutout in some]
    cutouts.save(out, every)
    nouns, counts = np.unique([cutout.noun for cutout in every], return_counts=True)
    for noun, count in zip(nouns, counts, strict=True):
        print(f"{noun or '(no name)':12} {count}")


def _draw_sheet(library: Path, out: Path) -> None:
    views = cutouts.load(library)
    pictures = [make_collage(seed, views, 252, 189).image_hwc for seed in range(8)]
    sheet = np.vstack([np.hstack(pictures[:4]), np.hstack(pictures[4:])])
    cv2.imwrite(str(out), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])


def main() -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--libraries", type=Path, metavar="FOLDER")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    parser.add_argument("--processes", type=int, default=2, metavar="N")
    parser.add_argument("--sheet", type=Path, metavar="JPG")
    args = parser.parse_args()
    try:
        if args.libraries:
            _make(args.libraries, args.out, args.processes)
        if args.sheet:
            _draw_sheet(args.out, args.sheet)
    except MolmoNodeError as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

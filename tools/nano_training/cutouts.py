"""A file of rendered things to paste into training pictures.

It is a plain .npz: all pixels in one array, the sizes and the nouns of the views in two others.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from molmo_node.errors import ConfigError
from tools.nano_training.layers import DEPTH


@dataclass(frozen=True)
class Cutout:
    """One view. `noun` is empty for things without a name; `layers_hwc` is of `layers.stacked`."""

    noun: str
    layers_hwc: NDArray[np.uint8]


def save(path: Path, cutouts: list[Cutout]) -> None:
    """Write the file."""
    sizes = np.array([cutout.layers_hwc.shape[:2] for cutout in cutouts], np.int64)
    nouns = np.array([cutout.noun for cutout in cutouts])
    pixels = np.concatenate([cutout.layers_hwc.reshape(-1) for cutout in cutouts])
    np.savez(path, sizes=sizes, nouns=nouns, pixels=pixels)


@functools.cache
def load(path: Path) -> dict[str, list[Cutout]]:
    """The cut-outs by noun; those without a name under "".

    Raises:
        ConfigError: the file is missing or is none of ours.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            sizes, nouns, pixels = file["sizes"], file["nouns"], file["pixels"]
    except (OSError, EOFError, KeyError, ValueError) as exc:
        raise ConfigError(
            f"{path}: not a file of cut-outs ({exc})", hint="python -m tools.make_cutouts makes it"
        ) from exc
    out: dict[str, list[Cutout]] = {}
    ends = np.cumsum(sizes.prod(1) * DEPTH)
    for noun, size, end in zip(nouns, sizes, ends, strict=True):
        height, width = (int(v) for v in size)
        layers = pixels[end - height * width * DEPTH : end].reshape(height, width, DEPTH)
        out.setdefault(str(noun), []).append(Cutout(str(noun), layers))
    return out

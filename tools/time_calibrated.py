"""CPU time of a calibrated reading with its registration, beside another reader in the same run.

    python tools/time_calibrated.py FOLDER --prototype ../shared/reference/gauge_prototype

Both read the frames of the folder's sequence with what is known of the first one. The prototype
is a folder with `eval_sequence.register` and `eval_calibrated.read`, our first reader.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from molmo_node.instruments import Profile, read_gauge
from molmo_node.instruments.pixels import ImageRGB
from tools.instrument_sets import load, timed

REACH = 1.25
PROMISED_MS, PROMISED_RATIO = 50.0, 0.4


def own_reader(sequence: dict[str, Any], first: ImageRGB) -> Callable[[ImageRGB], object]:
    """Our reader with a profile of the first frame, its patch prepared as a running node has it."""
    frame = sequence["frames"][0]
    profile = Profile.from_marks(first, frame["centre"], frame["scale_points"], sequence["unit"])
    read_gauge(first, profile)
    return lambda image: read_gauge(image, profile)


def prototype_reader(
    folder: Path, sequence: dict[str, Any], first: ImageRGB
) -> Callable[[ImageRGB], object]:
    """The prototype's registration and needle for the same profile."""
    sys.path.insert(0, str(folder))
    register = importlib.import_module("eval_sequence").register
    read = importlib.import_module("eval_calibrated").read
    frame = dict(sequence["frames"][0], **{k: sequence[k] for k in ("kind", "unit", "min", "max")})
    center = np.array(frame["centre"])
    points = [point[1:] for point in frame["scale_points"]] + [frame["tip"]]
    reach = REACH * max(float(np.linalg.norm(np.array(point) - center)) for point in points)
    height, width = first.shape[:2]
    low = [max(0, int(c - reach)) for c in center]
    high = [min(size, int(c + reach)) for c, size in zip(center, (width, height), strict=True)]
    patch = np.ascontiguousarray(first[:, :, ::-1])

    def run(image: ImageRGB) -> object:
        bgr = np.ascontiguousarray(image[:, :, ::-1])
        affine, _, _ = register(patch, bgr, (*low, *high))
        moved = [[v, *map(float, affine @ (x, y, 1.0))] for v, x, y in frame["scale_points"]]
        where = [float(v) for v in affine @ (*frame["centre"], 1.0)]
        return read(bgr, frame | {"centre": where, "scale_points": moved})

    return run


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    options.add_argument("root", type=Path)
    options.add_argument("--prototype", type=Path, metavar="FOLDER")
    chosen = options.parse_args()
    cv2.setNumThreads(1)
    sequence = json.loads((chosen.root / "labels.json").read_text(encoding="utf-8"))["sequence"]
    frames = [load(chosen.root / frame["file"]) for frame in sequence["frames"]]
    readers = {"ours": own_reader(sequence, frames[0])}
    if chosen.prototype:
        readers["prototype"] = prototype_reader(chosen.prototype, sequence, frames[0])
    spent: dict[str, list[float]] = {name: [] for name in readers}
    for frame in frames[1:]:
        for name, read in readers.items():
            spent[name].append(timed(lambda i=frame, r=read: r(i))[1])
    median = {name: float(np.median(times)) for name, times in spent.items()}
    height, width = frames[0].shape[:2]
    for name, cpu_ms in median.items():
        size = f"{width}x{height} px, median of {len(frames) - 1}"
        print(f"{name}: {cpu_ms:.0f} ms of CPU for a frame of {size}")
    if "prototype" in median:
        ratio = median["ours"] / median["prototype"]
        print(f"ratio {ratio:.2f} (at most {PROMISED_RATIO})")
    print(f"promised: at most {PROMISED_MS:.0f} ms")


if __name__ == "__main__":
    main()

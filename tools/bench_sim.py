"""How many scenes of 336 px the simulated bench draws in a CPU-second of one core.

python -m tools.bench_sim
"""

from __future__ import annotations

import time
from typing import get_args

import cv2

from molmo_node.sim.scene import Kind, make_scene

SCENES = 200


def scenes_per_cpu_s(kind: Kind) -> float:
    """Scenes of one kind a CPU-second, over fixed seeds."""
    make_scene(0, kind)  # noise pools are made once
    started_s = time.process_time()
    for seed in range(SCENES):
        make_scene(seed, kind)
    return SCENES / (time.process_time() - started_s)


def main() -> None:
    """Print a line a kind."""
    cv2.setNumThreads(1)
    for kind in get_args(Kind):
        print(f"{kind:8} {scenes_per_cpu_s(kind):5.0f} scenes a CPU-second")


if __name__ == "__main__":
    main()

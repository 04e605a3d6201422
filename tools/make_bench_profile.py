"""Make the demo's gauge profile, molmo_node/examples/gauges/bench.yaml, from the simulated bench.

python -m tools.make_bench_profile
"""

from __future__ import annotations

from pathlib import Path

import molmo_node
from molmo_node.gauge_profiles import save_profile
from molmo_node.instruments import Profile
from molmo_node.sim.bench import Bench

OUT = Path(molmo_node.__file__).parent / "examples" / "gauges" / "bench.yaml"


def main() -> None:
    """Mark the scale's ends and middle where the bench draws them, and save."""
    bench = Bench()
    scene, scale = bench.at(0.0), bench.scale
    center, *marks, _ = scene.gauges[0].dial.keys_xy.tolist()
    profile = Profile.from_marks(
        scene.image_hwc,
        center=tuple(center),
        marks=[(scale.value(part), *at) for part, at in zip((0.0, 0.5, 1.0), marks, strict=True)],
        unit=scale.unit,
    )
    save_profile(OUT, profile)


if __name__ == "__main__":
    main()

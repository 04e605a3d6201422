"""The simulated bench as a camera: things, a gauge and a clock, all of them known."""

from __future__ import annotations

from datetime import datetime

from molmo_node.camera.base import Grabbed, SourceInfo
from molmo_node.camera.spec import SourceSpec
from molmo_node.clock import Clock
from molmo_node.sim.bench import Bench

DEFAULT_SIZE = (960, 540)
DEFAULT_FPS = 10.0


def bench_time(stamp_ns: int) -> tuple[float, float]:
    """What moment of the bench a frame stamped `stamp_ns` shows.

    Whoever has the stamp has the truth: ``Bench(width, height).at(*bench_time(stamp_ns))`` is
    the frame with its points, value and time.

    Returns:
        The bench's own time in seconds (a day long, so that floats stay exact), and the
        seconds since midnight of the local time of day.
    """
    local = datetime.fromtimestamp(stamp_ns / 1e9)
    day_s = local.hour * 3600 + local.minute * 60 + local.second
    return stamp_ns % 86_400_000_000_000 / 1e9, float(day_s)


class SimSource:
    """Frames of `sim.bench.Bench` at the moment they are read; never ends. The loop paces."""

    def __init__(self, spec: SourceSpec, clock: Clock) -> None:
        self._spec = spec
        self._clock = clock
        self._bench = Bench(spec.width or DEFAULT_SIZE[0], spec.height or DEFAULT_SIZE[1])

    def open(self) -> SourceInfo:
        """Nothing can fail: the bench is drawn, not found."""
        return SourceInfo(
            backend="sim", stable_id=self._spec.label, is_live=False, pixel_format="rgb24",
            width=self._bench.width, height=self._bench.height,
            fps=self._spec.fps or DEFAULT_FPS, asked_width=self._spec.width,
            asked_height=self._spec.height, asked_fps=self._spec.fps,
        )  # fmt: skip

    def read(self) -> Grabbed:
        """Draw the bench as it stands now."""
        stamp_ns, mono_ns = self._clock.wall_ns(), self._clock.mono_ns()
        scene = self._bench.at(*bench_time(stamp_ns))
        return Grabbed(
            body=scene.image_hwc, encoding="rgb8", width=self._bench.width,
            height=self._bench.height, stamp_ns=stamp_ns, mono_ns=mono_ns,
        )  # fmt: skip

    def close(self) -> None:
        """Nothing is held."""

"""What the simulated bench really showed, for the demo's share of right answers."""

from __future__ import annotations

from molmo_node.camera.sim import bench_time
from molmo_node.messages import Answer, ClockReading, GaugeReading
from molmo_node.sim.bench import Bench
from molmo_node.sim.clocks import DialTime
from molmo_node.sim.scene import Scene, matching

# what examples/demo.yaml asks for, as a colour and a thing of the bench
ASKED = {"the red mug": ("red", "mug"), "green bottles": ("green", "bottle")}
GAUGE_WITHIN = 0.02  # of the scale
CLOCK_WITHIN_MIN = 1


def is_right(answer: Answer) -> bool | None:
    """Whether an answer about the simulated bench is true.

    Points are right when each thing asked for carries exactly one and nothing else does; counts
    when they are exact, gauges within 2 % of the scale, clocks within a minute. A refusal is
    not right.

    Returns:
        None where the bench does not tell: the thing is hidden, or the question is none of
        the demo's.
    """
    scene = Bench(answer.width, answer.height).at(*bench_time(answer.frame.stamp_ns))
    if isinstance(answer.reading, GaugeReading):
        value, scale = answer.reading.value, scene.gauges[0].scale
        within = GAUGE_WITHIN * (scale.high - scale.low)
        return value is not None and abs(value - scene.gauges[0].value) <= within
    if isinstance(answer.reading, ClockReading):
        return _shows(answer.reading, scene.clocks[0].time)
    return _points_at(answer, scene) if answer.query in ASKED else None


def _shows(reading: ClockReading, truth: DialTime) -> bool:
    if reading.hour is None or reading.minute is None:
        return False
    apart = abs(reading.hour * 60 + reading.minute - truth.hour * 60 - truth.minute) % 720
    return min(apart, 720 - apart) <= CLOCK_WITHIN_MIN


def _points_at(answer: Answer, scene: Scene) -> bool | None:
    wanted = matching(scene, *ASKED[answer.query])
    if wanted is None:
        return None
    if answer.task == "count":
        return answer.count == len(wanted)
    height, width = scene.instance_hw.shape
    found = [
        int(scene.instance_hw[min(int(p.y_px), height - 1), min(int(p.x_px), width - 1)])
        for p in answer.points
    ]
    return sorted(found) == sorted(thing.number for thing in wanted)

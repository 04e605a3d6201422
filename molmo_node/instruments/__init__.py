"""From pixels of a dial to a reading with a unit."""

from molmo_node.instruments.clock import read_clocks
from molmo_node.instruments.draw import draw_reading
from molmo_node.instruments.from_points import read_pointed_clock, read_pointed_gauge
from molmo_node.instruments.fusion import fuse_clocks, fuse_gauges
from molmo_node.instruments.gauge import read_gauge
from molmo_node.instruments.hint import DialHint
from molmo_node.instruments.profile import Mark, Profile, Register
from molmo_node.instruments.propose import Trial, propose_profile, try_profile
from molmo_node.instruments.steady import SteadyReading
from molmo_node.instruments.uncalibrated import read_gauges

__all__ = [
    "DialHint",
    "Mark",
    "Profile",
    "Register",
    "SteadyReading",
    "Trial",
    "draw_reading",
    "fuse_clocks",
    "fuse_gauges",
    "propose_profile",
    "read_clocks",
    "read_gauge",
    "read_gauges",
    "read_pointed_clock",
    "read_pointed_gauge",
    "try_profile",
]

"""From pixels of a dial to a reading with a unit."""

from molmo_node.instruments.clock import read_clocks
from molmo_node.instruments.gauge import read_gauge
from molmo_node.instruments.profile import Mark, Profile, Register
from molmo_node.instruments.uncalibrated import read_gauges

__all__ = ["Mark", "Profile", "Register", "read_clocks", "read_gauge", "read_gauges"]

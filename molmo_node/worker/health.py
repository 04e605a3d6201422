"""Alive, on rate, valid: the three questions asked of every camera."""

from __future__ import annotations

from molmo_node.bus.host import host_id
from molmo_node.bus.receiver import FrameStats
from molmo_node.messages import CameraHealth, FrameHeader

ALIVE_NS = 2_000_000_000  # a lost camera is reported within two seconds
ALIVE_PERIODS = 3
ON_RATE_SHARE = 0.9


def alive_within_ns(expected_hz: float | None) -> int:
    """How old the newest frame of a camera that lives may be.

    Args:
        expected_hz: its nominal rate; a camera slower than one frame in two seconds is given
            three of its periods.
    """
    if not expected_hz:
        return ALIVE_NS
    return max(ALIVE_NS, int(ALIVE_PERIODS * 1e9 / expected_hz))


def camera_health(
    name: str,
    stats: FrameStats,
    newest: FrameHeader | None,
    expected_hz: float | None,
    now_ns: int,
) -> CameraHealth:
    """A camera's health at `now_ns` (monotonic).

    `alive`: a frame came lately. `on_rate`: at least 90 % of the expected rate (True where
    none is known, while alive). `valid`: the newest message was a frame within the limits.
    """
    age_ns = None if stats.received_ns is None else now_ns - stats.received_ns
    is_alive = age_ns is not None and age_ns <= alive_within_ns(expected_hz)
    is_on_rate = not expected_hz or stats.rate_hz >= ON_RATE_SHARE * expected_hz
    return CameraHealth(
        name=name,
        alive=is_alive,
        on_rate=is_alive and is_on_rate,
        valid=is_alive and stats.is_valid,
        age_ms=None if age_ns is None else age_ns / 1e6,
        rate_hz=round(stats.rate_hz, 2) if is_alive else 0.0,
        expected_hz=expected_hz,
        session=newest.ref.session if newest else "",
        seq=newest.ref.seq if newest else -1,
        gaps=stats.gaps,
        rejected=stats.rejected,
        path=stats.path,
    )


def captured_ns(header: FrameHeader, received_ns: int) -> int:
    """When a frame was captured on this host's monotonic clock; from afar, when it came."""
    return header.ref.mono_ns if header.ref.host == host_id() else received_ns

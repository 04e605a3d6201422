"""Watches come due at their rate, and leased ones end with their lease."""

from __future__ import annotations

import msgspec
import pytest

from molmo_node.bus import limits
from molmo_node.errors import Busy, ConfigError, ProtocolError
from molmo_node.messages import Question, WatchSpec
from molmo_node.worker.watches import Watches

SECOND_NS = 1_000_000_000


def spec(name="mug", rate_hz=1.0, camera="", text="mug"):
    return WatchSpec(name=name, question=Question.point(text), camera=camera, rate_hz=rate_hz)


def names(watches):
    return [watch.spec.name for watch in watches]


@pytest.fixture
def watches():
    return Watches()


def due_at(watches, *times_s, camera="front", is_only=True):
    return [time_s for time_s in times_s if watches.due(camera, int(time_s * SECOND_NS), is_only)]


def test_a_watch_keeps_its_rate_on_a_faster_camera(watches):
    watches.replace_permanent([spec(rate_hz=2.0)])
    frames_s = [100 + number / 10 for number in range(21)]
    assert len(due_at(watches, *frames_s)) == 5


def test_a_frame_a_little_late_does_not_shift_the_beat(watches):
    watches.replace_permanent([spec(rate_hz=1.0)])
    assert due_at(watches, 100.0, 101.05, 101.5, 102.01) == [100.0, 101.05, 102.01]


def test_a_watch_at_the_cameras_rate_sees_every_frame_though_they_jitter(watches):
    watches.replace_permanent([spec(rate_hz=30.0)])
    frames_s = [100 + number / 30 + (-1) ** number * 0.004 for number in range(60)]
    assert due_at(watches, *frames_s) == frames_s


def test_periods_without_a_frame_are_never_made_up_for(watches):
    watches.replace_permanent([spec(rate_hz=1.0)])
    assert due_at(watches, 100.0, 110.0, 110.1, 111.0) == [100.0, 110.0, 111.0]


def test_a_watch_without_a_camera_is_for_the_only_one(watches):
    watches.replace_permanent([spec()])
    assert due_at(watches, 100.0, is_only=False) == []
    assert due_at(watches, 100.0, is_only=True) == [100.0]


def test_a_watch_is_for_its_own_camera(watches):
    watches.replace_permanent([spec(camera="left")])
    assert due_at(watches, 100.0, camera="right") == []
    assert due_at(watches, 100.0, camera="left", is_only=False) == [100.0]


def test_the_slowest_rate_allowed_comes_due_again(watches):
    watches.replace_permanent([spec(rate_hz=limits.WATCH_RATE_MIN_HZ)])
    assert due_at(watches, 1e5, 1.5e5, 2e5) == [1e5, 2e5]


def test_a_lease_ends_when_it_is_not_renewed(watches):
    watches.lease(b"a", spec(), until_ns=10)
    assert watches.expire(9) == []
    assert watches.expire(10) == [spec()]
    assert watches.specs == ()


def test_a_renewed_lease_lasts(watches):
    watches.lease(b"a", spec(), until_ns=10)
    watches.lease(b"a", spec(), until_ns=20)
    assert watches.expire(15) == []


def test_a_client_that_came_back_under_another_route_keeps_its_watch(watches):
    watches.lease(b"a", spec(), until_ns=10)
    watches.lease(b"b", spec(), until_ns=20)
    watches.end(b"a", "mug")
    assert watches.specs == (spec(),)


def test_only_the_owner_ends_a_watch(watches):
    watches.lease(b"a", spec(), until_ns=10)
    watches.end(b"b", "mug")
    assert watches.specs == (spec(),)
    watches.end(b"a", "mug")
    assert watches.specs == ()


def test_a_name_stands_for_one_watch(watches):
    watches.lease(b"a", spec(), until_ns=10)
    with pytest.raises(ProtocolError, match="another watch"):
        watches.lease(b"b", spec(text="cup"), until_ns=10)


def test_nobody_can_lease_a_permanent_watch(watches):
    watches.replace_permanent([spec()])
    with pytest.raises(ProtocolError, match="another watch"):
        watches.lease(b"a", spec(), until_ns=10)
    assert watches.expire(10**18) == []


def test_new_permanent_watches_leave_leased_ones_alone(watches):
    watches.replace_permanent([spec("one")])
    watches.lease(b"a", spec("leased"), until_ns=10)
    watches.replace_permanent([spec("two")])
    assert {one.name for one in watches.specs} == {"leased", "two"}


def test_two_permanent_watches_of_one_name_are_a_config_error(watches):
    with pytest.raises(ConfigError, match="mug"):
        watches.replace_permanent([spec(), spec()])


def test_a_permanent_watch_beyond_the_limits_is_a_config_error(watches):
    with pytest.raises(ConfigError, match="mug"):
        watches.replace_permanent([spec(rate_hz=1000.0)])


def test_one_client_has_so_many_watches(watches):
    for number in range(limits.WATCHES_PER_CLIENT):
        watches.lease(b"a", spec(f"w{number}"), until_ns=10)
    with pytest.raises(Busy, match="of yours"):
        watches.lease(b"a", spec("late"), until_ns=10)
    watches.lease(b"b", spec("other"), until_ns=10)


def test_all_clients_have_so_many_watches(watches):
    for number in range(limits.WATCHES):
        watches.lease(b"%d" % number, spec(f"w{number}"), until_ns=10)
    with pytest.raises(Busy, match="in all"):
        watches.lease(b"late", spec("late"), until_ns=10)


def test_watches_never_outgrow_the_status_that_lists_them(watches):
    long = msgspec.structs.replace(
        spec(), question=Question.extract(schema="x" * limits.SCHEMA_BYTES)
    )
    most = limits.WATCHES_BYTES // len(msgspec.msgpack.encode(long))
    for number in range(most):
        watches.lease(b"a", msgspec.structs.replace(long, name=f"w{number}"), until_ns=10)
    with pytest.raises(Busy, match="bytes"):
        watches.lease(b"a", msgspec.structs.replace(long, name="w"), until_ns=10)

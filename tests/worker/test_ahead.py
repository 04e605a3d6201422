"""Looking ahead: when, at what, and who is given what was looked at."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from molmo_node.bus.frames import Frame
from molmo_node.worker.ahead import FRESH_NS, TALK_NS, LookAhead
from tests.support.clocks import FakeClock
from tests.support.frames import raw_frame


def frame_at(mono_ns: int) -> Frame:
    header, body = raw_frame(7)
    ref = msgspec.structs.replace(header.ref, mono_ns=mono_ns)
    return Frame(msgspec.structs.replace(header, ref=ref), np.frombuffer(body, np.uint8))


@pytest.mark.parametrize(("policy", "wanted"), [("off", False), ("idle", False), ("always", True)])
def test_before_any_question_only_always_looks(policy, wanted):
    assert LookAhead(policy, FakeClock()).is_wanted() is wanted


def test_idle_looks_while_questions_come_and_stops_after():
    clock = FakeClock()
    ahead = LookAhead("idle", clock)

    ahead.note_question()
    while_asked = ahead.is_wanted()
    clock.now_ns += TALK_NS

    assert while_asked
    assert not ahead.is_wanted()


def test_frame_is_given_while_it_is_young():
    clock = FakeClock()
    ahead = LookAhead("always", clock)
    frame = frame_at(clock.now_ns)
    ahead.keep(frame)
    camera = frame.header.ref.camera

    assert ahead.fresh(camera, 0, 10**10) is frame
    assert ahead.fresh("other", 0, 10**10) is None
    clock.now_ns += FRESH_NS + 1
    assert ahead.fresh(camera, 0, 10**10) is None


def test_asker_of_the_next_frame_is_not_given_an_earlier_one():
    clock = FakeClock()
    ahead = LookAhead("always", clock)
    frame = frame_at(clock.now_ns)
    ahead.keep(frame)

    assert ahead.fresh(frame.header.ref.camera, clock.now_ns + 1, 10**10) is None


def test_frame_is_looked_at_once():
    ahead = LookAhead("always", FakeClock())
    frame = frame_at(0)
    ref = frame.header.ref
    before = ahead.has_seen(ref.camera, ref.session, ref.seq)

    ahead.keep(frame)

    assert not before
    assert ahead.has_seen(ref.camera, ref.session, ref.seq)
    assert not ahead.has_seen(ref.camera, ref.session, ref.seq + 1)

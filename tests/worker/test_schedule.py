"""The next job is everything due on one frame, of cameras and pictures in turns."""

from __future__ import annotations

import pytest

from molmo_node.bus.receiver import FrameStats
from molmo_node.messages import Query, Question, WatchSpec
from molmo_node.worker.health import alive_within_ns, camera_health
from molmo_node.worker.queries import Asked, QueryQueue
from molmo_node.worker.schedule import Scheduler
from molmo_node.worker.watches import Watches
from tests.support.clocks import FakeClock
from tests.support.frames import raw_frame, to_jpeg

QUESTION = Question.point("mug")
SECOND_NS = 10**9


class Receiver:
    """The newest frame, as a test sets it."""

    def __init__(self):
        self.newest = None
        self.stats = FrameStats()

    def take(self):
        return self.newest


class FakeCameras:
    """Cameras without threads."""

    def __init__(self, *names):
        self.names = list(names)
        self.receivers = {name: Receiver() for name in names}

    def receiver(self, name):
        return self.receivers[name]

    def alive_within_ns(self, name):
        return 2 * SECOND_NS


class Bench:
    """A scheduler with everything around it."""

    def __init__(self, *cameras):
        self.clock = FakeClock()
        self.cameras = FakeCameras(*cameras)
        self.queue, self.watches = QueryQueue(), Watches()
        self.scheduler = Scheduler(self.cameras, self.clock)
        self.number = 0

    def show(self, seq, camera="front", age_s=0.0):
        import msgspec

        header, _ = raw_frame(seq, camera)
        mono_ns = self.clock.now_ns - int(age_s * 1e9)
        ref = msgspec.structs.replace(header.ref, mono_ns=mono_ns)
        receiver = self.cameras.receivers[camera]
        receiver.newest = msgspec.structs.replace(header, ref=ref)
        receiver.stats = FrameStats(received=1, received_ns=self.clock.now_ns)

    def ask(self, client="a", image=None, **fields):
        self.number += 1
        query = Query(id=str(self.number), question=QUESTION, **fields)
        now_ns = self.clock.now_ns
        asked = Asked(client.encode(), query, now_ns, now_ns + 10 * SECOND_NS, image)
        self.queue.add(asked)
        return asked

    def next(self):
        return self.scheduler.next_job(self.queue, self.watches)


@pytest.fixture
def bench():
    return Bench("front")


def test_nothing_is_done_before_a_first_frame(bench):
    bench.ask()
    assert bench.next() is None


def test_a_question_on_the_latest_frame_is_done_at_once(bench):
    bench.show(1, age_s=0.5)
    asked = bench.ask()
    assert bench.next().asked == [asked]


def test_a_question_on_the_next_frame_waits_for_one_captured_after_it(bench):
    bench.show(1)
    asked = bench.ask(frame="next")
    assert bench.next() is None
    bench.clock.advance(0.01)
    bench.show(2)
    assert bench.next().asked == [asked]


def test_a_frame_that_is_too_old_is_not_looked_at(bench):
    bench.show(1, age_s=0.2)
    asked = bench.ask(max_age_ms=100.0)
    assert bench.next() is None
    bench.show(2, age_s=0.05)
    assert bench.next().asked == [asked]


def test_a_lost_cameras_last_frame_is_not_latest(bench):
    bench.show(1, age_s=3.0)
    bench.ask()
    assert bench.next() is None


def test_everything_due_on_a_frame_is_one_job(bench):
    bench.watches.replace_permanent([WatchSpec(name="w", question=QUESTION)])
    bench.show(1)
    asked = [bench.ask(), bench.ask()]
    job = bench.next()
    assert job.asked == asked
    assert [watch.spec.name for watch in job.watches] == ["w"]


def test_a_frame_is_watched_once(bench):
    bench.watches.replace_permanent([WatchSpec(name="w", question=QUESTION, rate_hz=30.0)])
    bench.show(1)
    assert bench.next().watches
    bench.clock.advance(1)
    assert bench.next() is None


def test_a_watch_skips_a_frame_that_is_too_old(bench):
    spec = WatchSpec(name="w", question=QUESTION, max_age_ms=100.0)
    bench.watches.replace_permanent([spec])
    bench.show(1, age_s=0.5)
    assert bench.next() is None


def test_a_question_for_another_camera_waits(bench):
    bench.show(1)
    bench.ask(camera="left")
    assert bench.next() is None


def test_without_a_name_the_camera_must_be_the_only_one():
    bench = Bench("front", "left")
    bench.show(1)
    bench.ask()
    assert bench.next() is None


def test_cameras_and_pictures_take_turns():
    bench = Bench("front", "left")
    picture = ("jpeg", b"")
    for _ in range(2):
        bench.ask(image=picture, frame="attached")
        bench.ask(camera="front", client="b")
        bench.ask(camera="left", client="c")
    bench.show(1, "front")
    bench.show(1, "left")
    assert [bench.next().camera for _ in range(6)] == ["", "front", "left"] * 2


def test_a_flood_of_pictures_does_not_starve_a_watch(bench):
    bench.watches.replace_permanent([WatchSpec(name="w", question=QUESTION)])
    for _ in range(8):
        bench.ask(image=("jpeg", b""), frame="attached")
    bench.show(1)
    jobs = [bench.next() for _ in range(2)]
    assert [len(job.watches) for job in jobs] == [0, 1]


def test_an_attached_picture_becomes_its_own_frame(bench):
    header, body = raw_frame(1)
    from molmo_node.bus.frames import Frame

    jpeg = to_jpeg(Frame(header, body))
    bench.ask(image=("jpeg", jpeg), frame="attached")
    frame = bench.next().take()
    assert (frame.header.width, frame.header.height) == (64, 48)
    assert frame.header.ref.session == "attached"


def test_the_wait_is_estimated_from_the_jobs_so_far(bench):
    assert bench.scheduler.wait_ms(0) is None
    bench.show(1)
    bench.ask()
    job = bench.next()
    bench.scheduler.note_done(job, job.started_ns + SECOND_NS // 10)
    assert bench.scheduler.wait_ms(0) == 100.0
    assert bench.scheduler.wait_ms(16) == 300.0


def health(received_ns, rate_hz=30.0, expected_hz=30.0, is_valid=True, now_s=10.0):
    stats = FrameStats(received=1, received_ns=received_ns, rate_hz=rate_hz, is_valid=is_valid)
    newest = raw_frame(3)[0]
    found = camera_health("front", stats, newest, expected_hz, int(now_s * 1e9))
    return found.alive, found.on_rate, found.valid


@pytest.mark.parametrize(
    ("arguments", "answers"),
    [
        ({"received_ns": None}, (False, False, False)),
        ({"received_ns": 9 * SECOND_NS}, (True, True, True)),
        ({"received_ns": 8 * SECOND_NS - 1}, (False, False, False)),
        ({"received_ns": 9 * SECOND_NS, "rate_hz": 26.9}, (True, False, True)),
        ({"received_ns": 9 * SECOND_NS, "rate_hz": 5.0, "expected_hz": None}, (True, True, True)),
        ({"received_ns": 9 * SECOND_NS, "is_valid": False}, (True, True, False)),
        ({"received_ns": 1, "rate_hz": 0.2, "expected_hz": 0.2}, (True, True, True)),
    ],
)
def test_a_camera_is_alive_on_rate_and_valid_or_not(arguments, answers):
    assert health(**arguments) == answers


def test_a_slow_camera_is_given_three_of_its_periods():
    assert alive_within_ns(None) == alive_within_ns(30.0) == 2 * SECOND_NS
    assert alive_within_ns(0.1) == 30 * SECOND_NS

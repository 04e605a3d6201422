"""One full message of every kind that crosses a process boundary."""

from __future__ import annotations

from molmo_node import messages as m

REF = m.FrameRef(camera="front", session="s1", seq=812, stamp_ns=1, mono_ns=2, host="h")
QUESTION = m.Question.point("the red mug", roi=m.Roi(x_px=1, y_px=2, width_px=64, height_px=48))
SPEC = m.WatchSpec(name="mug", question=QUESTION, camera="front", rate_hz=2.0, max_age_ms=500.0)
GEOMETRY = m.Geometry(center=(1.0, 2.0), needle_tip=(3.0, 4.0), scale_points=((0.0, 1.0, 2.0),))
GAUGE = m.GaugeReading(
    value=4.2, unit="bar", votes=(m.Vote(method="hands", value=4.0),), geometry=GEOMETRY
)
CLOCK = m.ClockReading(hour=10, minute=8, votes=(m.Vote(method="a"),), geometry=GEOMETRY)

FRAME_HEADER = m.FrameHeader(
    ref=REF, width=1280, height=720, encoding="jpeg", nbytes=99, shm=m.ShmHandle(name="r", number=7)
)
QUERY = m.Query(id="q-1", question=QUESTION, camera="front", max_age_ms=100.0)
ANSWER = m.Answer(
    id="q-1",
    task="point",
    query="the red mug",
    frame=REF,
    width=1280,
    height=720,
    points=(m.Point(x_px=1.5, y_px=2.5, label="mug"),),
    count=1,
    reading=GAUGE,
    data={"serial": ["A-17", 1.5, None]},
)
STATUS = m.Status(
    node="worker",
    kind="worker",
    session="s",
    seq=3,
    stamp_ns=1,
    mono_ns=2,
    host="h",
    pid=4,
    state="ready",
    cameras=(m.CameraHealth(name="front", age_ms=3.0),),
    watches=(SPEC,),
    counters={"answered": 3},
)
CLIENT_MESSAGES = (
    QUERY,
    m.Cancel(id="q-1"),
    m.Watch(id="w-1", spec=SPEC),
    m.Unwatch(id="w-2", name="mug"),
    m.Ping(id="p-1"),
)
WORKER_MESSAGES = (
    m.Accepted(id="q-1", position=2, wait_ms=30.0),
    m.Started(id="q-1"),
    ANSWER,
    m.Error(id="q-1", code="busy", message="full", hint="wait", wait_ms=10.0),
    STATUS,
)

"""What crosses a process boundary, as typed MessagePack.

Every message is a MessagePack map with short plain names; the ones that share a socket carry
a ``type``; unknown fields of a newer peer are ignored. The written protocol is
docs/PROTOCOL.md, and a test holds the two together.

Pixels are floats of the captured frame, origin at the top-left corner, x right, y down.
Stamps end in ``_ns``: ``stamp_ns`` is the wall clock (since 1970, UTC), ``mono_ns`` the
monotonic clock of the host that ``host`` names.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

PROTOCOL_VERSION = 1

Task = Literal["point", "count", "read_gauge", "read_clock", "ask", "describe", "extract"]
TASKS: tuple[Task, ...] = (
    "point", "count", "read_gauge", "read_clock", "ask", "describe", "extract",
)  # fmt: skip
# Any float but NaN and the infinities, which no comparison, queue or JSON reader survives.
Finite = Annotated[float, msgspec.Meta(ge=-1.7976931348623157e308, le=1.7976931348623157e308)]
Encoding = Literal["rgb8", "bgr8", "mono8", "jpeg", "png"]
FrameChoice = Literal["latest", "next", "attached"]
NodeState = Literal[
    "starting", "loading", "ready", "busy", "degraded", "lost", "failed", "stopping", "stopped"
]
ProcessState = Literal[
    "waiting", "running", "restarting", "failed", "finished", "stopping", "stopped"
]
ReadingStatus = Literal["ok", "doubtful", "refused"]
Reason = Literal[
    "no_dial",
    "no_needle",
    "tip_tail_ambiguous",
    "outside_sweep",
    "outside_range",
    "scale_unread",
    "unit_unknown",
    "registration_lost",
    "glare",
    "blurred",
    "hands_disagree",
    "methods_disagree",
    "low_confidence",
    "stale",
    "implausible_rate",
    "no_profile",
]


class Roi(msgspec.Struct, frozen=True, kw_only=True):
    """A rectangle in pixels of the frame; only this part is looked at."""

    x_px: int
    y_px: int
    width_px: int
    height_px: int


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A place in the captured frame, in pixels."""

    x_px: Finite
    y_px: Finite
    label: str = ""


class FrameRef(msgspec.Struct, frozen=True, kw_only=True):
    """Names one captured frame for ever: camera, session of its process, sequence number."""

    camera: str
    session: str
    seq: int
    stamp_ns: int
    mono_ns: int
    host: str = ""
    frame_id: str = ""


class ShmHandle(msgspec.Struct, frozen=True, kw_only=True):
    """Where the frame's bytes lie in a shared-memory ring of this host."""

    name: str
    number: int


class FrameHeader(msgspec.Struct, frozen=True, kw_only=True):
    """First part of a frame message; the second is the body, empty when `shm` is set.

    `nbytes` is the length of the body wherever it lies: a JPEG or PNG file, or
    ``height * stride`` raw bytes.
    """

    v: int = PROTOCOL_VERSION
    ref: FrameRef
    width: int
    height: int
    encoding: Encoding
    stride: int = 0
    nbytes: int
    shm: ShmHandle | None = None


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of one picture.

    `text` is the phrase for point, count and ask; the gauge's name for read_gauge; empty for
    describe. `schema` is a JSON schema as text, for extract only.
    """

    task: Task
    text: str = ""
    roi: Roi | None = None
    refine: bool = False
    schema: str | None = None

    @classmethod
    def point(cls, text: str, *, roi: Roi | None = None, refine: bool = False) -> Question:
        return cls(task="point", text=text, roi=roi, refine=refine)

    @classmethod
    def count(cls, text: str, *, roi: Roi | None = None) -> Question:
        return cls(task="count", text=text, roi=roi)

    @classmethod
    def ask(cls, text: str, *, roi: Roi | None = None) -> Question:
        return cls(task="ask", text=text, roi=roi)

    @classmethod
    def describe(cls, *, roi: Roi | None = None) -> Question:
        return cls(task="describe", roi=roi)

    @classmethod
    def extract(cls, schema: str | None = None, *, roi: Roi | None = None) -> Question:
        return cls(task="extract", schema=schema, roi=roi)

    @classmethod
    def read_gauge(cls, gauge: str = "", *, roi: Roi | None = None) -> Question:
        return cls(task="read_gauge", text=gauge, roi=roi)

    @classmethod
    def read_clock(cls, clock: str = "", *, roi: Roi | None = None) -> Question:
        return cls(task="read_clock", text=clock, roi=roi)


class Geometry(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen of a dial, in pixels of the frame; angles in degrees clockwise from up."""

    center: tuple[Finite, Finite]
    needle_tip: tuple[Finite, Finite] | None = None
    needle_tail: tuple[Finite, Finite] | None = None
    needle_deg: Finite | None = None
    sweep_deg: Finite | None = None
    ellipse: tuple[Finite, Finite, Finite, Finite, Finite] | None = None
    scale_points: tuple[tuple[Finite, Finite, Finite], ...] = ()
    hands_deg: tuple[Finite, ...] = ()
    registration_rms_px: Finite | None = None
    registration_inliers: int | None = None


class Vote(msgspec.Struct, frozen=True, kw_only=True):
    """One method's own opinion, kept so that a person can see why methods (dis)agree."""

    method: str
    value: Finite | None = None
    confidence: Finite = 0.0
    reason: Reason | None = None


class GaugeReading(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="gauge"):
    """A gauge's value, or null and a reason; `sigma` is one standard deviation in `unit`."""

    value: Finite | None
    unit: str = ""
    min: Finite | None = None
    max: Finite | None = None
    sigma: Finite | None = None
    confidence: Finite = 0.0
    status: ReadingStatus = "ok"
    method: str = ""
    reason: Reason | None = None
    name: str = ""
    alternative: Finite | None = None
    votes: tuple[Vote, ...] = ()
    geometry: Geometry | None = None


class ClockReading(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="clock"):
    """A dial's time on 12 hours (there is no am/pm on a dial), or nulls and a reason.

    `gear_deg` is how far the hour hand stands ahead of where the minute hand says.
    """

    hour: int | None
    minute: int | None = None
    second: int | None = None
    confidence: Finite = 0.0
    status: ReadingStatus = "ok"
    method: str = ""
    reason: Reason | None = None
    name: str = ""
    alternative: str | None = None
    gear_deg: Finite | None = None
    votes: tuple[Vote, ...] = ()
    geometry: Geometry | None = None


Reading = GaugeReading | ClockReading


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """How long each step took, in milliseconds. `wait` is the time in the queue."""

    wait: Finite = 0.0
    prepare: Finite = 0.0
    prefill: Finite = 0.0
    decode: Finite = 0.0
    total: Finite = 0.0


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """Counted work, the currency in which speed is shown: it does not depend on the machine."""

    decode_forwards: int = 0
    vision_forwards: int = 0
    crops: int = 0
    lm_tokens_computed: int = 0
    lm_tokens_reused: int = 0
    draft_tokens: int = 0
    draft_accepted: int = 0
    host_copies_bytes: int = 0
    h2d_bytes: int = 0
    min_top2_margin: Finite | None = None


class Query(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="query"):
    """A one-shot question from a client. The id is the client's, unique within its session."""

    v: int = PROTOCOL_VERSION
    id: str
    question: Question
    camera: str = ""
    frame: FrameChoice = "latest"
    max_age_ms: Finite | None = None
    deadline_ms: Finite = 10_000.0


class Cancel(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="cancel"):
    """The asker takes a query back."""

    id: str


class WatchSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A standing question: asked again and again at `rate_hz`, its answers are a topic."""

    name: str
    question: Question
    camera: str = ""
    rate_hz: Finite = 1.0
    max_age_ms: Finite | None = None


class Watch(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="watch"):
    """Make or renew a leased watch; it ends `lease_s` after the last renewal."""

    id: str
    spec: WatchSpec
    lease_s: Finite = 10.0


class Unwatch(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="unwatch"):
    """End a leased watch."""

    id: str
    name: str


class Ping(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="ping"):
    """Asks for the worker's Status at once."""

    id: str


ClientMessage = Query | Cancel | Watch | Unwatch | Ping


class Accepted(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="accepted"):
    """The query waits in the queue (or the watch stands); `wait_ms` is an estimate."""

    id: str
    position: int = 0
    wait_ms: Finite | None = None


class Started(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="started"):
    """The engine works on the query now: if the worker dies, the asker gets WorkerLost."""

    id: str


class Answer(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="answer"):
    """The answer to one question about one frame.

    `reason` says why there is no answer (no points, not legible, outside the model's words);
    then `points`, `count`, `data` and `reading.value` hold nothing: never a guess.
    """

    v: int = PROTOCOL_VERSION
    id: str = ""
    watch: str = ""
    task: Task
    query: str = ""
    frame: FrameRef
    width: int
    height: int
    points: tuple[Point, ...] = ()
    count: int | None = None
    reading: Reading | None = None
    data: Any = None
    text: str = ""
    reason: str | None = None
    model: str = ""
    timing_ms: Timing = Timing()
    work: Work = Work()


class Error(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="error"):
    """Why a query got no answer; `code` is one of errors.BY_CODE."""

    id: str
    code: str
    message: str
    hint: str = ""
    wait_ms: Finite | None = None


class CameraHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The three questions asked of every input: alive, on rate, valid; and its counters."""

    name: str
    alive: bool = False
    on_rate: bool = False
    valid: bool = False
    age_ms: Finite | None = None
    rate_hz: Finite = 0.0
    expected_hz: Finite | None = None
    session: str = ""
    seq: int = -1
    gaps: int = 0
    rejected: int = 0
    path: str = ""


class ProcessHealth(msgspec.Struct, frozen=True, kw_only=True):
    """A process that the supervisor keeps alive.

    `exit_code`, `exited_ns`, `reason` and `lines` are of the run that ended last.
    """

    name: str
    state: ProcessState
    pid: int | None = None
    is_ready: bool = False
    restarts: int = 0
    exit_code: int | None = None
    exited_ns: int | None = None
    reason: str = ""
    lines: tuple[str, ...] = ()


class Status(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="status"):
    """A node's own account of itself: on every change and once a second.

    `seq` rises within a `session`; `counters` are totals since the session began.
    """

    v: int = PROTOCOL_VERSION
    node: str
    kind: Literal["camera", "worker", "supervisor", "client"]
    session: str
    seq: int
    stamp_ns: int
    mono_ns: int
    host: str
    pid: int
    state: NodeState
    detail: str = ""
    model: str = ""
    tasks: tuple[str, ...] = ()
    load_pct: Finite | None = None
    busy_since_ns: int | None = None
    busy_query: str = ""
    queue_length: int = 0
    last_frame_ns: int | None = None
    cameras: tuple[CameraHealth, ...] = ()
    watches: tuple[WatchSpec, ...] = ()
    processes: tuple[ProcessHealth, ...] = ()
    counters: dict[str, int] = {}


WorkerMessage = Accepted | Started | Answer | Error | Status

"""The node as Prometheus metrics; docs/http_api.md lists them.

One registry a process: totals are counted as answers come, everything else is taken from the
`NodeView` when somebody scrapes. What has no value now is left out: no metric says 0 for
"not read".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, StateSetMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from molmo_node import __version__
from molmo_node.bus.topics import ANSWER, STATUS, TOPICS
from molmo_node.client.view import NodeView, SeenAnswer, SeenNode
from molmo_node.messages import Answer, ClockReading, GaugeReading, NodeState, Status, Work

PREFIX = "molmo_node_"
OPEN_METRICS = "application/openmetrics-text;version=1.0.0"
_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_STATES: tuple[NodeState, ...] = NodeState.__args__  # type: ignore[attr-defined]
_STEPS = ("wait", "prepare", "prefill", "decode")
_WORK = tuple(field.name for field in msgspec.structs.fields(Work) if field.type is int)

_Row = tuple[Sequence[str], float | None]


class NodeMetrics:
    """Counts what comes, and shows it together with what a view holds.

    Args:
        view: somebody else feeds it; `note` only counts.
    """

    def __init__(self, view: NodeView) -> None:
        self._registry = CollectorRegistry()
        self._messages = self._counter("topic_messages", "Messages received.", "topic")
        self._answers = self._counter("answers", "Answers, also empty ones.", "camera", "task")
        self._empty = self._counter("answers_empty", "Answers with a reason.", "camera", "task")
        self._refused = self._counter(
            "readings_refused", "Readings without a value.", "camera", "reason"
        )
        self._steps = self._counter("step_seconds", "Time spent.", "task", "step")
        self._work = self._counter("work", "Counted work of the engine.", "task", "kind")
        self._seconds = Histogram(
            f"{PREFIX}answer_seconds", "From the question (a watch: the grab) to the answer.",
            ["task"], buckets=_BUCKETS_S, registry=self._registry,
        )  # fmt: skip
        self._registry.register(_Collector(view))

    def note(self, message: Answer | Status) -> None:
        """Count one message."""
        if isinstance(message, Status):
            self._messages.labels(STATUS.name).inc()
            return
        self._messages.labels(ANSWER.name).inc()
        self._answers.labels(message.frame.camera, message.task).inc()
        if message.reason:
            self._empty.labels(message.frame.camera, message.task).inc()
        if message.reading is not None and message.reading.status == "refused":
            reason = message.reading.reason or "not read"
            self._refused.labels(message.frame.camera, reason).inc()
        self._seconds.labels(message.task).observe(message.timing_ms.total / 1e3)
        for step in _STEPS:
            taken_s = getattr(message.timing_ms, step) / 1e3
            self._steps.labels(message.task, step).inc(max(0.0, taken_s))
        for kind in _WORK:
            self._work.labels(message.task, kind).inc(max(0, getattr(message.work, kind)))

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """The metrics as text, and its content type: OpenMetrics unless plain text is asked for."""
        encode, content_type = choose_encoder(accept if "text/plain" in accept else OPEN_METRICS)
        return encode(self._registry), content_type

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(PREFIX + name, help_text, labels, registry=self._registry)


class _Collector(Collector):
    def __init__(self, view: NodeView) -> None:
        self._view = view

    def collect(self) -> Iterator[Metric]:
        nodes = self._view.nodes()
        yield InfoMetricFamily(f"{PREFIX}build", "This program.", value={"version": __version__})
        for family in (*_topics(), *_nodes(nodes), *_cameras(self._view), *_readings(self._view)):
            if family.samples:
                yield family


def _topics() -> Iterator[Metric]:
    yield _gauge(
        "topic_expected_hertz", "Rate that the topic table promises.", ["topic"],
        [((topic.name,), topic.rate_hz) for topic in TOPICS.values()],
    )  # fmt: skip
    yield _gauge(
        "topic_limit_bytes", "Longest message of a topic.", ["topic"],
        [((topic.name,), topic.limit_bytes) for topic in TOPICS.values()],
    )  # fmt: skip


def _nodes(nodes: list[SeenNode]) -> Iterator[Metric]:
    up = [((node.status.node, node.status.kind), float(not node.is_lost)) for node in nodes]
    yield _gauge("up", "1 while a node speaks.", ["node", "kind"], up)
    states = StateSetMetricFamily(f"{PREFIX}state", "What a node says it does.", labels=["node"])
    totals = CounterMetricFamily(
        f"{PREFIX}events", "A node's own totals.", labels=["node", "event"]
    )
    heard = [node.status for node in nodes if not node.is_lost]
    for status in heard:
        states.add_metric([status.node], {state: state == status.state for state in _STATES})
        for event, total in sorted(status.counters.items()):
            totals.add_metric([status.node, event], total)
    yield states
    yield totals
    workers = [status for status in heard if status.kind == "worker"]
    yield _gauge(
        "queue_length", "Questions that wait.", ["node"],
        [((status.node,), status.queue_length) for status in workers],
    )  # fmt: skip
    yield _gauge(
        "model_loaded_ratio", "While a model loads: how much of it is.", ["node"],
        [((s.node,), None if s.load_pct is None else s.load_pct / 100) for s in workers],
    )  # fmt: skip
    yield _gauge(
        "busy_seconds", "While the engine works: since when.", ["node"],
        [((s.node,), _since_s(s.busy_since_ns, s.mono_ns)) for s in workers],
    )  # fmt: skip


def _cameras(view: NodeView) -> Iterator[Metric]:
    cameras = view.cameras()
    known = [(camera.name, camera.health) for camera in cameras if camera.health is not None]

    def family(name: str, help_text: str, rows: Iterable[_Row]) -> GaugeMetricFamily:
        return _gauge(f"camera_{name}", help_text, ["camera"], rows)

    yield family("alive", "1 while frames come.", [((c.name,), c.is_alive) for c in cameras])
    yield family("on_rate", "1 at 90 % of the rate.", [((n,), h.on_rate) for n, h in known])
    yield family("rate_hertz", "Frames a second.", [((n,), h.rate_hz) for n, h in known])
    yield family("expected_hertz", "As configured.", [((n,), h.expected_hz) for n, h in known])
    yield family(
        "last_frame_timestamp_seconds", "When the newest frame was captured.",
        [((c.name,), _seconds(c.last_frame_ns)) for c in cameras],
    )  # fmt: skip
    for name in ("gaps", "rejected"):
        total = CounterMetricFamily(
            f"{PREFIX}camera_{name}", f"Frames: {name}, in this session.", labels=["camera"]
        )
        for camera, health in known:
            total.add_metric([camera], getattr(health, name))
        yield total


def _readings(view: NodeView) -> Iterator[Metric]:
    current = view.current_answers()
    labels = ["watch", "camera"]
    gauges = [
        (seen, seen.answer.reading)
        for seen in current
        if isinstance(seen.answer.reading, GaugeReading) and seen.answer.reading.status == "ok"
    ]
    yield _gauge(
        "reading", "What a dial reads; left out while it is not read.", [*labels, "unit"],
        [((*_of(seen), reading.unit), reading.value) for seen, reading in gauges],
    )  # fmt: skip
    yield _gauge(
        "reading_sigma", "One standard deviation.", [*labels, "unit"],
        [((*_of(seen), reading.unit), reading.sigma) for seen, reading in gauges],
    )  # fmt: skip
    yield _gauge(
        "reading_confidence", "0 to 1.", labels,
        [(_of(seen), reading.confidence) for seen, reading in gauges],
    )  # fmt: skip
    yield _gauge(
        "clock_seconds", "Time on a 12-hour dial, since 12 o'clock.", labels,
        [(_of(seen), _dial_seconds(seen.answer.reading)) for seen in current],
    )  # fmt: skip
    yield _gauge(
        "count", "Things counted.", labels, [(_of(seen), seen.answer.count) for seen in current]
    )
    yield _gauge(
        "points", "Points found.", labels,
        [(_of(s), _found(s.answer)) for s in current],
    )  # fmt: skip
    yield _gauge(
        "answer_timestamp_seconds", "When the frame of the newest answer was captured.", labels,
        [(_of(seen), _seconds(seen.answer.frame.stamp_ns)) for seen in current],
    )  # fmt: skip


def _gauge(
    name: str, help_text: str, labels: Sequence[str], rows: Iterable[_Row]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(PREFIX + name, help_text, labels=labels)
    for values, value in rows:
        if value is not None:
            family.add_metric(list(values), float(value))
    return family


def _found(answer: Answer) -> int | None:
    return len(answer.points) if answer.task == "point" and not answer.reason else None


def _of(seen: SeenAnswer) -> tuple[str, str]:
    return seen.answer.watch, seen.answer.frame.camera


def _seconds(stamp_ns: int | None) -> float | None:
    return None if stamp_ns is None else stamp_ns / 1e9


def _since_s(since_ns: int | None, now_ns: int) -> float | None:
    return None if since_ns is None else max(0.0, (now_ns - since_ns) / 1e9)


def _dial_seconds(reading: object) -> float | None:
    if not isinstance(reading, ClockReading) or reading.hour is None or reading.status != "ok":
        return None
    return reading.hour * 3600 + (reading.minute or 0) * 60 + (reading.second or 0)

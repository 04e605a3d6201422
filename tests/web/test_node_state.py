"""`/health` and `/metrics` over real processes: loading, working, and losing parts."""

from __future__ import annotations

import http.client
import json
import signal
from pathlib import Path

import pytest
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families

import molmo_node
from molmo_node.client.news import NewsThread
from molmo_node.client.view import NodeView
from molmo_node.sinks.metrics import NodeMetrics
from molmo_node.web import health, metrics
from tests.support.waiting import wait_for
from tests.support.web_server import WebServer

pytestmark = pytest.mark.process

EXAMPLES = Path(molmo_node.__file__).parent / "examples"


def settings(model: str) -> dict:
    return {
        "cameras": [{"name": "bench", "source": str(EXAMPLES / "workshop_gauge"), "fps": 10}],
        "worker": {"model": model},
        "gauges": {"folder": str(EXAMPLES / "gauges")},
        "watches": [
            {"name": "pressure", "task": "read_gauge", "text": "workshop_gauge", "rate_hz": 5},
            {"name": "mugs", "task": "count", "text": "mugs", "rate_hz": 5},
        ],
    }


class Page:
    """The two routes, and what they say."""

    def __init__(self, run_dir: Path) -> None:
        self.view = NodeView()
        self.metrics = NodeMetrics(self.view)
        self._news = NewsThread(self._note, run_dir=run_dir)
        self._news.start()
        self._server = WebServer([*health.routes(self.view), *metrics.routes(self.metrics)])

    def _note(self, message) -> None:
        self.view.note(message)
        self.metrics.note(message)

    def get(self, path: str, accept: str = "") -> tuple[int, str, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=10)
        connection.request("GET", path, headers={"Accept": accept} if accept else {})
        response = connection.getresponse()
        found = response.status, response.read().decode(), response.headers["Content-Type"]
        connection.close()
        return found

    def health(self) -> tuple[int, dict]:
        status, body, _ = self.get("/health")
        return status, json.loads(body)

    def sample(self, name: str, **labels: str) -> float | None:
        _, body, _ = self.get("/metrics")
        for family in text_string_to_metric_families(body):
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    return sample.value
        return None

    def close(self) -> None:
        self._server.close()
        self._news.close()


@pytest.fixture
def page(run_dir):
    page = Page(run_dir)
    yield page
    page.close()


def start(stack, script: dict) -> None:
    answers = stack.file("script.yaml", yaml.safe_dump(script))
    config = str(stack.file("node.yaml", yaml.safe_dump(settings(f"scripted:{answers}"))))
    stack.start("camera", "camera", "--name", "bench", "-c", config)
    stack.start("worker", "worker", "-c", config)


def test_health_follows_a_node_from_nothing_to_loss(stack, page):
    assert page.health()[0] == 503
    assert page.get("/health/live")[0] == 200
    start(stack, {"load_s": 1.0, "answers": [{"task": "count", "count": 3}]})

    loading = wait_for(
        lambda: (found := page.health()[1])["state"] == "loading" and found, 15, "loading"
    )
    assert not loading["ready"]
    assert loading["detail"].startswith("loading")
    ready = wait_for(lambda: page.health()[1]["state"] == "ready" and page.health(), 15, "ready")
    assert ready[0] == 200
    assert ready[1]["cameras"][0]["alive"]

    stack.processes["camera"].send(signal.SIGKILL)
    degraded = wait_for(
        lambda: page.health()[1]["state"] == "degraded" and page.health(), 5, "a lost camera"
    )
    assert degraded[0] == 200
    assert degraded[1]["reasons"][0].startswith("camera bench: ")
    assert degraded[1]["cameras"][0]["last_frame_ns"] > 0

    stack.processes["worker"].send(signal.SIGKILL)
    wait_for(lambda: page.health()[0] == 503, 5, "a lost worker")


def test_metrics_show_what_is_read_and_leave_out_what_is_not(stack, page):
    start(stack, {"answers": [{"task": "count", "no_answer": "too dark"}]})

    value = wait_for(
        lambda: page.sample("molmo_node_reading", watch="pressure", unit="MPa"), 15, "a reading"
    )
    assert 0 <= value <= 1
    assert page.sample("molmo_node_up", node="worker", kind="worker") == 1
    assert page.sample("molmo_node_camera_alive", camera="bench") == 1
    assert page.sample("molmo_node_answers_total", camera="bench", task="count") >= 1
    assert page.sample("molmo_node_answers_empty_total", camera="bench", task="count") >= 1
    assert page.sample("molmo_node_count") is None
    assert page.sample("molmo_node_model_loaded_ratio") is None
    assert page.sample("molmo_node_topic_expected_hertz", topic="status") == 2
    assert page.sample("molmo_node_topic_expected_hertz", topic="answer") is None
    assert page.sample("molmo_node_work_total", kind="decode_forwards") is not None

    stack.processes["camera"].send(signal.SIGKILL)
    wait_for(lambda: page.sample("molmo_node_reading") is None, 8, "no stale reading")
    assert page.sample("molmo_node_camera_alive", camera="bench") == 0


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "application/openmetrics-text"),
        ("application/openmetrics-text;version=1.0.0,text/plain;q=0.1", "openmetrics"),
        ("text/plain;version=0.0.4", "text/plain"),
    ],
)
def test_metrics_are_open_metrics_unless_plain_text_is_asked_for(page, accept, kind):
    status, body, content_type = page.get("/metrics", accept)

    assert status == 200
    assert kind in content_type
    assert body.endswith("# EOF\n") == ("openmetrics" in content_type)

"""What breaks is seen within two seconds."""

from __future__ import annotations

import signal

import pytest

from tests.browser.conftest import look_at
from tests.support.http import page_url

pytestmark = [pytest.mark.browser, pytest.mark.process, pytest.mark.timeout(180)]

PROMISED_MS = 2000
SLACK_MS = 1000  # of a machine that is busy with other tests


def test_a_lost_camera_is_seen_and_its_return_too(page, node):
    node.stack.processes["camera.front"].send(signal.SIGKILL)

    page.wait_for_function(
        "() => document.getElementById('stage-note').textContent.startsWith('Camera lost')",
        timeout=PROMISED_MS + SLACK_MS,
    )
    assert page.get_attribute("#view", "data-stale") == "true"
    assert page.locator("#stage-note").get_attribute("data-kind") == "bad"

    node.stack.camera("front", "pattern:320x240@20")
    page.wait_for_function("() => document.getElementById('view').dataset.stale === 'false'")
    page.wait_for_function("() => document.getElementById('stage-note').hidden")


def test_a_worker_that_is_gone_is_a_problem_with_a_next_step(open_page, node):
    page = open_page("#node")
    page.wait_for_selector("text=Nothing is wrong")

    node.stack.processes["worker"].send(signal.SIGKILL)

    page.wait_for_selector("#problems >> text=worker: silent", timeout=PROMISED_MS + 2 * SLACK_MS)
    assert "molmo-node worker" in page.inner_text("#problems")
    assert page.get_attribute("#engine", "data-state") == "lost"


def test_a_server_that_is_gone_is_seen_and_its_return_too(page, node, faults):
    faults.allowed += ("net::ERR_", "WebSocket", "Failed to load")
    config, port = str(node.stack.folder / "page.yaml"), node.url.split(":")[-1].strip("/")

    node.process.send(signal.SIGKILL)

    page.wait_for_selector("#connection:not([hidden])", timeout=PROMISED_MS + SLACK_MS)
    page.wait_for_function("() => document.getElementById('view').dataset.stale === 'true'")
    assert "lost" in page.inner_text("#connection")

    node.process.wait()
    node.process = node.stack.start("page", "web", "-c", config, "--port", port)
    page_url(node.process)
    page.wait_for_selector("#connection[hidden]", state="attached")
    look_at(page, "front")

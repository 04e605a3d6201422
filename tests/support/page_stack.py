"""A running node with its page, for the tests of the page."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

import molmo_node
from tests.support.http import page_url, request
from tests.support.stack import Process, Stack
from tests.support.waiting import wait_for

EXAMPLES = Path(molmo_node.__file__).parent / "examples"
PHOTO = EXAMPLES / "workshop_gauge" / "photo_1.jpg"
HOSTILE = "<img src=x onerror=\"document.title='taken over'\">"
SCRIPT = {
    "answers": [
        {"task": "point", "text": "red mug", "points": [[100.25, 120.5, "red mug"]]},
        {"task": "point", "text": "corners", "points": [[0, 0, "a"], [320, 240, "b"]]},
        {"task": "ask", "text": "hostile?", "reply": HOSTILE},
        {"task": "point", "text": "hostile", "points": [[50, 60, HOSTILE]], "reply": HOSTILE},
        {"task": "ask", "reply": "a scripted answer"},
        {"task": "count", "count": 2, "points": [[10, 20, "bolt"], [30, 40, "bolt"]]},
        {"no_answer": "I was told nothing about this"},
    ]
}


@dataclass
class PageStack:
    """A camera, a scripted worker and the page."""

    stack: Stack
    process: Process
    url: str
    gauges: Path


@contextlib.contextmanager
def page_stack() -> Iterator[PageStack]:
    """Camera `front` (a pattern), camera `dial` (one photograph), a scripted worker, the page."""
    folder = Path(tempfile.mkdtemp(prefix="mp-"))
    run_dir = Path(tempfile.mkdtemp(prefix="mn-"))
    stack = Stack(folder, run_dir)
    gauges = folder / "gauges"
    gauges.mkdir()
    try:
        stack.camera("front", "pattern:320x240@20")
        stack.camera("dial", str(PHOTO))
        script = stack.file("script.yaml", yaml.safe_dump(SCRIPT))
        settings = {
            "gauges": {"folder": str(gauges)},
            "worker": {"model": f"scripted:{script}"},
        }
        config = stack.file("page.yaml", yaml.safe_dump(settings))
        stack.start("worker", "worker", "-c", str(config))
        process = stack.start("page", "web", "-c", str(config), "--port", "0")
        url = page_url(process)
        stack.wait_ready(stack.client(), "front", "dial")
        wait_for(lambda: _sees_all(url), 30, "a page that sees the worker and both cameras")
        yield PageStack(stack, process, url, gauges)
    finally:
        stack.close()
        shutil.rmtree(folder)
        shutil.rmtree(run_dir)


def _sees_all(url: str) -> bool:
    state = request(url, "/api/state").json
    alive = {camera["name"] for camera in state["cameras"] if camera["alive"]}
    return alive == {"front", "dial"} and state["worker"]["state"] in ("ready", "busy")

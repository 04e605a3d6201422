"""Debian's Chromium, driven by playwright; a page whose complaints fail the test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.page_stack import PageStack, page_stack

# --no-sandbox: needed when running as root. The others keep Chromium from calling home.
ARGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
PATIENCE_MS = 30_000


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next((found for name in names if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=ARGS, timeout=120_000)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def node() -> Iterator[PageStack]:
    """Cameras `front` and `dial`, a scripted worker, the page."""
    with page_stack() as node:
        yield node


class Faults(list[str]):
    """What pages complained about. A test that provokes complaints adds to `allowed` before."""

    allowed: tuple[str, ...] = ("ERR_ABORTED",)  # what was cut by leaving the page is no fault


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def open_page(chromium: Any, faults: Faults, node: PageStack) -> Iterator[Any]:
    """Opens pages of the node, with playwright's options for a new page."""
    pages = []

    def open_one(path: str = "", **options: Any) -> Any:
        page = chromium.new_page(**{"viewport": {"width": 1280, "height": 860}, **options})
        pages.append(page)
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: said.type == "error" and faults.append(said.text))
        page.on("requestfailed", lambda gone: faults.append(f"{gone.url}: {gone.failure}"))
        page.goto(node.url + path, wait_until="domcontentloaded")
        return page

    yield open_one
    for page in pages:
        page.close()
    real = [fault for fault in faults if not any(text in fault for text in faults.allowed)]
    assert not real, real


@pytest.fixture
def page(open_page: Any) -> Any:
    """The live view of camera `front`, moving."""
    page = open_page()
    look_at(page, "front")
    return page


def look_at(page: Any, camera: str) -> None:
    """Choose a camera and wait until its picture is on the screen."""
    page.click(f"[data-camera={camera}]")
    page.wait_for_selector(f"[data-camera={camera}][aria-pressed=true]")
    page.wait_for_function(
        "name => document.getElementById('view').dataset.seq > 0"
        " && document.getElementById('view').getAttribute('aria-label').includes(name)",
        arg=camera,
    )

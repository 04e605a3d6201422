"""Pictures of the live page for the README and the docs, made from a running node.

    molmo-node demo &                                          # or any other node with a page
    python tools/page_pictures.py http://127.0.0.1:8770 --out docs/pictures

Looks at the page as a visitor would, asks something, and writes `page_live.jpg` (light, with an
answer), `page_dark.jpg`, `page_phone.jpg`, `page_wizard.jpg` and `page_node.jpg`, each under
200 kB. Needs playwright and Debian's Chromium.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

MOST_BYTES = 200_000
ARGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync")
DESK = {"viewport": {"width": 1280, "height": 800}}
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True}
WAIT_MS = 60_000


def main() -> None:
    """Take all pictures."""
    options = arguments()
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        raise SystemExit("no Chromium here; on Debian: apt-get install chromium")
    options.out.mkdir(parents=True, exist_ok=True)
    scenes: dict[str, tuple[dict[str, Any], Callable[[Any, argparse.Namespace], None]]] = {
        "live": (DESK, asked),
        "dark": ({**DESK, "color_scheme": "dark"}, watched),
        "phone": (PHONE, asked),
        "wizard": (DESK, calibrating),
        "node": ({**DESK, "color_scheme": "dark"}, of_node),
    }
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(ARGS), timeout=WAIT_MS)
        for name, (look, scene) in scenes.items():
            page = browser.new_page(**look)
            page.set_default_timeout(WAIT_MS)
            scene(page, options)
            save(page, options.out / f"page_{name}.jpg")
            page.close()
        browser.close()


def arguments() -> argparse.Namespace:
    """The flags; what is asked must suit the node."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("url", help="the page's address, with ?token=… where one is needed")
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"))
    parser.add_argument("--camera", default="", help="which one is asked; else the first")
    parser.add_argument("--task", default="point")
    parser.add_argument("--text", default="the red mug")
    parser.add_argument("--watch", default="gauge", help="whose chart is shown")
    parser.add_argument("--dial", default="", help="which camera the wizard looks at")
    return parser.parse_args()


def open_view(page: Any, options: argparse.Namespace, view: str) -> None:
    """Open the page and go to a view."""
    page.goto(options.url, wait_until="domcontentloaded")
    page.wait_for_selector("#cameras button")
    page.click(f"nav [data-view={view}]")


def asked(page: Any, options: argparse.Namespace) -> None:
    """The live view with an answer drawn on its frame."""
    open_view(page, options, "live")
    if options.camera:
        page.click(f"[data-camera={options.camera}]")
    page.wait_for_function("() => document.getElementById('view').dataset.seq > 0")
    page.select_option("#task", options.task)
    page.fill("#question", options.text)
    page.press("#question", "Enter")
    page.wait_for_selector("#answer dl")
    page.wait_for_function("() => document.getElementById('view').dataset.drawn > 0")
    page.wait_for_selector("#history img")
    page.evaluate("document.activeElement.blur()")


def watched(page: Any, options: argparse.Namespace) -> None:
    """A watch with its chart and the frame of its last answer."""
    open_view(page, options, "watches")
    page.click(f"[data-watch={options.watch}]")
    page.wait_for_function("() => document.querySelector('.chart canvas')?.dataset.count > 5")
    page.wait_for_function("() => document.querySelector('.watch-seen canvas').width > 100")


def calibrating(page: Any, options: argparse.Namespace) -> None:
    """The wizard with what it proposes; without numbers read, with a frozen picture."""
    open_view(page, options, "calibrate")
    chosen = f"[data-source={options.dial}]" if options.dial else "[data-source] >> nth=0"
    page.click(chosen)
    page.wait_for_selector(".step[data-step='1'][data-done=true]")
    page.click("#propose")
    page.wait_for_selector("#marks li, .wizard .error")
    if page.locator("#marks li").count():
        page.click("#try")
        page.wait_for_selector("#trial-spread")
    page.evaluate("scrollTo(0, 0)")


def of_node(page: Any, options: argparse.Namespace) -> None:
    """The node page."""
    open_view(page, options, "node")
    page.wait_for_selector("#view-node table")


def save(page: Any, path: Path) -> None:
    """A screenshot, at the best quality that fits."""
    page.wait_for_timeout(700)
    for quality in (88, 80, 70, 60, 45):
        raw = page.screenshot(type="jpeg", quality=quality)
        if len(raw) < MOST_BYTES:
            path.write_bytes(raw)
            print(f"{path}: {len(raw) / 1000:.0f} kB at quality {quality}")
            return
    raise SystemExit(f"{path}: {len(raw)} bytes, at most {MOST_BYTES} allowed")


if __name__ == "__main__":
    main()

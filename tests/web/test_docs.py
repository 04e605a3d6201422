"""docs/page.md lists every route of the page, docs/http_api.md the others; none is left out."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

from molmo_node.config import WebSettings
from molmo_node.web.app import make_app
from molmo_node.web.guard import Access

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "page.md").read_text()
ELSEWHERE = (DOCS / "http_api.md").read_text()


def routes() -> set[str]:
    hub = SimpleNamespace(client=None, view=None, metrics=None)
    found = set()
    for route in make_app(hub, Access(None, frozenset())).routes:  # type: ignore[arg-type]
        path = re.sub(r"\{(\w+)(:\w+)?\}", lambda match: match[1].upper(), route.path)
        path = path.replace("/MODEL", "/NAME")  # as docs/http_api.md calls it
        methods = getattr(route, "methods", None) or {"WebSocket"}
        found |= {f"{method} {path}" for method in methods - {"HEAD"}}
    return found


def test_every_route_is_on_the_page_and_no_other():
    listed = re.findall(r"^\| `((?:GET|POST|PATCH|DELETE|WebSocket) /[^` ]*)` \|", PAGE, re.M)
    elsewhere = set(re.findall(r"`((?:GET|POST) /(?:v1|health|metrics)[^` ]*)`", ELSEWHERE))

    assert sorted(listed) == sorted(routes() - elsewhere)
    assert routes() >= elsewhere


def test_every_setting_of_the_page_is_explained():
    for name in WebSettings.model_fields:
        assert f"`web.{name}`" in PAGE, name

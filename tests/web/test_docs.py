"""docs/page.md lists every route, and no other."""

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
    app = make_app(SimpleNamespace(), Access(None, frozenset()))  # type: ignore[arg-type]
    found = set()
    for route in app.routes:
        path = re.sub(r"\{(\w+)(:\w+)?\}", lambda match: match[1].upper(), route.path)
        methods = getattr(route, "methods", None) or {"WebSocket"}
        found |= {f"{method} {path}" for method in methods - {"HEAD"}}
    return found


def test_every_route_is_on_the_page_and_no_other():
    listed = re.findall(r"^\| `((?:GET|POST|PATCH|DELETE|WebSocket) /[^` ]*)` \|", PAGE, re.M)
    elsewhere = set(re.findall(r"`((?:GET|POST) /(?:v1|health|metrics)[^` ]*)`", ELSEWHERE))

    assert sorted(listed) == sorted(routes() - elsewhere)
    assert {f"{verb} {path.replace('MODEL', 'NAME')}" for verb, path in map(str.split, routes())} >= elsewhere


def test_every_setting_of_the_page_is_explained():
    for name in WebSettings.model_fields:
        assert f"`web.{name}`" in PAGE, name

"""The page's own files, read once into memory: no request ever names a path."""

from __future__ import annotations

import hashlib
from importlib import resources

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
INDEX = "index.html"


class Assets:
    """Every file of the folder `page`, under its name."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[bytes, str, str]] = {}
        for file in (resources.files("molmo_node.web") / "page").iterdir():
            suffix = file.name[file.name.rfind(".") :]
            if suffix in _TYPES:
                body = file.read_bytes()
                etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
                self._files[file.name] = body, _TYPES[suffix], etag

    def table(self) -> list[BaseRoute]:
        """The page itself, and its files."""
        return [
            Route("/", self._index),
            Route("/page/{name}", self._named),
        ]

    async def _index(self, request: Request) -> Response:
        return self._reply(INDEX, request)

    async def _named(self, request: Request) -> Response:
        return self._reply(request.path_params["name"], request)

    def _reply(self, name: str, request: Request) -> Response:
        found = self._files.get(name)
        if found is None:
            return Response("no such file", 404, media_type="text/plain")
        body, media_type, etag = found
        headers = {"ETag": etag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        return Response(body, media_type=media_type, headers=headers)

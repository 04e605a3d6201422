"""Routes served by uvicorn on loopback, in a thread of the test."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.routing import BaseRoute

from molmo_node.web.openai_errors import unauthorized
from tests.support.waiting import wait_for


class WebServer:
    """Serves until `close`; with a token, it asks for it and refuses as the page does."""

    def __init__(self, routes: Sequence[BaseRoute], token: str = "") -> None:
        async def guard(request, call_next):
            is_known = request.headers.get("authorization") == f"Bearer {token}"
            return await call_next(request) if is_known else unauthorized()

        guards = [Middleware(BaseHTTPMiddleware, dispatch=guard)] if token else []
        app = Starlette(routes=list(routes), middleware=guards)
        config = uvicorn.Config(
            app, host="127.0.0.1", port=0, log_level="warning", lifespan="off", ws="none"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name="web")
        self._thread.start()
        wait_for(lambda: self._server.started, 10, "a web server")
        self.port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        assert not self._thread.is_alive(), "the web server does not stop"

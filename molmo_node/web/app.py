"""The application: every route behind one guard."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.middleware import Middleware

from molmo_node.errors import MolmoNodeError
from molmo_node.web import health, metrics, openai_api
from molmo_node.web.assets import Assets
from molmo_node.web.guard import Access, Guard
from molmo_node.web.hub import Hub
from molmo_node.web.replies import on_error
from molmo_node.web.routes import Routes


def make_app(hub: Hub, access: Access) -> Starlette:
    """The page and its HTTP interface.

    Args:
        hub: started and closed with the application.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await hub.start()
        try:
            yield
        finally:
            await hub.close()

    return Starlette(
        routes=[
            *Assets().table(),
            *Routes(hub).table(),
            *openai_api.routes(hub.client),
            *health.routes(hub.view),
            *metrics.routes(hub.metrics),
        ],
        middleware=[Middleware(Guard, access=access)],
        exception_handlers={MolmoNodeError: on_error},
        lifespan=lifespan,
    )

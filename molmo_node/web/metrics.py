"""`/metrics` of the page: the same metrics as those of the Prometheus sink."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from molmo_node.sinks.metrics import NodeMetrics


def routes(metrics: NodeMetrics) -> list[BaseRoute]:
    """`/metrics`, for a Prometheus that scrapes it."""

    def show(request: Request) -> Response:  # in a thread: a scrape must not hold up the page
        body, content_type = metrics.exposition(request.headers.get("accept", ""))
        return Response(body, headers={"Content-Type": content_type})

    return [Route("/metrics", show)]

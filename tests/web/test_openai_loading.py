"""OpenAI's API in front of a model that loads, and of nothing at all."""

from __future__ import annotations

import asyncio

import openai
import pytest

from molmo_node.client import AsyncClient
from molmo_node.web import openai_api
from tests.support.openai_node import question, serve, shut
from tests.support.web_server import WebServer

pytestmark = pytest.mark.process


def test_a_model_that_loads_is_busy(tmp_path, run_dir):
    served = serve(tmp_path, run_dir, {"load_s": 60})
    try:
        with served.openai() as client:
            with pytest.raises(openai.RateLimitError, match="still loading") as caught:
                client.chat.completions.create(model="tiny", messages=question("hm?"))
            assert int(caught.value.response.headers["retry-after"]) >= 1
            assert list(client.models.list()) == []
    finally:
        shut(served)


def test_without_a_worker_the_service_is_unavailable(run_dir):
    nobody = AsyncClient(run_dir=run_dir, connect_s=0.2)
    server = WebServer(openai_api.routes(nobody))
    try:
        with (
            openai.OpenAI(base_url=f"{server.url}/v1", api_key="-", max_retries=0) as client,
            pytest.raises(openai.InternalServerError) as refused,
        ):
            client.models.list()
        assert refused.value.status_code == 503
    finally:
        server.close()
        asyncio.run(nobody.close())

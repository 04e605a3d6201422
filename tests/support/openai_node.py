"""A node with OpenAI's API in front of it, and questions in OpenAI's form."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
from pathlib import Path

import numpy as np
import openai

from molmo_node import imaging
from molmo_node.client import AsyncClient
from molmo_node.web import openai_api
from tests.support.stack import Stack
from tests.support.web_server import WebServer

TOKEN = "s3cret-token"
JPEG = imaging.encode_jpeg(np.full((48, 64, 3), 128, np.uint8))


class Served:
    """A node of two cameras, and the API in front of it."""

    def __init__(self, stack: Stack, server: WebServer, client: AsyncClient) -> None:
        self.stack = stack
        self.server = server
        self.client = client

    def openai(self, **options) -> openai.OpenAI:
        options = {"api_key": TOKEN, "max_retries": 0, **options}
        return openai.OpenAI(base_url=f"{self.server.url}/v1", **options)

    def post(self, body: bytes) -> tuple[http.client.HTTPResponse, dict]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        connection.request("POST", "/v1/chat/completions", body, headers)
        response = connection.getresponse()
        found = json.loads(response.read())
        connection.close()
        return response, found


def serve(folder: Path, run_dir: Path, script: dict) -> Served:
    stack = Stack(folder, run_dir)
    stack.worker(script)
    client = AsyncClient(run_dir=run_dir, connect_s=30)
    return Served(stack, WebServer(openai_api.routes(client), TOKEN), client)


def shut(served: Served) -> None:
    served.server.close()
    asyncio.run(served.client.close())
    served.stack.close()


def question(text: str, image: bytes | None = JPEG) -> list[dict]:
    parts: list[dict] = [{"type": "text", "text": text}]
    if image is not None:
        url = f"data:image/jpeg;base64,{base64.b64encode(image).decode()}"
        parts.append({"type": "image_url", "image_url": {"url": url, "detail": "high"}})
    return [{"role": "user", "content": parts}]

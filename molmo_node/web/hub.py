"""Everything the page needs, for as long as it runs: the node's voice, its cameras, its memory."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Any

from molmo_node.bus.address import Address, node_address
from molmo_node.bus.sockets import Security, Transport
from molmo_node.client import AsyncClient
from molmo_node.client.view import NodeView
from molmo_node.config import Settings
from molmo_node.errors import MolmoNodeError
from molmo_node.messages import Answer, Status
from molmo_node.sinks.metrics import NodeMetrics
from molmo_node.web import views
from molmo_node.web.asking import Asker
from molmo_node.web.cameras import Feeds
from molmo_node.web.gpu import gpus
from molmo_node.web.history import History
from molmo_node.web.nodes import NodeBoard
from molmo_node.web.pictures import Pictures
from molmo_node.web.problems import problems
from molmo_node.web.replies import answer_json, json_bytes
from molmo_node.web.standing import Standing
from molmo_node.web.store import Store, data_file, row_of
from molmo_node.web.viewer import Viewer
from molmo_node.web.wizard import Wizard

log = logging.getLogger(__name__)

LOOK_S = 0.1
TELL_S = 0.5
FLUSH_S = 1.0
PRUNE_S = 3600.0
GPU_S = 5.0
RETRY_S = 2.0
MOST_VIEWERS = 64


class Hub:
    """Made and started inside the event loop; `close` ends all.

    Attributes:
        client: asks the worker.
        board: what every node said last, for the page.
        view: the same and the watches' answers, for `/health` and `/metrics`.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        security = Security(
            mode=settings.security.transport_security, keys_dir=settings.security.keys_dir
        )
        worker = (
            Address(settings.worker.endpoint)
            if settings.worker.endpoint
            else node_address(settings.run_dir, "worker")
        )
        self.store = Store(data_file(settings))
        self._transport = Transport(security)
        self.client = AsyncClient(worker.text, run_dir=settings.run_dir, security=security)
        self.view = NodeView()
        self.metrics = NodeMetrics(self.view)
        self.board = NodeBoard(self._transport, settings, worker, self._note)
        self.feeds = Feeds(self._transport, settings)
        self.pictures = Pictures()
        self.history = History()
        self.asker = Asker(self.client, self.feeds, self.pictures, self.history, settings)
        self.standing = Standing(self.client, self.store)
        self.wizard = Wizard(self.feeds, self.pictures, settings.gauges.folder)
        self.viewers: set[Viewer] = set()
        self._gpus: list[dict[str, Any]] = []
        self._newest: dict[str, dict[str, Any]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to listen."""
        await self.standing.load()
        for work in (self._look(), self._tell(), self._listen(), self._keep(), self._feel_gpus()):
            self._tasks.append(asyncio.create_task(work))

    async def close(self) -> None:
        """End everything; what was read is written."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.standing.close()
        await self.feeds.close()
        self.board.close()
        await self.client.close()
        await asyncio.to_thread(self._transport.close)
        await self.store.close()

    def state(self) -> dict[str, Any]:
        """The node now; `GET /api/state` and every half second's message."""
        cameras = [views.camera_json(feed, self.board) for feed in self.feeds]
        return {
            "type": "state",
            "at_ms": round(time.time() * 1e3),
            "worker": views.worker_json(self.board),
            "cameras": cameras,
            "watches": views.watches_json(self.board, self.standing),
            "processes": views.processes_json(self.board),
            "nodes": views.nodes_json(self.board),
            "gpus": self._gpus,
            "problems": problems(self.board, cameras),
            "history": self.history.revision,
            "gauges": self.wizard.names(),
            "can_save": self.wizard.can_save,
            "viewers": len(self.viewers),
        }

    async def serve(self, viewer: Viewer) -> None:
        """Serve one tab until it goes."""
        self.viewers.add(viewer)
        try:
            viewer.tell("state", json_bytes(self.state()).decode())
            for name, message in self._newest.items():
                viewer.tell(f"answer/{name}", json_bytes(message).decode())
            await viewer.run()
        finally:
            self.viewers.discard(viewer)

    async def _look(self) -> None:
        due_s = 0.0
        while True:
            self.board.look()
            if time.monotonic() >= due_s:
                due_s = time.monotonic() + TELL_S
                self.board.discover()
                self.feeds.discover()
            await asyncio.sleep(LOOK_S)

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(TELL_S)
            self._note_watched()
            if self.viewers:
                text = json_bytes(self.state()).decode()
                for viewer in self.viewers:
                    viewer.tell("state", text)

    def _note_watched(self) -> None:
        """An answer can only be shown on its frame if that was kept: none may be left out."""
        heard = self.board.worker
        specs = heard.status.watches if heard is not None else ()
        watched = {spec.camera or (self.feeds.names or [""])[0] for spec in specs}
        for feed in self.feeds:
            feed.needs_all = feed.name in watched

    async def _listen(self) -> None:
        while True:
            answers = self.client.answers()
            with contextlib.suppress(MolmoNodeError):
                async for answer in answers:
                    self._take(answer)
            await answers.close()
            await asyncio.sleep(RETRY_S)

    def _note(self, message: Answer | Status) -> None:
        self.view.note(message)
        self.metrics.note(message)

    def _take(self, answer: Answer) -> None:
        self._note(answer)
        if not answer.watch:
            return
        if (row := row_of(answer)) is not None:
            self.store.add(row)
        message = {"type": "answer", "answer": answer_json(answer)}
        self._newest.pop(answer.watch, None)
        self._newest[answer.watch] = message
        if len(self._newest) > 2 * MOST_VIEWERS:
            self._newest.pop(next(iter(self._newest)))
        text = json_bytes(message).decode()
        for viewer in self.viewers:
            viewer.tell(f"answer/{answer.watch}", text)

    async def _keep(self) -> None:
        pruned_s = -PRUNE_S
        while True:
            await asyncio.sleep(FLUSH_S)
            try:
                await self.store.flush()
                if time.monotonic() - pruned_s > PRUNE_S:
                    pruned_s = time.monotonic()
                    await self.store.prune(self.settings.web.keep_days)
            except Exception:  # a full disk must not end the page
                log.exception("readings cannot be kept")

    async def _feel_gpus(self) -> None:
        while True:
            self._gpus = await asyncio.to_thread(gpus)
            await asyncio.sleep(GPU_S)

"""Questions from the page: about the very picture that its asker sees."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
from typing import Any

import msgspec

from molmo_node.bus import limits
from molmo_node.client import AsyncClient
from molmo_node.config import Settings, default_run_dir
from molmo_node.errors import MolmoNodeError, NoAnswer, ProtocolError
from molmo_node.messages import Answer, Question, Roi, Task
from molmo_node.web.cameras import Feeds
from molmo_node.web.copy_as import copy_texts
from molmo_node.web.feed import Picture
from molmo_node.web.history import History, thumbnail
from molmo_node.web.pictures import Pictures, uploaded
from molmo_node.web.replies import answer_json, error_json
from molmo_node.worker.door import check_question

TIMEOUT_S = 60.0
MOST_OPEN = 16


class Ask(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /api/ask`.

    The picture is, in this order: `image` (base64 of a JPEG or PNG), `picture` (the id of one
    that was sent before), that of question `history`, the frame `session` and `seq` of
    `camera`, or its newest one.
    """

    task: Task
    text: str = ""
    camera: str = ""
    roi: Roi | None = None
    refine: bool = False
    schema: str | None = None
    session: str = ""
    seq: int | None = None
    picture: str = ""
    history: int | None = None
    image: str = ""
    timeout_s: float = TIMEOUT_S


class Asker:
    """Asks the worker, and keeps what was asked."""

    def __init__(
        self,
        client: AsyncClient,
        feeds: Feeds,
        pictures: Pictures,
        history: History,
        settings: Settings,
    ) -> None:
        self._client = client
        self._feeds = feeds
        self._pictures = pictures
        self._history = history
        self._run_dir = None if settings.run_dir == default_run_dir() else settings.run_dir
        self._open = asyncio.Semaphore(MOST_OPEN)
        self.address = ""
        self.needs_token = False

    async def ask(self, asked: Ask) -> dict[str, Any]:
        """Answer, or raise why not; both are kept in the history.

        Raises:
            MolmoNodeError: why there is no answer.
        """
        question = Question(
            task=asked.task,
            text=asked.text,
            roi=asked.roi,
            refine=asked.refine,
            schema=asked.schema,
        )
        check_question(question)
        if not 0 < asked.timeout_s <= limits.DEADLINE_MS / 1e3:
            raise ProtocolError(f"timeout_s {asked.timeout_s:g} is not in (0, 600]")
        picture = await self._picture(asked)
        async with self._open:
            return await self._ask(question, picture, asked.timeout_s)

    async def _ask(self, question: Question, picture: Picture, timeout_s: float) -> dict[str, Any]:
        camera = picture.ref.camera
        run_dir = self._run_dir
        fields: dict[str, Any] = {
            "question": msgspec.to_builtins(question),
            "camera": camera,
            "copy": copy_texts(question, camera, run_dir, self.address, self.needs_token),
        }
        try:
            answer = await self._client.query(question, image=picture.jpeg, timeout_s=timeout_s)
        except MolmoNodeError as exc:
            fields |= error_json(exc.code, exc.message, exc.hint)
            self._history.add(fields, picture, await self._thumb(picture, None))
            raise
        # The worker knows the picture by its bytes; which frame it is, is known here.
        answer = msgspec.structs.replace(answer, frame=picture.ref)
        fields["answer"] = answer_json(answer)
        entry = self._history.add(fields, picture, await self._thumb(picture, answer))
        return entry.as_json()

    async def _picture(self, asked: Ask) -> Picture:
        if asked.image:
            return await asyncio.to_thread(_decoded, asked.image)
        if asked.picture:
            return self._pictures.get(asked.picture)
        if asked.history is not None and (kept := self._history.get(asked.history).picture):
            return kept
        feed = self._feeds.get(asked.camera)
        if asked.seq is None:
            return await feed.newest()
        picture = feed.shelf.find(asked.session, asked.seq)
        if picture is None:
            raise NoAnswer(
                f"frame {asked.seq} of camera {feed.name} is not kept any more",
                hint="ask about the newest one: leave session and seq out",
            )
        return picture

    async def _thumb(self, picture: Picture, answer: Answer | None) -> bytes:
        with contextlib.suppress(ProtocolError):  # a camera's JPEG may be cut short
            return await asyncio.to_thread(thumbnail, picture, answer)
        return b""


def _decoded(text: str) -> Picture:
    try:
        body = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise ProtocolError("image is not base64", hint="`base64 -w0 picture.jpg`") from exc
    return uploaded(body)

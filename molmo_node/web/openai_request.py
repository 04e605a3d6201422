"""From the body of a chat completion to a question and a picture."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from molmo_node import imaging
from molmo_node.bus import limits
from molmo_node.errors import ProtocolError
from molmo_node.messages import Question, Task
from molmo_node.web.openai_errors import RequestRefused

DEADLINE_S = 60.0
LONGEST_DEADLINE_S = limits.DEADLINE_MS / 1e3
BODY_BYTES = limits.FRAME_BYTES * 4 // 3 + 1024 * 1024
"""One picture of the largest size in base64, and room for the text."""

_POINT = re.compile(r"(?:please )?point (?:to|at|out) (?P<text>.+?)[\s.!?]*", re.I | re.S)
_COUNT = re.compile(
    r"(?:how many (?P<things>.+?) (?:are there|are visible|do you see|can you see)\b.*"
    r"|count (?:all of the|all the|the|all) (?P<text>.+?))[\s.!?]*",
    re.I | re.S,
)
_DESCRIBE = re.compile(r"describe (?:this|the) (?:image|picture|photo|scene)[\s.!?]*", re.I)


class _ImageUrl(msgspec.Struct):
    url: str


class _Part(msgspec.Struct):
    type: str
    text: str = ""
    image_url: _ImageUrl | str | None = None


class _Message(msgspec.Struct):
    role: str
    content: str | list[_Part] | None = None


class _JsonSchema(msgspec.Struct):
    schema: dict[str, Any] | None = None


class _Format(msgspec.Struct):
    type: str = "text"
    json_schema: _JsonSchema | None = None


class _Chat(msgspec.Struct):
    model: str
    messages: Annotated[list[_Message], msgspec.Meta(min_length=1, max_length=1000)]
    stream: bool | None = None
    n: int | None = None
    response_format: _Format | None = None
    task: Task | None = None
    camera: str = ""
    deadline_s: Annotated[float, msgspec.Meta(gt=0, le=LONGEST_DEADLINE_S)] = DEADLINE_S


_CHAT = msgspec.json.Decoder(_Chat)
_KEYS = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True)
class ChatAsk:
    """What a chat completion asks of the node.

    Attributes:
        model: as the client named it, without a camera.
        image: a JPEG or PNG file; None: the camera's newest frame.
        camera: empty: the only one.
        ignored: what the request holds and nothing here uses.
    """

    model: str
    question: Question
    image: bytes | None
    camera: str
    deadline_s: float
    is_streamed: bool
    ignored: tuple[str, ...]


def parse_chat(body: bytes) -> ChatAsk:
    """Read a request of `/v1/chat/completions`.

    Raises:
        RequestRefused: what was found, what is expected.
    """
    chat, keys = _decoded(body)
    if (chat.n or 1) != 1:
        raise RequestRefused(f"n is {chat.n}, only 1 is given", reason="invalid_value", param="n")
    model, camera = _model_and_camera(chat)
    asked = [message for message in chat.messages if message.role == "user"]
    if not asked:
        raise RequestRefused(
            "there is no message of role user", reason="invalid_value", param="messages"
        )
    image = _picture(asked)
    question, is_text_used = _question(_text(asked[-1]), chat)
    ignored = sorted(keys - set(_Chat.__struct_fields__))
    if len(asked) < len(chat.messages) or len(asked) > 1:
        ignored.append("messages before the last question")
    if not is_text_used:
        ignored.append("text of the question")
    return ChatAsk(
        model, question, image, camera, chat.deadline_s, bool(chat.stream), tuple(ignored)
    )


def _decoded(body: bytes) -> tuple[_Chat, set[str]]:
    try:
        return _CHAT.decode(body), set(_KEYS.decode(body))
    except msgspec.ValidationError as exc:
        raise RequestRefused(
            f"not a chat completion: {exc}", reason="invalid_value", param=_param(str(exc))
        ) from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise RequestRefused(
            f"the body is no JSON: {str(exc)[:200]}",
            hint='send {"model": …, "messages": […]}',
            reason="invalid_json",
        ) from exc


def _param(message: str) -> str:
    found = re.search(r"`\$\.?([^`]*)`", message)
    return found[1] if found else ""


def _model_and_camera(chat: _Chat) -> tuple[str, str]:
    model, _, camera = chat.model.partition("@")
    if camera and chat.camera and camera != chat.camera:
        raise RequestRefused(
            f"model names camera {camera!r}, camera names {chat.camera!r}",
            hint="name it once",
            reason="invalid_value",
            param="camera",
        )
    return model, camera or chat.camera


def _text(message: _Message) -> str:
    if message.content is None or isinstance(message.content, str):
        return (message.content or "").strip()
    return "\n".join(part.text for part in message.content if part.type == "text").strip()


def _question(text: str, chat: _Chat) -> tuple[Question, bool]:
    """The question, and whether its text counts for anything."""
    form = chat.response_format
    if chat.task in (None, "extract") and form is not None and form.type != "text":
        schema = form.json_schema.schema if form.json_schema else None
        return Question.extract(None if schema is None else json.dumps(schema)), False
    if chat.task in ("describe", "extract"):
        return Question(task=chat.task), not text
    if chat.task is not None:
        return Question(task=chat.task, text=text), True
    if not text:
        raise RequestRefused(
            "the last user message holds no text",
            hint="ask something of the picture, or set task to describe",
            reason="invalid_value",
            param="messages",
        )
    return _in_our_words(text), True


def _in_our_words(text: str) -> Question:
    """Wordings that Molmo was trained on are questions with a typed answer."""
    if found := _POINT.fullmatch(text):
        return Question.point(found["text"])
    if found := _COUNT.fullmatch(text):
        return Question.count(found["things"] or found["text"])
    if _DESCRIBE.fullmatch(text):
        return Question.describe()
    return Question.ask(text)


def _picture(asked: Sequence[_Message]) -> bytes | None:
    """The newest picture of the conversation: a second question is about the same one."""
    for message in reversed(asked):
        parts = message.content if isinstance(message.content, list) else []
        if odd := [part.type for part in parts if part.type not in ("text", "image_url")]:
            raise RequestRefused(
                f"a part of type {odd[0][:40]!r}, expected text or image_url",
                reason="invalid_value",
                param="messages",
            )
        pictures = [part for part in parts if part.type == "image_url"]
        if len(pictures) > 1:
            raise RequestRefused(
                f"{len(pictures)} pictures in one message, expected one",
                hint="ask about one picture at a time",
                reason="invalid_value",
                param="messages",
            )
        if pictures:
            given = pictures[0].image_url
            return _image_of(given.url if isinstance(given, _ImageUrl) else given or "")
    return None


def _image_of(url: str) -> bytes:
    head, comma, data = url.partition(",")
    if not comma or not head.startswith("data:image/") or not head.endswith(";base64"):
        raise RequestRefused(
            f"image_url {url[:40]!r} is no data: URL; this node fetches nothing",
            hint="send data:image/jpeg;base64,… (JPEG or PNG), or no picture to ask a camera",
            reason="image_url_not_supported",
            param="messages",
        )
    if len(data) * 3 // 4 > limits.FRAME_BYTES + 2:
        raise too_large(len(data) * 3 // 4)
    try:
        image = base64.b64decode(data, validate=True)
        imaging.image_size(image, imaging.sniff(image))
    except (binascii.Error, ValueError) as exc:
        raise RequestRefused(
            "the picture is not base64", reason="invalid_image", param="messages"
        ) from exc
    except ProtocolError as exc:
        raise RequestRefused(
            exc.message, hint=exc.hint, reason="invalid_image", param="messages"
        ) from exc
    return image


def too_large(nbytes: int) -> RequestRefused:
    """The refusal of a picture, or of a body, of so many bytes."""
    return RequestRefused(
        f"picture of {nbytes} bytes or more, at most {limits.FRAME_BYTES} allowed",
        hint="send it smaller, or compressed",
        status=413,
        reason="picture_too_large",
        param="messages",
    )

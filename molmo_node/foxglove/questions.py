"""The service ``/ask``: a question from Foxglove's app, as JSON, and its answer."""

from __future__ import annotations

from typing import Annotated

import msgspec

from molmo_node.bus import limits
from molmo_node.client import Client
from molmo_node.errors import ProtocolError
from molmo_node.messages import Question, Roi, Task

SERVICE = "/ask"
Timeout = Annotated[float, msgspec.Meta(gt=0, le=limits.DEADLINE_MS / 1e3)]


class Ask(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question. `text`, `roi` and `refine` as in `messages.Question`."""

    task: Task = "point"
    text: str = ""
    camera: str = ""
    roi: Roi | None = None
    refine: bool = False
    timeout_s: Timeout = 10.0


_ASK = msgspec.json.Decoder(Ask)


def decode_ask(payload: bytes) -> Ask:
    """A request's JSON.

    Raises:
        ProtocolError: it is too long, or no question; says what was expected.
    """
    if len(payload) > limits.QUERY_BYTES:
        raise ProtocolError(
            f"request of {len(payload)} bytes, at most {limits.QUERY_BYTES} allowed"
        )
    try:
        return _ASK.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ProtocolError(
            f"no question: {str(exc).splitlines()[0][:200]}",
            hint='write {"task": "point", "text": "the red mug"}',
        ) from exc


def answer_to(client: Client, payload: bytes) -> bytes:
    """Ask the worker; the answer as JSON.

    Raises:
        MolmoNodeError: there is no answer; its children say why.
    """
    ask = decode_ask(payload)
    question = Question(task=ask.task, text=ask.text, roi=ask.roi, refine=ask.refine)
    answer = client.query(question, camera=ask.camera, timeout_s=ask.timeout_s)
    return msgspec.json.encode(answer)

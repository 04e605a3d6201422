"""From a person's line of text, or JSON, to a question. Needs no ROS."""

from __future__ import annotations

from typing import get_args

import msgspec

from molmo_node.bus import limits
from molmo_node.errors import ProtocolError
from molmo_node.messages import Question, Roi, Task

_TASKS = get_args(Task)
_EXAMPLE = 'write "point the red mug" or {"task": "point", "text": "the red mug"}'


def parse_question(text: str) -> Question:
    """Say what is asked: ``point the red mug``, ``read gauge boiler``, JSON, or any sentence.

    The first word is the task if it is one; any other text is a free question (``ask``).

    Raises:
        ProtocolError: empty, too long, or JSON that is no question.
    """
    text = text.strip()
    if not text or len(text.encode()) > limits.QUERY_BYTES:
        raise ProtocolError(f"question of {len(text)} characters", hint=_EXAMPLE)
    if text.startswith("{"):
        return _from_json(text)
    for task in _TASKS:
        for written in (task, task.replace("_", " ")):
            if text == written or text.startswith(written + " "):
                return make_question(task, text[len(written) :].strip())
    return make_question("ask", text)


def make_question(
    task: str, text: str, roi: tuple[int, int, int, int] | None = None, refine: bool = False
) -> Question:
    """A question of its parts; an empty `task` is a free question.

    Args:
        roi: x, y, width, height in pixels; None, or a width of 0, for the whole frame.

    Raises:
        ProtocolError: no such task, or one that needs a text has none.
    """
    task = task or "ask"
    if task not in _TASKS:
        raise ProtocolError(f"no task is named {task[:32]!r}", hint=f"tasks: {', '.join(_TASKS)}")
    if task in ("point", "count", "ask") and not text.strip():
        raise ProtocolError(f"{task} without a text", hint=_EXAMPLE)
    is_schema = task == "extract"
    box = Roi(x_px=roi[0], y_px=roi[1], width_px=roi[2], height_px=roi[3]) if roi else None
    return Question(
        task=task,  # type: ignore[arg-type]  # checked above
        text="" if is_schema else text,
        roi=box if box and box.width_px else None,
        refine=refine,
        schema=text or None if is_schema else None,
    )


def _from_json(text: str) -> Question:
    try:
        return msgspec.json.decode(text.encode(), type=Question)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ProtocolError(f"the JSON is no question: {exc}", hint=_EXAMPLE) from exc

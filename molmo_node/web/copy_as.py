"""A question as a command, as Python and as curl: what the page's *copy as* puts out."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import msgspec

from molmo_node.messages import Question, Roi

_COMMAND = {"read_gauge": ("read", "gauge"), "read_clock": ("read", "clock")}
_WITHOUT_TEXT = ("describe", "extract")


def copy_texts(
    question: Question, camera: str, run_dir: Path | None, address: str, needs_token: bool
) -> dict[str, str]:
    """The three texts, by the names ``cli``, ``python`` and ``curl``.

    Args:
        camera: empty for a picture of the asker's own, which has to be named by hand.
        run_dir: None for the default one.
        address: of the page, without a slash at its end.
    """
    return {
        "cli": as_command(question, camera, run_dir),
        "python": as_python(question, camera, run_dir),
        "curl": as_curl(question, camera, address, needs_token),
    }


def as_command(question: Question, camera: str, run_dir: Path | None) -> str:
    """A `molmo-node` command for a shell."""
    words = ["molmo-node", *_COMMAND.get(question.task, (question.task,))]
    words += ["--camera", camera] if camera else ["--image", "picture.jpg"]
    if question.roi is not None:
        words += [
            "--roi",
            ",".join(str(number) for number in msgspec.structs.astuple(question.roi)),
        ]
    if question.refine:
        words.append("--refine")
    if run_dir is not None:
        words += ["--run-dir", str(run_dir)]
    if question.text and question.task not in _WITHOUT_TEXT:
        words += ["--", question.text] if question.text.startswith("-") else [question.text]
    line = shlex.join(words)
    # The option wants a file; bash and zsh make one of a command's output.
    return f"{line} --schema <(echo {shlex.quote(question.schema)})" if question.schema else line


def as_python(question: Question, camera: str, run_dir: Path | None) -> str:
    """A program that asks with `Client`."""
    values = [repr(question.text)] if question.task not in _WITHOUT_TEXT and question.text else []
    if question.schema:
        values.append(repr(question.schema))
    values += [f"roi={_roi_code(question.roi)}"] if question.roi is not None else []
    values += ["refine=True"] if question.refine else []
    values += [f"camera={camera!r}"] if camera else ['image=Path("picture.jpg").read_bytes()']
    lines = [
        *([] if camera else ["from pathlib import Path", ""]),
        "from molmo_node.client import Client",
        *(["from molmo_node.messages import Roi"] if question.roi is not None else []),
        "",
        f"with Client({'' if run_dir is None else f'run_dir={str(run_dir)!r}'}) as client:",
        f"    answer = client.{question.task}({', '.join(values)})",
        f"    print({_PRINTED.get(question.task, 'answer.text')})",
    ]
    return "\n".join(lines) + "\n"


_PRINTED = {
    "point": "[(point.x_px, point.y_px) for point in answer.points]",
    "count": "answer.count",
    "read_gauge": "answer.reading",
    "read_clock": "answer.reading",
    "extract": "answer.data",
}


def as_curl(question: Question, camera: str, address: str, needs_token: bool) -> str:
    """A request to `POST /api/ask`."""
    fields: dict[str, Any] = {"task": question.task}
    fields |= {"text": question.text} if question.text else {}
    fields |= {"camera": camera} if camera else {}
    if question.roi is not None:
        fields["roi"] = msgspec.to_builtins(question.roi)
    fields |= {"refine": True} if question.refine else {}
    fields |= {"schema": question.schema} if question.schema else {}
    words = ["curl", "-s", f"{address}/api/ask", "-H", "Content-Type: application/json"]
    token = ' -H "Authorization: Bearer $MOLMO_NODE_TOKEN"' if needs_token else ""
    if camera:
        return f"{shlex.join(words)}{token} -d {shlex.quote(json.dumps(fields))}"
    head = json.dumps(fields)[:-1] + ', "image": "'
    body = f"(printf %s {shlex.quote(head)}; base64 -w0 picture.jpg; printf '\"}}')"
    return f"{body} | {shlex.join(words)}{token} -d @-"


def _roi_code(roi: Roi) -> str:
    return (
        f"Roi(x_px={roi.x_px}, y_px={roi.y_px}, width_px={roi.width_px}, height_px={roi.height_px})"
    )

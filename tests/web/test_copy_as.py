"""What *copy as* puts out can be run as it is."""

from __future__ import annotations

import ast
import json
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from molmo_node.messages import Question, Roi
from molmo_node.web.copy_as import as_command, as_curl, as_python, copy_texts

ROI = Roi(x_px=1, y_px=2, width_px=64, height_px=48)
NASTY = 'it\'s "$(touch /tmp/x)" `id` \\ \n; rm'
QUESTIONS = [
    Question.point("the red mug", roi=ROI, refine=True),
    Question.count("bolts"),
    Question.ask(NASTY),
    Question.ask("-rf"),
    Question.describe(roi=ROI),
    Question.extract('{"type": "object"}'),
    Question.read_gauge("boiler"),
    Question.read_gauge(),
    Question.read_clock(),
]
asked = pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: f"{q.task} {q.text[:4]}")


@asked
def test_a_command_names_the_verb_the_camera_and_the_text_as_one_word(question):
    line = as_command(question, "front", Path("/tmp/a b"))
    words = shlex.split(line.partition(" --schema <(")[0])

    assert words[0] == "molmo-node"
    assert words[words.index("--camera") + 1] == "front"
    assert words[words.index("--run-dir") + 1] == "/tmp/a b"
    if question.text:
        assert words[-1] == question.text
        assert (words[-2] == "--") == question.text.startswith("-")
    assert ("--roi" in words) == (question.roi is not None)


@asked
@pytest.mark.parametrize("camera", ["front", ""])
def test_python_parses_and_asks_with_the_clients_own_verb(question, camera):
    tree = ast.parse(as_python(question, camera, None))

    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    verbs = [call for call in calls if ast.unparse(call.func) == f"client.{question.task}"]
    assert len(verbs) == 1
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    assert not question.text or question.text in texts


@asked
def test_curl_sends_the_question(question):
    words = shlex.split(as_curl(question, "front", "http://127.0.0.1:8765", needs_token=False))

    sent = json.loads(words[words.index("-d") + 1])
    assert sent["task"] == question.task
    assert sent["camera"] == "front"
    assert sent.get("text", "") == question.text


def test_curl_with_a_picture_of_ones_own_sends_it_in_base64(tmp_path):
    line = as_curl(Question.ask(NASTY), "", "http://127.0.0.1:1", needs_token=False)
    (tmp_path / "picture.jpg").write_bytes(b"\xff\xd8\xff picture")
    body = line.partition(" | curl")[0]

    sent = subprocess.run(["sh", "-c", body], cwd=tmp_path, capture_output=True, check=True).stdout

    assert json.loads(sent) == {"task": "ask", "text": NASTY, "image": "/9j/IHBpY3R1cmU="}
    assert shutil.which("base64")


def test_a_token_is_named_by_its_variable_and_never_written_out():
    texts = copy_texts(Question.describe(), "front", None, "http://robot:8765", needs_token=True)

    assert "Bearer $MOLMO_NODE_TOKEN" in texts["curl"]

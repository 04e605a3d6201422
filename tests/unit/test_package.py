"""What `import molmo_node` gives, and that it loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import molmo_node

IMAGE = np.zeros((64, 96, 3), np.uint8)


@pytest.mark.parametrize("name", molmo_node.__all__)
def test_every_public_name_is_there(name):
    assert getattr(molmo_node, name) is not None


def test_an_engine_answers_in_process_without_any_node(tmp_path):
    script = tmp_path / "answers.yaml"
    script.write_text("answers: [{task: point, points: [[12.5, 20.0, mug]]}]")

    engine = molmo_node.load_engine(f"scripted:{script}")
    reply = engine.ask(engine.encode(IMAGE), [molmo_node.Question.point("mug")])[0]

    assert [(point.x_px, point.y_px) for point in reply.points] == [(12.5, 20.0)]


def test_readers_answer_in_process():
    assert molmo_node.instruments.read_gauges(IMAGE)[0].value is None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nothing_like_this"):
        molmo_node.nothing_like_this  # noqa: B018


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, molmo_node; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()

    assert not {"zmq", "numpy", "cv2", "torch", "pydantic", "typer", "av"} & set(loaded)

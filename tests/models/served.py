"""For tests of a whole node: a model that points by the picture, and what it must answer.

    folder = make_pointing_molmo.make(tmp_path / "pointing")
    for picture in block_pictures(4):
        want = direct_points(folder, picture, "disc", max_crops=2)
        # camera → ZeroMQ → worker --model FOLDER --max-crops 2 → subscriber must give the same

The direct answer uses neither the engine nor its decoding: the class, the library's greedy
`generate`, and the parser.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from molmo_node.errors import NoAnswer
from molmo_node.messages import Point, Question
from molmo_node.models.answers import percent_points
from molmo_node.models.prompts import prompt_for


def block_pictures(count: int, width: int = 320, height: int = 240) -> list[NDArray[np.uint8]]:
    """Pictures of a few large coloured blocks, on which the pointing model answers differently."""
    pictures = []
    for number in range(count):
        blocks = np.random.RandomState(100 + number).randint(0, 256, (3, 4, 3)).astype(np.uint8)
        rows = np.arange(height) * 3 // height
        columns = np.arange(width) * 4 // width
        pictures.append(np.ascontiguousarray(blocks[rows][:, columns]))
    return pictures


@cache
def _loaded(folder: Path):
    from molmo_node.models.molmo import MolmoForConditionalGeneration, MolmoProcessor

    model = MolmoForConditionalGeneration.from_pretrained(folder).eval()
    return model, MolmoProcessor.from_pretrained(folder)


def direct_points(
    folder: Path, picture: NDArray[np.uint8], text: str, *, max_crops: int | None = None
) -> tuple[Point, ...]:
    """The points that the class itself says, in pixels of the picture."""
    model, processor = _loaded(folder)
    prompt = prompt_for(Question.point(text), "percent")
    inputs = processor(images=[picture], text=prompt, max_crops=max_crops)
    said = model.generate(**inputs, max_new_tokens=32, do_sample=False)
    answer = processor.decode(said[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    height, width = picture.shape[:2]
    points = percent_points(answer, width, height)
    assert not isinstance(points, NoAnswer), points
    return points

"""Answers about a picture file, in this process: the verbs' `--image` without a node."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from molmo_node.clock import SYSTEM_CLOCK
from molmo_node.errors import MolmoNodeError
from molmo_node.messages import Answer, FrameRef, Question

if TYPE_CHECKING:
    from molmo_node.config import Settings


def answer_file(settings: Settings, path: Path, question: Question) -> Answer:
    """Answer one question about one picture file.

    Raises:
        MolmoNodeError: why there is no answer.
    """
    from molmo_node import imaging
    from molmo_node.cli.session import read_picture
    from molmo_node.worker.loading import make_answerer

    body = read_picture(path)
    encoding = imaging.sniff(body)
    width, height = imaging.image_size(body, encoding)
    image = imaging.decode_rgb(body, encoding, width, height)
    clock = SYSTEM_CLOCK
    frame = FrameRef(
        camera=path.name, session="file", seq=0, stamp_ns=clock.wall_ns(), mono_ns=clock.mono_ns()
    )
    result = make_answerer(settings).answer(image, frame, [question])[0]
    if isinstance(result, MolmoNodeError):
        raise result
    return result

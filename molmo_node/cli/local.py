"""Answers about a picture file, in this process: the verbs' `--image` without a node."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from molmo_node.clock import SYSTEM_CLOCK
from molmo_node.errors import ConfigError, MolmoNodeError
from molmo_node.messages import Answer, FrameRef, Question

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from molmo_node.config import Settings


def answer_file(settings: Settings, path: Path, question: Question) -> Answer:
    """Answer one question about one picture file.

    Raises:
        MolmoNodeError: why there is no answer.
    """
    from molmo_node.worker.loading import make_answerer

    image = load_picture(path)
    clock = SYSTEM_CLOCK
    frame = FrameRef(
        camera=path.name, session="file", seq=0, stamp_ns=clock.wall_ns(), mono_ns=clock.mono_ns()
    )
    result = make_answerer(settings).answer(image, frame, [question])[0]
    if isinstance(result, MolmoNodeError):
        raise result
    return result


def save_marked(path: Path, answer: Answer, out: Path) -> None:
    """Write the picture with the answer drawn in, as JPEG or PNG by the name's ending.

    Raises:
        ConfigError: another ending, or the file cannot be written.
    """
    from molmo_node import imaging
    from molmo_node.overlay import draw_answer

    marked = draw_answer(load_picture(path), answer)
    try:
        out.write_bytes(imaging.encode(marked, out.suffix))
    except OSError as exc:
        raise ConfigError(f"--out {out}: {exc.strerror}") from exc


def load_picture(path: Path) -> NDArray[np.uint8]:
    """A JPEG or PNG file as ``(H, W, 3) uint8, rgb8``.

    Raises:
        ConfigError: it cannot be read.
        ProtocolError: it is no picture, damaged, or outside the limits.
    """
    from molmo_node import imaging

    try:
        body = path.read_bytes()
    except OSError as exc:
        reason = (exc.strerror or str(exc)).lower()
        raise ConfigError(f"picture {path}: {reason}", hint="check the path") from exc
    encoding = imaging.sniff(body)
    return imaging.decode_rgb(body, encoding, *imaging.image_size(body, encoding))

"""A served Molmo gives the pixels that its class gives when it is called directly.

A served model once lost the order of its patches: captions stayed fluent, every point was wrong.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from molmo_node import imaging
from tests.support.stack import Stack

pytestmark = [pytest.mark.process, pytest.mark.model, pytest.mark.timeout(180)]

PICTURES = 3
MAX_CROPS = 2


def test_points_through_the_node_are_those_of_the_class(stack: Stack, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from tests.models.served import block_pictures, direct_points
    from tools import make_pointing_molmo

    folder = make_pointing_molmo.make(tmp_path / "pointing")
    pictures = block_pictures(PICTURES)
    frames = tmp_path / "frames"
    frames.mkdir()
    for number, picture in enumerate(pictures):
        (frames / f"{number}.png").write_bytes(imaging.encode(picture, ".png"))
    expected = [direct_points(folder, one, "disc", max_crops=MAX_CROPS) for one in pictures]
    stack.start("camera", "camera", "--name", "front", "--source", str(frames), "--fps", "4")
    stack.worker(model=str(folder), max_crops=MAX_CROPS, device="cpu")
    client = stack.client(connect_s=60)
    stack.wait_ready(client, "front")

    answers = [client.point("disc", frame="next", timeout_s=60) for _ in range(2 * PICTURES)]

    assert len({answer.frame.seq % PICTURES for answer in answers}) > 1
    for answer in answers:
        wanted = expected[answer.frame.seq % PICTURES]
        assert [(p.x_px, p.y_px) for p in answer.points] == [(p.x_px, p.y_px) for p in wanted]
        assert answer.model != "none"

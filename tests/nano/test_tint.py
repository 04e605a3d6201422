"""A colour's name holds back patches that contradict it, and no others."""

from __future__ import annotations

import random

import numpy as np
import pytest

from molmo_node.messages import Question
from molmo_node.sim.colors import COLORS, pick_rgb

pytestmark = pytest.mark.model
torch = pytest.importorskip("torch")
from molmo_node.models.nano import NanoEngine  # noqa: E402
from molmo_node.models.nano.network import Nano  # noqa: E402
from molmo_node.models.nano.tint import color_shares, favor  # noqa: E402

FAR = {
    "red": "green", "orange": "blue", "yellow": "purple", "green": "pink", "blue": "yellow",
    "purple": "orange", "pink": "blue", "brown": "blue", "black": "white", "white": "black",
    "gray": "orange",
}  # fmt: skip


def painted(color: str, seed: int, tint=(1.0, 1.0, 1.0)) -> np.ndarray:
    rgb = np.array(pick_rgb(random.Random(seed), color)) * tint
    return np.full((84, 84, 3), np.clip(rgb, 0, 255), np.uint8)


@pytest.mark.parametrize("color", COLORS)
def test_a_colour_is_called_by_its_name_under_a_workshops_lamps(color):
    lamps = ((1, 1, 1), (1.08, 1, 0.92), (0.92, 1, 1.08), (0.85, 0.85, 0.85))
    pictures = [painted(color, seed, lamp) for seed in range(40) for lamp in lamps]

    shares = [float(color_shares(picture, color).mean()) for picture in pictures]

    assert np.mean(shares) > 0.95


@pytest.mark.parametrize("color", COLORS)
def test_a_far_colour_is_not_called_so(color):
    assert all(color_shares(painted(FAR[color], seed), color).max() == 0 for seed in range(40))


def test_no_colour_favours_nothing_and_each_question_has_its_row():
    picture = np.concatenate((painted("red", 1)[:, :42], painted("blue", 1)[:, :42]), 1)

    none, red, blue = favor(picture, ["", "red", "blue"]).view(3, 6, 6)

    assert not none.any()
    assert red[:, :3].eq(0).all()
    assert blue[:, 3:].eq(0).all()
    assert red[:, 4:].max() < -3.5  # the fourth column touches the red one
    assert blue[:, :2].max() < -3.5


@pytest.mark.parametrize(("color", "is_left"), [("red", True), ("blue", False)])
def test_even_an_untrained_network_points_where_the_colour_is(color, is_left):
    torch.manual_seed(0)
    model = Nano().eval()
    with torch.no_grad():
        model.stop.bias.fill_(-9.0)
    picture = np.zeros((200, 200, 3), np.uint8)
    picture[:, :100], picture[:, 100:] = (200, 20, 20), (20, 40, 200)
    engine = NanoEngine(model)

    reply = engine.ask(engine.encode(picture), [Question.point(f"the {color} mug")])[0]

    assert (reply.points[0].x_px < 108) if is_left else (reply.points[0].x_px > 92)

"""Rendered things: what the rays see, how views are painted, and pictures made of them."""

from __future__ import annotations

import random
import sys
import zipfile

import numpy as np
import pytest

pytestmark = pytest.mark.model
pytest.importorskip("torch")
pytest.importorskip("embreex", reason="no wheel of Embree for this machine")
from molmo_node.errors import ConfigError  # noqa: E402
from molmo_node.sim.scene import matching  # noqa: E402
from tools import make_cutouts  # noqa: E402
from tools.nano_training import catalogue, cutouts, forms  # noqa: E402
from tools.nano_training.collage import make_collage  # noqa: E402
from tools.nano_training.cutouts import Cutout  # noqa: E402
from tools.nano_training.drawing import RecipeBatches  # noqa: E402
from tools.nano_training.layers import painted, stacked  # noqa: E402
from tools.nano_training.questions import reading_questions  # noqa: E402
from tools.nano_training.raytrace import Lamps, Viewpoint, render  # noqa: E402
from tools.nano_training.recipe import FROM_NOTHING  # noqa: E402
from tools.nano_training.solid import Piece, fitted, read_solid, turned  # noqa: E402

LAMPS = Lamps(np.array((0.0, 1.0, 0.0)), 0.6, 0.5, 0.2, np.array((0.0, 1.0, 0.0)), 0.02)
LEVEL = Viewpoint(above_deg=0, around_deg=0, away=5)
CUBE = "mtllib cube.mtl\nusemtl red\n" + "\n".join(
    [f"v {x} {y} {z}" for x in (0, 2) for y in (0, 2) for z in (0, 2)]
    + ["f 1 2 4", "f 1 4 3", "f 5 7 8", "f 5 8 6", "f 1 5 6", "f 1 6 2"]
    + ["f 3 4 8", "f 3 8 7", "f 1 3 7", "f 1 7 5", "f 2 6 8", "f 2 8 4"]
)


def ball_view(side_px: int = 64):
    ball = fitted(forms.ball(random.Random(3)))
    return render(ball, LEVEL, LAMPS, side_px, seed=1)


@pytest.fixture(scope="module")
def library():
    made = [
        view
        for noun in forms.FORMS
        for seed in (1, 2)
        for view in make_cutouts._look(noun, forms.make(noun, random.Random(seed)), seed)
    ]
    company = [Cutout("", cutout.layers_hwc) for cutout in made if cutout.noun == "lamp"]
    by_noun: dict[str, list[Cutout]] = {}
    for cutout in made + company:
        by_noun.setdefault(cutout.noun, []).append(cutout)
    return by_noun


def test_a_ball_fills_its_circle_and_is_lit_from_above():
    view = ball_view()
    height, width = view.cover.shape

    assert height == pytest.approx(64, abs=2)
    assert (view.cover > 127).mean() == pytest.approx(np.pi / 4, abs=0.02)
    middle = view.light[:, width // 2 - 4 : width // 2 + 4].astype(float)
    assert middle[4:12].mean() > 1.5 * middle[-12:-4].mean()


def test_a_bowl_shades_its_own_inside():
    wall = [(0.0, -0.5), (1.0, -0.5), (1.0, 0.3), (0.95, 0.3), (0.95, -0.4), (0.0, -0.4)]
    low_sun = Lamps(np.array((0.0, 0.6, 0.8)), 0.9, 0.1, 0.2, LAMPS.window, 0.02)
    above = Viewpoint(above_deg=89, around_deg=0, away=9)

    view = render(fitted([Piece(turned(wall))]), above, low_sun, 96, seed=1)

    inside = view.light[24:72, 30:66].astype(float)
    assert inside[-16:].mean() < 0.5 * inside[:16].mean()  # the near wall throws its shadow there


def test_only_paintable_parts_take_the_colour():
    apple = forms.make("apple", random.Random(1))
    layers = stacked(render(apple, LEVEL, LAMPS, 96, seed=1))

    green = painted(layers, (20.0, 200.0, 20.0))

    solid = layers[..., 6] > 250
    body, stalk = solid & (layers[..., 5] > 250), solid & (layers[..., 5] < 5)
    assert (green[body][:, 1] > green[body][:, 0]).mean() > 0.97
    assert (green[stalk][:, 1] <= green[stalk][:, 0]).mean() > 0.9


@pytest.mark.parametrize("noun", forms.FORMS)
def test_every_form_is_seen_and_can_be_painted(noun):
    views = [make_cutouts._look(noun, forms.make(noun, random.Random(s)), s) for s in range(4)]

    layers = np.concatenate([view.layers_hwc.reshape(-1, 7) for some in views for view in some])
    solid = layers[layers[:, 6] > 127]

    assert all(views)
    assert (solid[:, 5] > 127).mean() > 0.25


def test_a_model_file_is_read_with_its_paint(tmp_path):
    (tmp_path / "cube.obj").write_text(CUBE)
    (tmp_path / "cube.mtl").write_text("newmtl red\nKd 0.8 0.1 0.1\n")

    (piece,) = read_solid(tmp_path / "cube.obj")

    assert piece.rgb == pytest.approx((0.8, 0.1, 0.1), abs=0.01)
    assert piece.paintable
    assert np.linalg.norm(piece.mesh.vertices, axis=1).max() == pytest.approx(1)


def test_libraries_give_named_things_and_company_but_nothing_that_looks_like_a_name(tmp_path):
    entries = {"bowl": "Bowl", "sofa": "Sofa", "vase1": "Vase"}
    lines = [f"name#{n}={title}\nmodel#{n}=/x/{folder}/{folder}.obj"
             for n, (folder, title) in enumerate(entries.items())]  # fmt: skip
    for library in catalogue._LIBRARIES:
        with zipfile.ZipFile(tmp_path / f"{library}.sh3f", "w") as archive:
            archive.writestr("PluginFurnitureCatalog.properties", "\n".join(lines))
            for folder in entries:
                archive.writestr(f"x/{folder}/{folder}.obj", CUBE)

    catalogue.unpack(tmp_path, tmp_path / "open")
    found = {(model.noun, model.path.stem) for model in catalogue.models(tmp_path / "open")}

    assert found == {("bowl", "bowl"), ("", "sofa")}


def test_a_missing_library_is_named_with_where_to_get_it(tmp_path, monkeypatch, capsys):
    arguments = ["make_cutouts", "--libraries", str(tmp_path), "--out", str(tmp_path / "x.npz")]
    monkeypatch.setattr(sys, "argv", arguments)

    assert make_cutouts.main() == 1
    assert "sweethome3d-furniture" in capsys.readouterr().err


def test_a_file_of_cutouts_comes_back(tmp_path, library):
    cutouts.save(tmp_path / "c.npz", [library["mug"][0], *library[""]])

    back = cutouts.load(tmp_path / "c.npz")

    assert {noun: len(some) for noun, some in back.items()} == {"mug": 1, "": len(library[""])}
    assert np.array_equal(back["mug"][0].layers_hwc, library["mug"][0].layers_hwc)


@pytest.mark.parametrize("content", [b"", b"no archive"])
def test_another_file_is_refused(tmp_path, content):
    (tmp_path / "c.npz").write_bytes(content)

    with pytest.raises(ConfigError, match="not a file of cut-outs"):
        cutouts.load(tmp_path / "c.npz")


def test_collages_tell_the_truth(library):
    scenes = [make_collage(seed, library, 252, 189) for seed in range(30)]

    things = [(scene, thing) for scene in scenes for thing in scene.things if thing.is_clear]
    assert len(things) > 60
    assert {thing.noun for _, thing in things} >= {"scrap", "mug", "bowl", "book", "lamp"}
    for scene, thing in things:
        assert scene.instance_hw[int(thing.y_px), int(thing.x_px)] == thing.number
        if not thing.color:
            assert all(matching(scene, color, thing.noun) is None for color in thing.other_colors)


def test_a_collage_depends_on_its_seed_alone(library):
    first, again, other = (make_collage(seed, library, 168, 168) for seed in (5, 5, 6))

    assert np.array_equal(first.image_hwc, again.image_hwc)
    assert first.things == again.things
    assert not np.array_equal(first.image_hwc, other.image_hwc)


def test_a_watch_of_unknown_time_is_not_asked_for_it(library):
    views = {"clock": [Cutout("clock", library["ball"][0].layers_hwc)], "": library[""]}
    scenes = [make_collage(seed, views, 168, 168) for seed in range(12)]

    told = [scene for scene in scenes if scene.clocks]
    untold = [scene for scene in scenes if not scene.clocks and not scene.gauges]
    assert told
    assert untold
    for scene in told:  # a clock that hangs there alone: no watch lies beside it
        assert [thing.noun for thing in scene.things].count("clock") == 1
    for scene in untold:
        assert any(thing.noun == "clock" for thing in scene.things)
        assert [asked.phrase.noun for asked in reading_questions(scene)] == ["gauge"]


def test_the_last_stages_say_that_they_need_rendered_things():
    def collages_in(step: int) -> float:
        stage, inside = FROM_NOTHING.stage_at(step)
        return stage.turn_at(inside).collages

    step = next(step for step in range(FROM_NOTHING.total_steps, 0, -1) if collages_in(step))

    with pytest.raises(ConfigError, match="--cutouts FILE") as caught:
        RecipeBatches()(1, step)
    assert "needs rendered things" in str(caught.value)

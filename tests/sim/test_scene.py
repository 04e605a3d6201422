"""Scenes are the same for the same seed, and their truth is what is drawn."""

from __future__ import annotations

import random

import numpy as np
import pytest

from molmo_node.sim.colors import COLORS
from molmo_node.sim.objects import Light, Placed
from molmo_node.sim.scene import Scene, Thing, add_things, make_scene, matching
from molmo_node.sim.solids import View
from molmo_node.sim.things import THINGS, UNNAMED

KINDS = ("objects", "clock", "gauge", "mixed", "cluttered")


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_the_same_scene_again(kind):
    first, second = make_scene(5, kind, 336, 252), make_scene(5, kind, 336, 252)

    assert np.array_equal(first.image_hwc, second.image_hwc)
    assert np.array_equal(first.instance_hw, second.instance_hw)
    assert first.things == second.things


@pytest.mark.parametrize("kind", KINDS)
def test_other_seeds_give_other_scenes(kind):
    pictures = {make_scene(seed, kind, 168, 168).image_hwc.tobytes() for seed in range(8)}

    assert len(pictures) == 8


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_is_contiguous_rgb8_of_the_size_asked_for(kind):
    scene = make_scene(1, kind, 200, 168)

    assert scene.image_hwc.shape == (168, 200, 3)
    assert scene.image_hwc.dtype == np.uint8
    assert scene.image_hwc.flags.c_contiguous
    assert scene.instance_hw.shape == (168, 200)


def test_every_clear_things_point_lies_in_its_own_mask():
    points = [
        (scene, thing)
        for seed in range(25)
        for scene in [make_scene(seed, "objects")]
        for thing in scene.things
        if thing.is_clear
    ]

    inside = [scene.instance_hw[int(t.y_px), int(t.x_px)] == t.number for scene, t in points]

    assert len(inside) > 60
    assert all(inside)


def test_no_dial_covers_another_ones_centre():
    for seed in range(60):
        scene = make_scene(seed, "mixed")
        for thing in scene.things:
            if thing.noun in ("clock", "gauge"):
                assert scene.instance_hw[int(thing.y_px), int(thing.x_px)] == thing.number


def test_all_things_and_colors_appear():
    things = [t for seed in range(150) for t in make_scene(seed, "objects", 252, 252).things]

    assert {t.noun for t in things} == {*THINGS, UNNAMED}
    assert {t.color for t in things} == set(COLORS)


def _painted_hue_share(color: str, expected) -> float:
    """Share of a thing's pixels that pass `expected`, over the scenes where it is clear."""
    shares = []
    for seed in range(120):
        scene = make_scene(seed, "objects", 252, 252)
        for thing in scene.things:
            if thing.color == color and thing.noun == "circle" and thing.is_clear:
                rgb = scene.image_hwc[scene.instance_hw == thing.number].astype(int)
                shares.append(float(expected(rgb).mean()))
    return float(np.median(shares))


def test_a_red_circle_is_red_and_a_blue_one_blue():
    red = _painted_hue_share("red", lambda rgb: rgb[:, 0] > rgb[:, 1:].max(1) + 15)
    blue = _painted_hue_share("blue", lambda rgb: rgb[:, 2] > rgb[:, :2].max(1) + 10)

    assert red > 0.8
    assert blue > 0.8


def _scene_of(*things: Thing, scrap_colors: frozenset[str] = frozenset()) -> Scene:
    empty = np.zeros((4, 4), np.uint8)
    return Scene(np.zeros((4, 4, 3), np.uint8), empty, list(things), scrap_colors=scrap_colors)


MUG = Thing(1, "mug", "red", frozenset(), 1, 1)
BOTTLE = Thing(2, "bottle", "red", frozenset({"white"}), 2, 2)
CLOCK = Thing(3, "clock", "", frozenset({"black"}), 3, 3)


@pytest.mark.parametrize(
    ("color", "noun", "expected"),
    [
        ("red", "mug", [MUG]),
        ("red", "", [MUG, BOTTLE]),
        ("", "bottle", [BOTTLE]),
        ("blue", "mug", []),
        ("", "star", []),
        ("", "clock", [CLOCK]),
        ("white", "", None),
        ("black", "clock", None),
        ("", "", None),
    ],
)
def test_a_question_matches_what_is_there_or_is_unfair(color, noun, expected):
    assert matching(_scene_of(MUG, BOTTLE, CLOCK), color, noun) == expected


@pytest.mark.parametrize("color", ["", "black", "white", "gray", "brown"])
def test_scraps_make_muted_colours_alone_unfair(color):
    scene = _scene_of(MUG, scrap_colors=frozenset({"", "black", "white", "gray", "brown"}))

    assert matching(scene, color, "") is None
    assert matching(scene, "red", "") == [MUG]
    assert matching(scene, color, "mug") == ([MUG] if not color else [])


def test_in_a_cluttered_room_only_what_has_a_name_is_asked_for():
    scene = make_scene(3, "cluttered")

    assert all(matching(scene, color, "") is None for color in ("", *COLORS))
    assert any(matching(scene, "", noun) for noun in THINGS)


def test_a_hardly_visible_thing_makes_the_question_unfair():
    hidden = Thing(4, "mug", "green", frozenset(), 0, 0, is_clear=False)

    assert matching(_scene_of(MUG, hidden), "", "mug") is None
    assert matching(_scene_of(MUG, hidden), "red", "mug") == [MUG]


def test_a_thing_in_the_colour_of_its_background_is_not_asked_for():
    gray, red = (120, 120, 120), (200, 20, 20)
    clear = []
    for rgb in (gray, red):
        image = np.full((120, 120, 3), gray, np.uint8)
        scene = Scene(image, np.zeros((120, 120), np.uint8))
        place = Placed("circle", "gray", rgb, 60, 60, 30, 1)
        add_things(random.Random(0), scene, [place], View(0.8), Light(0.0, -1.0, 0.0))
        clear.append(scene.things[0].is_clear)

    assert clear == [False, True]


def test_the_scene_does_not_touch_the_global_generators():
    random.seed(3)
    before = random.getstate()

    make_scene(9, "mixed")

    assert random.getstate() == before

"""ROS parameters, and questions written by people."""

from __future__ import annotations

import pytest
import yaml

from molmo_node.errors import ConfigError, ProtocolError
from molmo_node.messages import Question, Roi
from molmo_node.ros2.parameters import BridgeParameters, described, parse, refusal
from molmo_node.ros2.questions import make_question, parse_question
from tests.ros2.environments import ROOT


def flat(tree, prefix=""):
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def test_dotted_names_make_watches_and_limits():
    given = parse(
        {
            "camera_name": "front", "watches.mug.text": "the red mug", "watches.mug.rate_hz": 2,
            "watches.mug.roi": [10, 20, 300, 200], "watches.boiler.task": "read_gauge",
            "watches.off.text": "x", "watches.off.rate_hz": 0.0,
            "watches.label.task": "extract", "watches.label.answer_schema": '{"type": "object"}',
            "limits.boiler.warn_above": 8, "use_sim_time": True, "qos_overrides./x": 1,
        }
    )  # fmt: skip

    specs = given.specs()

    assert set(specs) == {"mug", "boiler", "label"}
    assert (specs["mug"].rate_hz, specs["mug"].camera) == (2.0, "front")
    assert specs["mug"].question.roi == Roi(x_px=10, y_px=20, width_px=300, height_px=200)
    assert specs["boiler"].question == Question.read_gauge("")
    assert specs["label"].question.schema == '{"type": "object"}'
    assert given.limits["boiler"].warn_above == 8.0


def test_defaults_stand_and_are_all_described():
    assert parse({}) == BridgeParameters()
    assert parse({name: default for name, (default, _) in described().items()}) == parse({})
    assert all(text for _, text in described().values())


@pytest.mark.parametrize(
    ("topic", "type_", "is_compressed", "info"),
    [
        ("/cam/image_raw/compressed", "auto", True, "/cam/camera_info"),
        ("/cam/image_raw", "auto", False, "/cam/camera_info"),
        ("image/compressed", "auto", True, "camera_info"),
        ("/image", "compressed", True, "/camera_info"),
        ("cam/image/compressed", "raw", False, "cam/camera_info"),
    ],
)
def test_type_and_camera_info_follow_the_image_topic(topic, type_, is_compressed, info):
    given = parse({"image_topic": topic, "image_type": type_})

    assert (given.is_compressed, given.info_topic) == (is_compressed, info)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"watchs.mug.text": "x"}, "did you mean watches?"),
        ({"watches.mug.txt": "x"}, "did you mean watches.mug.text?"),
        ({"watches.mug.rate_hz": 2.0}, "a text for the task point"),
        ({"watches.mug.task": "jump"}, "'point', 'count'"),
        ({"watches.Mug.text": "x"}, "a-z, 0-9"),
        ({"watches.mug": "x"}, "watches.mug"),
        ({"watches": "x", "watches.mug.text": "y"}, "watches is a value, not a group"),
        ({"watches.mug.task": "extract", "watches.mug.answer_schema": "{"}, "a JSON schema"),
        ({f"watches.w{n}.text": "x" for n in range(17)}, "at most 16"),
        ({"image_topic": "/a b"}, "image_topic"),
        ({"depth_radius_px": -1}, "greater than or equal to 0"),
        ({"limits.boiler.warn_abov": 1.0}, "did you mean limits.boiler.warn_above?"),
        ({"timeout_s": "soon"}, "valid number"),
    ],
)
def test_a_wrong_parameter_is_named_with_what_was_expected(values, says):
    with pytest.raises(ConfigError) as caught:
        parse(values)

    assert says in str(caught.value)


def test_a_change_is_judged_with_what_stands_and_topics_only_while_inactive():
    now = {"watches.mug.text": "the red mug", "image_topic": "/a"}

    assert refusal(now, {"watches.mug.rate_hz": 5.0}, is_active=True) is None
    assert refusal(now, {"watches.mug.text": None}, is_active=True) is None
    assert "less than or equal to 30" in refusal(now, {"watches.mug.rate_hz": 99.0}, True)
    assert "deactivate it first" in refusal(now, {"image_topic": "/b"}, is_active=True)
    assert refusal(now, {"image_topic": "/b"}, is_active=False) is None


def test_the_shipped_parameters_file_is_right():
    path = ROOT / "launch" / "ros2" / "parameters.yaml"
    tree = yaml.safe_load(path.read_text())["/**"]["ros__parameters"]

    given = parse(dict(flat(tree)))

    assert given.specs()
    assert given.limits


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("point the red mug", Question.point("the red mug")),
        ("count bolts", Question.count("bolts")),
        ("read gauge boiler", Question.read_gauge("boiler")),
        ("read_clock", Question.read_clock()),
        ("describe", Question.describe()),
        ("extract", Question.extract()),
        ('extract {"type": "object"}', Question.extract('{"type": "object"}')),
        ("is the door open?", Question.ask("is the door open?")),
        ("pointers are what?", Question.ask("pointers are what?")),
        ('{"task": "point", "text": "mug", "refine": true}', Question.point("mug", refine=True)),
    ],
)
def test_a_line_of_text_is_a_question(text, question):
    assert parse_question(text) == question


@pytest.mark.parametrize(
    "text", ["", "  ", "point", "{", '{"task": "jump"}', "{" * 9000, "x" * 20000]
)
def test_what_is_no_question_is_refused_with_an_example(text):
    with pytest.raises(ProtocolError) as caught:
        parse_question(text)

    assert "point the red mug" in caught.value.hint


def test_parts_make_a_question():
    box = Roi(x_px=1, y_px=2, width_px=40, height_px=50)

    assert make_question("", "why?") == Question.ask("why?")
    assert make_question("point", "mug", (1, 2, 40, 50), True) == Question.point(
        "mug", roi=box, refine=True
    )
    assert make_question("describe", "", (0, 0, 0, 0)) == Question.describe()
    with pytest.raises(ProtocolError, match="no task is named 'jump'"):
        make_question("jump", "")

"""From a chat completion's body to a question: any bytes in, a question or a refusal out."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from molmo_node.messages import Question
from molmo_node.web.openai_errors import RequestRefused
from molmo_node.web.openai_request import ChatAsk, parse_chat
from tests.support.openai_node import JPEG, question

WORDS = st.sampled_from(
    ["model", "messages", "role", "user", "content", "text", "type", "image_url", "url", "n",
     "stream", "task", "point", "response_format", "json_schema", "schema", "deadline_s", "camera",
     "data:image/jpeg;base64,", "data:image/png;base64,AAAA", "http://x/"]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=20,
)


def check(body: bytes) -> None:
    try:
        found = parse_chat(body)
    except RequestRefused as exc:
        found = exc.status
    assert found in (400, 413) or isinstance(found, ChatAsk)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_question_or_a_refusal(body):
    check(body)


@given(JSON)
def test_any_json_is_a_question_or_a_refusal(tree):
    check(json.dumps(tree).encode())


@given(JSON)
def test_any_content_of_a_message_is_a_question_or_a_refusal(tree):
    message = {"role": "user", "content": tree}

    check(json.dumps({"model": "m", "messages": [message]}).encode())


def ask(text: str, **fields) -> ChatAsk:
    return parse_chat(
        json.dumps({"model": "m", "messages": question(text, None), **fields}).encode()
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Point to the red mug.", Question.point("the red mug")),
        ("please point at all bolts!", Question.point("all bolts")),
        ("Point out the\nvalve", Question.point("the\nvalve")),
        ("point", Question.ask("point")),
        ("What is the point of this?", Question.ask("What is the point of this?")),
        ("How many bolts are there?", Question.count("bolts")),
        ("how many red mugs can you see in the picture?", Question.count("red mugs")),
        ("Count the mugs.", Question.count("mugs")),
        ("Count all of the mugs", Question.count("mugs")),
        ("How many?", Question.ask("How many?")),
        ("Describe this image.", Question.describe()),
        ("Describe the pump", Question.ask("Describe the pump")),
    ],
)
def test_wordings_with_a_typed_answer_are_recognised_and_all_others_are_free(text, expected):
    assert ask(text).question == expected


def test_a_task_that_is_named_wins_over_the_wording():
    assert ask("Point to it", task="ask").question == Question.ask("Point to it")
    assert ask("boiler", task="read_gauge").question == Question.read_gauge("boiler")
    found = ask("whatever", task="describe")
    assert found.question == Question.describe()
    assert found.ignored == ("text of the question",)


def test_a_camera_can_stand_behind_the_model_or_beside_it_and_not_differ():
    assert ask("hm?", model="m@front").camera == ask("hm?", camera="front").camera == "front"
    assert ask("hm?", model="m@front", camera="front").model == "m"
    with pytest.raises(RequestRefused, match="name it once"):
        ask("hm?", model="m@front", camera="hall")


def test_the_newest_picture_counts_and_two_in_one_message_do_not():
    old, new = JPEG, JPEG + b"\xff\xd9"
    body = {"model": "m", "messages": [*question("a", old), *question("b", new)]}
    assert parse_chat(json.dumps(body).encode()).image == new

    twice = question("a", old)
    twice[0]["content"].append(twice[0]["content"][1])
    with pytest.raises(RequestRefused, match="2 pictures in one message"):
        parse_chat(json.dumps({"model": "m", "messages": twice}).encode())


@pytest.mark.parametrize("form", [{"type": "text"}, None])
def test_plain_text_is_no_schema(form):
    assert ask("hm?", response_format=form).question == Question.ask("hm?")


def test_any_json_is_extract_without_a_schema():
    assert ask("hm?", response_format={"type": "json_object"}).question == Question.extract()

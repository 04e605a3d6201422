"""The official `openai` client against a real worker process."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import threading
from pathlib import Path

import numpy as np
import openai
import pytest

from molmo_node import imaging
from molmo_node.bus import limits
from molmo_node.web import openai_api
from tests.support.openai_node import JPEG, TOKEN, question, serve, shut
from tests.support.waiting import wait_for

pytestmark = pytest.mark.process

SCRIPT = {
    "name": "tiny",
    "answers": [
        {"task": "point", "text": "the red mug", "points": [[32.0, 12.0, "mug"]]},
        {"task": "count", "text": "mugs", "count": 2, "points": [[6.4, 12, "m"], [32, 24, "m"]]},
        {"task": "ask", "text": "where?", "reply": 'There: <point x="50.0" y="25.0" alt="cup">'},
        {"task": "ask", "text": "slow?", "reply": "late", "delay_s": 20},
        {"task": "ask", "text": "broken?", "fault": "error"},
        {"task": "ask", "text": "hidden?", "no_answer": "it cannot be seen"},
        {"task": "ask", "reply": "a bench"},
        {"task": "describe", "reply": "a grey picture"},
        {"task": "extract", "data": {"serial": "A-17"}, "reply": "{}"},
    ],
}
SCHEMA = {"type": "object", "properties": {"serial": {"type": "string"}}, "required": ["serial"]}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    run_dir = Path(tempfile.mkdtemp(prefix="mn-"))
    node = serve(tmp_path_factory.mktemp("node"), run_dir, SCRIPT)
    node.stack.camera("front")
    node.stack.camera("hall", "pattern:160x120@30")
    node.stack.wait_ready(node.stack.client(), "front", "hall")
    yield node
    shut(node)
    shutil.rmtree(run_dir)


@pytest.fixture
def client(served):
    with served.openai() as client:
        yield client


def test_a_question_about_a_picture_is_answered(client):
    done = client.chat.completions.create(model="tiny", messages=question("What is this?"))

    assert done.choices[0].message.content == "a bench"
    assert done.choices[0].finish_reason == "stop"
    assert done.model == "tiny"
    assert done.molmo_node["width"] == 64
    assert done.molmo_node["frame"]["camera"] == ""
    assert "decode_forwards" in done.molmo_node["work"]


def test_points_stand_in_the_text_as_molmo_writes_them_and_in_pixels_beside_it(client):
    done = client.chat.completions.create(model="tiny", messages=question("Point to the red mug."))

    text = '<point x="50.0" y="25.0" alt="mug">mug</point>'
    assert done.choices[0].message.content == text
    assert done.molmo_node["points"] == [{"x_px": 32.0, "y_px": 12.0, "label": "mug"}]
    assert done.molmo_node["task"] == "point"


def test_points_in_a_free_answer_become_pixels(client):
    done = client.chat.completions.create(model="tiny", messages=question("where?"))

    assert "<point" in done.choices[0].message.content
    assert done.molmo_node["points"] == [{"x_px": 32.0, "y_px": 12.0, "label": "cup"}]


def test_counting_gives_number_and_points(client):
    done = client.chat.completions.create(
        model="tiny", messages=question("How many mugs are there?")
    )

    assert done.molmo_node["count"] == 2
    assert 'x1="10.0" y1="25.0" x2="50.0" y2="50.0"' in done.choices[0].message.content


def test_without_a_picture_the_named_camera_is_asked(client):
    by_field = client.chat.completions.create(
        model="tiny", messages=question("hm?", None), extra_body={"camera": "hall"}
    )
    by_model = client.chat.completions.create(model="tiny@front", messages=question("hm?", None))

    assert by_field.molmo_node["frame"]["camera"] == "hall"
    assert by_field.molmo_node["width"] == 160
    assert by_model.molmo_node["frame"]["camera"] == "front"


def test_without_a_picture_or_a_name_two_cameras_are_a_clear_refusal(client):
    with pytest.raises(openai.BadRequestError, match=r"front.*hall"):
        client.chat.completions.create(model="tiny", messages=question("hm?", None))


def test_the_picture_of_an_earlier_turn_still_counts_and_the_rest_is_named_as_ignored(client):
    messages = [
        {"role": "system", "content": "You are helpful."},
        *question("What is this?"),
        {"role": "assistant", "content": "a bench"},
        {"role": "user", "content": "Describe the image."},
    ]

    done = client.chat.completions.create(model="tiny", messages=messages, temperature=0.7)

    assert done.choices[0].message.content == "a grey picture"
    assert done.molmo_node["width"] == 64
    assert done.molmo_node["ignored"] == ["temperature", "messages before the last question"]


def test_a_schema_asks_for_json(client):
    form = {"type": "json_schema", "json_schema": {"name": "plate", "schema": SCHEMA}}

    done = client.chat.completions.create(
        model="tiny", messages=question("The plate?"), response_format=form
    )

    assert json.loads(done.choices[0].message.content) == {"serial": "A-17"}
    assert done.molmo_node["task"] == "extract"


def test_no_answer_is_a_refusal_and_says_why(client):
    done = client.chat.completions.create(model="tiny", messages=question("hidden?"))

    assert done.choices[0].message.refusal == "it cannot be seen"
    assert done.choices[0].message.content == "no answer: it cannot be seen"


def test_a_stream_carries_the_answer_and_ends(client):
    chunks = list(
        client.chat.completions.create(model="tiny", messages=question("hm?"), stream=True)
    )

    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "a bench"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert chunks[0].molmo_node["task"] == "ask"


def test_models_are_the_engine_and_the_engine_through_each_camera(client):
    names = [model.id for model in client.models.list()]

    assert names == ["tiny", "tiny@front", "tiny@hall"]
    assert client.models.retrieve("tiny@hall").owned_by == "molmo_node"


def test_an_unknown_model_is_not_found(client):
    with pytest.raises(openai.NotFoundError, match=r"'gpt-9' does not run here.*tiny") as caught:
        client.chat.completions.create(model="gpt-9", messages=question("hm?"))
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-9")


@pytest.mark.parametrize("token", ["wrong", TOKEN + "x"])
def test_a_wrong_token_lets_nobody_in(served, token):
    with (
        served.openai(api_key=token) as client,
        pytest.raises(openai.AuthenticationError, match="no token, or a wrong one"),
    ):
        client.models.list()


def test_a_picture_above_the_limit_is_too_large(client):
    big = JPEG + bytes(limits.FRAME_BYTES)

    with pytest.raises(openai.APIStatusError, match="16777216 allowed") as caught:
        client.chat.completions.create(model="tiny", messages=question("hm?", big))

    assert caught.value.status_code == 413
    assert caught.value.code == "picture_too_large"


def test_a_body_far_above_the_limit_is_refused_and_the_next_one_is_answered(client):
    huge = JPEG + bytes(2 * limits.FRAME_BYTES)

    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model="tiny", messages=question("hm?", huge))

    assert caught.value.status_code == 413
    assert client.chat.completions.create(model="tiny", messages=question("hm?")).choices


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/a.jpg", "https://x.test/a.jpg", "/etc/passwd"])
def test_nothing_is_fetched(client, url):
    part = {"type": "image_url", "image_url": {"url": url}}

    with pytest.raises(openai.BadRequestError, match="this node fetches nothing"):
        client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": [part]}])


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (b"GIF89a" + bytes(50), "neither JPEG nor PNG"),
        (JPEG[:20], "JPEG|jpeg"),
        (imaging.encode_jpeg(np.zeros((16, 64, 3), np.uint8)), "64x16 px"),
    ],
)
def test_what_is_no_usable_picture_is_refused(client, picture, said):
    with pytest.raises(openai.BadRequestError, match=said) as caught:
        client.chat.completions.create(model="tiny", messages=question("hm?", picture))
    assert caught.value.code == "invalid_image"


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        (b"{", "invalid_json", "the body is no JSON"),
        (b"\xff\xfe", "invalid_json", "no JSON"),
        (b"[" * 100_000, "invalid_json|invalid_value", "."),
        (b"{}", "invalid_value", "missing required field `model`"),
        (b'{"model":"tiny","messages":[]}', "invalid_value", r"length >= 1"),
        (b'{"model":"tiny","messages":[{"role":"user","content":7}]}', "invalid_value", "messages"),
        (b'{"model":"tiny","messages":[{"role":"system","content":"a"}]}', "invalid_value", "user"),
        (b'{"model":"tiny","messages":[{"role":"user","content":" "}]}', "invalid_value", "text"),
        (b'{"model":"t","n":2,"messages":[{"role":"user","content":"a"}]}', "invalid_value", "n"),
        (
            b'{"model":"t","deadline_s":1e9,"messages":[{"role":"user","content":"a"}]}',
            "invalid_value",
            "deadline_s",
        ),
    ],
)
def test_malformed_requests_get_an_error_in_openais_shape(served, body, code, said):
    response, found = served.post(body)

    assert response.status == 400
    assert re.fullmatch(code, found["error"]["code"])
    assert re.search(said, found["error"]["message"])
    assert found["error"]["type"] == "invalid_request_error"


def test_a_deadline_that_passes_is_told(client):
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(
            model="tiny", messages=question("slow?"), extra_body={"deadline_s": 0.3}
        )
    assert caught.value.status_code == 504
    assert caught.value.code == "deadline_exceeded"


def test_an_engine_that_fails_is_a_server_error(client):
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model="tiny", messages=question("broken?"))
    assert (caught.value.status_code, caught.value.code) == (500, "model_error")


def test_many_open_questions_make_the_next_one_busy_and_leaving_frees_the_place(served, client):
    ask = {"model": "tiny", "messages": question("slow?"), "extra_body": {"deadline_s": 15}}
    askers = [served.openai() for _ in range(openai_api.AT_ONCE)]

    def ask_and_leave(asker: openai.OpenAI) -> None:
        with pytest.raises(openai.APITimeoutError):
            asker.with_options(timeout=2.0).chat.completions.create(**ask)

    threads = [threading.Thread(target=ask_and_leave, args=(asker,)) for asker in askers]
    for thread in threads:
        thread.start()

    def refused() -> openai.RateLimitError | None:
        try:
            client.models.list()
            client.chat.completions.create(**{**ask, "extra_body": {"deadline_s": 0.05}})
        except openai.RateLimitError as exc:
            return exc
        except openai.InternalServerError:
            return None
        return None

    busy = wait_for(refused, 5, "a refusal")
    for thread in threads:
        thread.join()
    for asker in askers:
        asker.close()

    assert busy.code == "busy"
    assert int(busy.response.headers["retry-after"]) >= 1

    def answered() -> bool:
        try:
            done = client.chat.completions.create(model="tiny", messages=question("hm?"))
        except openai.RateLimitError:
            return False
        return done.choices[0].message.content == "a bench"

    assert wait_for(answered, 5, "the places of those who left")

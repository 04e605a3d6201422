"""The page's HTTP interface, asked by a stranger who speaks nothing but HTTP."""

from __future__ import annotations

import base64
import csv
import io
import json
import subprocess
import sys
import time

import pytest

from molmo_node.bus import limits
from tests.support.http import page_url, request
from tests.support.page_stack import PHOTO
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

JPEG = "image/jpeg"


def ask(node, **fields):
    return request(node.url, "/api/ask", "POST", fields)


def test_an_answer_names_the_frame_that_was_asked_about_and_how_to_ask_again(node):
    reply = ask(node, task="point", text="red mug", camera="front")

    entry = reply.json
    assert reply.status == 200
    assert entry["answer"]["points"] == [{"x_px": 100.25, "y_px": 120.5, "label": "red mug"}]
    assert entry["answer"]["frame"]["camera"] == "front"
    assert entry["answer"]["model"] == "scripted"
    assert set(entry["copy"]) == {"cli", "python", "curl"}
    picture = request(node.url, f"/api/history/{entry['id']}/picture.jpg")
    assert picture.headers["x-frame-seq"] == str(entry["answer"]["frame"]["seq"])
    assert request(node.url, f"/api/history/{entry['id']}/thumb.jpg").body[:3] == b"\xff\xd8\xff"


def test_the_copied_texts_give_the_same_answer(node):
    copied = ask(node, task="count", text="bolts", camera="front").json["copy"]
    command = copied["cli"].replace("molmo-node", f"{sys.executable} -m molmo_node", 1)

    by_command, by_curl = (
        subprocess.run(["bash", "-c", text], capture_output=True, timeout=20, text=True)
        for text in (command + " --json", copied["curl"])
    )
    by_python = subprocess.run(
        [sys.executable, "-c", copied["python"]], capture_output=True, timeout=20, text=True
    )

    assert json.loads(by_command.stdout)["count"] == 2, by_command.stderr
    assert json.loads(by_curl.stdout)["answer"]["count"] == 2, by_curl.stderr
    assert by_python.stdout.strip() == "2", by_python.stderr


def test_a_region_comes_back_in_pixels_of_the_whole_frame(node):
    roi = {"x_px": 100, "y_px": 50, "width_px": 200, "height_px": 150}

    answer = ask(node, task="count", text="bolts", camera="front", roi=roi).json["answer"]

    assert [(p["x_px"], p["y_px"]) for p in answer["points"]] == [(110, 70), (130, 90)]
    assert (answer["width"], answer["height"]) == (320, 240)


def test_a_picture_of_ones_own_is_asked_about(node):
    image = base64.b64encode(PHOTO.read_bytes()).decode()

    answer = ask(node, task="ask", text="what?", image=image).json["answer"]

    assert answer["text"] == "a scripted answer"


@pytest.mark.parametrize(
    ("fields", "status", "found"),
    [
        ({"task": "point", "text": "x", "camera": "nowhere"}, 422, "nowhere"),
        ({"task": "point", "text": "x"}, 422, "which camera"),
        ({"task": "point", "text": "", "camera": "front"}, 400, "without a text"),
        ({"task": "dance", "camera": "front"}, 400, "dance"),
        ({"task": "ask", "text": "x" * 5000, "camera": "front"}, 400, "text"),
        ({"task": "ask", "text": "x", "camera": "front", "unknown": 1}, 400, "unknown"),
        ({"task": "ask", "text": "x", "camera": "front", "seq": 1, "session": ""}, 422, "not kept"),
        ({"task": "ask", "text": "x", "picture": "guess"}, 422, "not kept"),
        ({"task": "ask", "text": "x", "image": "%%%"}, 400, "base64"),
        ({"task": "ask", "text": "x", "image": "QUJD"}, 400, "neither JPEG nor PNG"),
        ({"task": "ask", "text": "x", "camera": "front", "timeout_s": 0}, 400, "timeout_s"),
        ({"task": "read_gauge", "text": "boiler", "camera": "front"}, 422, "boiler"),
    ],
)  # fmt: skip
def test_a_question_that_cannot_be_answered_is_refused_with_what_was_found(
    node, fields, status, found
):
    reply = ask(node, **fields)

    assert reply.status == status, reply.json
    assert found in reply.json["error"]["message"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b'{"task": 1}'])
@pytest.mark.parametrize("path", ["/api/ask", "/api/watches", "/api/wizard/try"])
def test_bodies_that_are_no_question_are_refused(node, path, body):
    reply = request(node.url, path, "POST", body)

    assert reply.status == 400
    assert reply.json["error"]["code"] == "protocol_error"


@pytest.mark.parametrize(
    "path",
    ["/page/../serve.py", "/page/%2e%2e%2fserve.py", "/page/..%2f..%2f..%2fetc%2fpasswd",
     "/page/nothing.js", "/page/", "/api/pictures/..%2f..%2fetc%2fpasswd.jpg",
     "/api/watches/..%2f..%2fx/series", "/api/watches/%00/readings.csv"],
)  # fmt: skip
def test_no_path_reaches_the_file_system(node, path):
    reply = request(node.url, path)

    assert reply.status in (400, 404, 422), reply.body
    assert b"root:" not in reply.body
    assert b"uvicorn" not in reply.body


def test_a_picture_too_large_or_broken_is_refused(node):
    large = b"\xff\xd8\xff" + bytes(limits.FRAME_BYTES)
    half = PHOTO.read_bytes()[:5000]

    for body in (large, half, b"GIF89a", b""):
        reply = request(node.url, "/api/pictures", "POST", body, Content_Type=JPEG)
        assert reply.status == 400, reply.body


def test_pictures_are_kept_a_few_at_a_time(node):
    ids = [
        request(node.url, "/api/pictures", "POST", PHOTO.read_bytes(), Content_Type=JPEG).json["id"]
        for _ in range(18)
    ]

    assert request(node.url, f"/api/pictures/{ids[0]}.jpg").status == 422
    assert request(node.url, f"/api/pictures/{ids[-1]}.jpg").body == PHOTO.read_bytes()


def test_a_camera_that_gives_jpeg_is_passed_through_untouched(node):
    assert request(node.url, "/api/cameras/dial/picture.jpg").body == PHOTO.read_bytes()


def test_a_watch_is_made_paused_limited_charted_and_removed(node):
    made = request(
        node.url, "/api/watches", "POST",
        {"task": "count", "text": "Bolts left!", "camera": "front", "rate_hz": 10, "high": 1.5},
    )  # fmt: skip
    assert (made.status, made.json["name"]) == (201, "bolts-left")
    path = "/api/watches/bolts-left"

    wait_for(lambda: read(node, path) >= 5, 10, "readings")
    wait_for(lambda: of_state(node, "bolts-left")["stands"], 5, "the worker's word")
    watch = of_state(node, "bolts-left")
    assert (watch["stands"], watch["is_own"], watch["high"]) == (True, True, 1.5)

    assert request(node.url, path, "PATCH", {"paused": True, "high": None, "low": 1}).status == 200
    wait_for(lambda: not of_state(node, "bolts-left")["stands"], 5, "the worker lets it go")
    assert of_state(node, "bolts-left") | {"low": 1, "high": None} == of_state(node, "bolts-left")

    before = read(node, path)
    assert request(node.url, path, "PATCH", {"paused": False}).status == 200
    wait_for(lambda: read(node, path) > before, 10, "it goes on")

    table = list(
        csv.DictReader(io.StringIO(request(node.url, path + "/readings.csv").body.decode()))
    )
    assert {row["value"] for row in table} == {"2.0"}
    assert all(row["time"].endswith("Z") for row in table)

    assert request(node.url, path, "DELETE").status == 204
    wait_for(lambda: of_state(node, "bolts-left") is None, 5, "it is gone")


def read(node, path) -> int:
    spans = request(node.url, path + "/series?hours=1").json["spans"]
    return sum(span[4] for span in spans)


def of_state(node, name):
    watches = request(node.url, "/api/state").json["watches"]
    return next((watch for watch in watches if watch["name"] == name), None)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("DELETE", "/api/watches/nobodys", None, 422),
        ("PATCH", "/api/watches/nobodys", {"paused": True}, 422),
        ("PATCH", "/api/watches/some", {"low": 2, "high": 1}, 400),
        ("POST", "/api/watches", {"task": "count", "text": "x", "rate_hz": 1000}, 400),
        ("POST", "/api/watches", {"task": "count", "text": "x", "name": "../x"}, 400),
        ("GET", "/api/watches/some/series?hours=-1", None, 400),
        ("GET", "/api/watches/some/series?hours=nan", None, 400),
        ("GET", "/api/watches/some/series?points=1e9", None, 400),
    ],
)
def test_watches_that_cannot_be_are_refused(node, method, path, body, status):
    assert request(node.url, path, method, body).status == status


def test_a_page_that_starts_again_holds_its_watches_again(node):
    body = {"task": "count", "text": "again", "camera": "front", "name": "again", "rate_hz": 5}
    assert request(node.url, "/api/watches", "POST", body).status == 201
    config = str(node.stack.folder / "page.yaml")

    node.process.end()
    port = node.url.split(":")[-1].strip("/")
    node.process = node.stack.start("page", "web", "-c", config, "--port", port)

    page_url(node.process)
    wait_for(lambda: _answers(node), 15, "the page is back")
    wait_for(lambda: (of_state(node, "again") or {}).get("stands"), 10, "its watch stands")
    assert request(node.url, "/api/watches/again", "DELETE").status == 204


def _answers(node) -> bool:
    try:
        return request(node.url, "/api/state").status == 200
    except OSError:
        return False


def test_the_state_is_json_with_every_part(node):
    state = request(node.url, "/api/state").json

    assert {camera["name"] for camera in state["cameras"]} == {"front", "dial"}
    assert state["worker"]["state"] in ("ready", "busy")
    wait_for(lambda: heard(node) >= {"worker", "page", "camera.front"}, 10, "every node's word")
    assert abs(state["at_ms"] - time.time() * 1e3) < 5000


def heard(node) -> set[str]:
    return {one["node"] for one in request(node.url, "/api/state").json["nodes"]}


def test_health_and_metrics_are_served_by_the_page(node):
    wait_for(lambda: request(node.url, "/health").json["ready"], 10, "it is ready")
    assert b"molmo_node_" in request(node.url, "/metrics").body
    assert request(node.url, "/v1/models").json["data"][0]["id"] == "scripted"


def frozen(node) -> str:
    body = PHOTO.read_bytes()
    return request(node.url, "/api/pictures", "POST", body, Content_Type=JPEG).json["id"]


MARKS = [(0, 315.1, 328.1), (0.5, 408.8, 109.4), (1.0, 509.3, 328.1)]
GOOD = {
    "center": [415, 235],
    "marks": [{"value": value, "x_px": x, "y_px": y} for value, x, y in MARKS],
    "unit": "MPa",
    "name": "made-here",
}


def test_a_calibration_is_tried_and_saved_once_unless_it_may_be_replaced(node):
    body = {**GOOD, "picture": frozen(node)}

    tried = request(node.url, "/api/wizard/try", "POST", body).json
    assert abs(tried["reading"]["value"] - 0.129) <= 0.012
    assert len(tried["readings"]) == 10
    assert tried["spread"] is not None

    assert request(node.url, "/api/wizard/save", "POST", body).status == 201
    again = request(node.url, "/api/wizard/save", "POST", body)
    assert again.status == 400
    assert "already" in again.json["error"]["message"]
    assert request(node.url, "/api/wizard/save", "POST", {**body, "replace": True}).status == 201
    assert (node.gauges / "made-here.yaml").is_file()


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"name": "../outside"}, "cannot name"),
        ({"name": ""}, "cannot name"),
        ({"name": "a/b"}, "cannot name"),
        ({"marks": GOOD["marks"][:1]}, "marks"),
        ({"marks": [{"value": 1, "x_px": 1e9, "y_px": 0}] * 2}, "outside the picture"),
        ({"marks": [GOOD["marks"][0]] * 2}, ""),
        ({"center": [1e300, 0]}, ""),
        ({"plausible": [2, 1]}, "not below"),
        ({"marks": GOOD["marks"] * 40}, "at most"),
    ],
)
def test_a_calibration_that_cannot_be_is_refused(node, change, found):
    reply = request(
        node.url,
        "/api/wizard/save",
        "POST",
        {**GOOD, "name": "never", "picture": frozen(node), **change},
    )

    assert reply.status == 400, reply.body
    assert found in reply.json["error"]["message"]


def test_a_picture_without_a_dial_gives_no_proposal(node):
    body = {"camera": "front"}
    still = request(node.url, "/api/pictures", "POST", body, Content_Type="application/json")

    reply = request(node.url, "/api/wizard/propose", "POST", {"picture": still.json["id"]})

    assert reply.status in (422, 500)
    assert reply.json["error"]["hint"]

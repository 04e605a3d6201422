"""Who is let in: token, Host, Origin and sizes, on every route and on the WebSocket."""

from __future__ import annotations

import pytest

from molmo_node.web.guard import BODY_BYTES, HEADERS, Guard, access_for
from tests.support.http import Reply, call

TOKEN = "correct-horse-battery-staple"


async def inside(scope, receive, send):
    """An application that reads what it is sent, and says so."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"inside"})


def guarded(is_loopback=True, token=None, allowed=()):
    return Guard(inside, access_for(is_loopback, token, allowed))


def is_in(reply: Reply) -> bool:
    return reply.status == 101 or reply.body == b"inside"


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8765", "localhost", "LOCALHOST:1", "[::1]:8765", "127.0.0.1"]
)
def test_this_machines_names_are_known(host):
    assert is_in(call(guarded(), headers={"host": host}))


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8765", "10.0.0.7:8765", "",
     "localhost:8765@evil", "a b"],
)  # fmt: skip
def test_a_rebound_name_is_refused_on_loopback(host):
    for kind in ("http", "websocket"):
        assert not is_in(call(guarded(), headers={"host": host}, kind=kind)), kind


def test_beyond_this_machine_an_address_is_known_and_a_strange_name_is_not():
    app = guarded(is_loopback=False, token=TOKEN)
    shown = {"authorization": f"Bearer {TOKEN}"}

    assert is_in(call(app, headers={"host": "10.0.0.7:8765", **shown}))
    assert not is_in(call(app, headers={"host": "evil.example", **shown}))


def test_a_name_that_was_allowed_is_known():
    assert is_in(call(guarded(allowed=("Robot.Example",)), headers={"host": "robot.example"}))


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors"},
    ],
)
def test_other_sites_are_refused(kind, headers):
    assert not is_in(call(guarded(), "/api/ask", "POST", headers, kind=kind))


def test_a_link_from_another_site_may_open_the_page_but_not_send_anything():
    visit = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}

    assert is_in(call(guarded(), "/", "GET", visit))
    assert not is_in(call(guarded(), "/api/history", "DELETE", visit))


def test_the_pages_own_requests_pass():
    own = {"origin": "http://127.0.0.1:8765", "sec-fetch-site": "same-origin"}

    assert is_in(call(guarded(), "/api/ask", "POST", own))
    assert is_in(call(guarded(), "/api/live", headers=own, kind="websocket"))


@pytest.mark.parametrize("path", ["/", "/api/state", "/page/main.js", "/health", "/v1/models"])
@pytest.mark.parametrize("shown", ["", "Bearer wrong", "Bearer ", f"Basic {TOKEN}", "Bearer \xe9"])
def test_without_the_token_nothing_is_let_in(path, shown):
    app = guarded(token=TOKEN)
    headers = {"authorization": shown} if shown else {}

    assert call(app, path, headers=headers).status == 401
    assert not is_in(call(app, path, headers=headers, kind="websocket"))


def test_the_token_is_taken_as_a_header_and_as_a_cookie():
    app = guarded(token=TOKEN)

    assert is_in(call(app, "/api/state", headers={"authorization": f"Bearer {TOKEN}"}))
    cookie = {"cookie": f"other=1; molmo_node_page={TOKEN}"}
    assert is_in(call(app, "/api/state", headers=cookie))
    assert is_in(call(app, "/api/live", headers=cookie, kind="websocket"))


@pytest.mark.parametrize("how", ["address", "form"])
def test_the_token_is_changed_for_a_cookie_that_scripts_cannot_read(how):
    app = guarded(token=TOKEN)

    if how == "address":
        reply = call(app, f"/?token={TOKEN}")
    else:
        reply = call(app, "/login", "POST", body=f"token={TOKEN}".encode())

    assert (reply.status, reply.headers["location"]) == (303, "/")
    cookie = reply.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_a_wrong_token_in_the_form_gives_no_cookie():
    reply = call(guarded(token=TOKEN), "/login", "POST", body=b"token=wrong")

    assert reply.status == 401
    assert "set-cookie" not in reply.headers


def test_the_token_in_the_address_counts_on_the_page_only():
    assert call(guarded(token=TOKEN), f"/api/state?token={TOKEN}").status == 401


@pytest.mark.parametrize("length", [str(BODY_BYTES + 1), "-1", "many", "1e9"])
def test_a_body_that_says_it_is_too_long_is_not_read(length):
    reply = call(guarded(), "/api/ask", "POST", {"content-length": length})

    assert reply.status == 413


def test_a_body_that_does_not_say_its_length_is_cut_off():
    reply = call(guarded(), "/api/ask", "POST", body=bytes(BODY_BYTES + 70_000))

    assert reply.status == 413


def test_every_response_carries_the_headers_refusals_too():
    for reply in (call(guarded()), call(guarded(), headers={"host": "evil"})):
        for name, value in HEADERS.items():
            assert reply.headers[name.lower()] == value

    policy = HEADERS["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy

"""Metrics on a port of their own."""

from __future__ import annotations

import http.client
import socket
from contextlib import ExitStack

import pytest

from molmo_node.client.view import NodeView
from molmo_node.config.sinks import PrometheusSettings
from molmo_node.errors import ConfigError
from molmo_node.sinks.prometheus import CLIENTS, PrometheusSink
from tests.support import said
from tests.support.waiting import wait_for

TOKEN = "a-token-of-some-length"


@pytest.fixture
def serve(tmp_path):
    with ExitStack() as stack:

        def serve(token: str = "") -> PrometheusSink:
            path = tmp_path / "token"
            path.write_text(token)
            path.chmod(0o600)
            view = NodeView()
            settings = PrometheusSettings(port=0, token_file=path if token else None)
            sink = PrometheusSink(settings, view)
            stack.callback(sink.close)
            for message in (said.worker(), said.read(4.2)):
                assert sink.wants(message)
                view.note(message)
            sink.write([said.worker(), said.read(4.2)])
            return sink

        yield serve


def get(sink: PrometheusSink, path: str = "/metrics", **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", sink.port, timeout=5)
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    found = response.status, response.read().decode()
    connection.close()
    return found


def test_a_scrape_shows_the_newest_reading(serve):
    status, body = get(serve())

    assert status == 200
    assert 'molmo_node_reading{camera="front",unit="bar",watch="boiler"} 4.2' in body
    assert 'molmo_node_answers_total{camera="front",task="read_gauge"} 1.0' in body


def test_nothing_else_is_served(serve):
    assert get(serve(), "/")[0] == 404
    assert get(serve(), "/../etc/passwd")[0] == 404


@pytest.mark.parametrize(
    ("authorization", "status"),
    [(f"Bearer {TOKEN}", 200), ("Bearer wrong", 401), (TOKEN, 401), ("", 401), ("Bearer ä", 401)],
)
def test_a_token_is_asked_for(serve, authorization, status):
    assert get(serve(TOKEN), Authorization=authorization.encode("latin-1"))[0] == status


def test_more_scrapers_than_places_are_hung_up_on_and_a_free_place_serves_again(serve):
    sink = serve()
    with ExitStack() as hung:
        for _ in range(CLIENTS):
            hung.enter_context(socket.create_connection(("127.0.0.1", sink.port))).send(b"GET /")

        def is_refused() -> bool:
            try:
                get(sink)
            except (ConnectionError, http.client.HTTPException):
                return True
            return False

        wait_for(is_refused, 3, "a refusal")

    def is_served() -> bool:
        try:
            return get(sink)[0] == 200
        except (ConnectionError, http.client.HTTPException):
            return False

    wait_for(is_served, 3, "a free place")


def test_it_listens_on_ipv6_where_that_is_asked_for():
    sink = PrometheusSink(PrometheusSettings(host="[::1]", port=0), NodeView())
    try:
        with socket.create_connection(("::1", sink.port), 3):
            pass
    finally:
        sink.close()


def test_a_port_that_is_taken_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"cannot listen at 127.0.0.1:{port}"):
            PrometheusSink(PrometheusSettings(port=port), NodeView())

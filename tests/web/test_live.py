"""Many viewers by counting: one encoding a frame, and a sleeper that costs nobody anything."""

from __future__ import annotations

import contextlib
import json
import struct
import threading
import time

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.support.http import request
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

VIEWERS = 12


class Tab(threading.Thread):
    """A browser's tab without the browser."""

    def __init__(self, url: str, acknowledges: bool = True, camera: str = "front") -> None:
        super().__init__()
        self._open = contextlib.ExitStack()
        self.socket = self._open.enter_context(connect(live(url), compression=None, max_size=None))
        self.socket.send(json.dumps({"look": camera}))
        self.seqs: list[int] = []
        self._acknowledges = acknowledges
        self.start()

    def run(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            for message in self.socket:
                if isinstance(message, bytes):
                    self._take(message)

    def _take(self, message: bytes) -> None:
        (length,) = struct.unpack_from(">I", message)
        header = json.loads(message[4 : 4 + length])
        assert message[4 + length :][:3] == b"\xff\xd8\xff"
        self.seqs.append(header["seq"])
        if self._acknowledges:
            self.socket.send(json.dumps({"seen": header["n"]}))

    def close(self) -> None:
        self._open.close()
        self.join()


def live(url: str) -> str:
    return url.replace("http://", "ws://") + "api/live"


def front(node) -> dict:
    cameras = request(node.url, "/api/state").json["cameras"]
    return next(camera for camera in cameras if camera["name"] == "front")


@pytest.fixture
def tabs(node):
    opened: list[Tab] = []

    def open_tab(**options) -> Tab:
        opened.append(Tab(node.url, **options))
        return opened[-1]

    yield open_tab
    for tab in opened:
        tab.close()


def test_however_many_look_each_frame_is_encoded_once(node, tabs):
    wait_for(lambda: front(node)["viewers"] == 0, 10, "nobody looks")
    before = front(node)["encoded"]
    many = [tabs() for _ in range(VIEWERS)]

    wait_for(lambda: all(len(tab.seqs) >= 20 for tab in many), 60, "20 pictures each")

    shown = {seq for tab in many for seq in list(tab.seqs)}
    encoded = front(node)["encoded"] - before
    assert encoded <= max(shown) - min(shown) + 30  # frames that were offered, not shown, count
    assert encoded < sum(len(tab.seqs) for tab in many) / 3
    for tab in many:
        seqs = list(tab.seqs)
        assert sorted(set(seqs)) == seqs  # never an old one, never one twice


def test_a_tab_that_sleeps_gets_two_pictures_and_slows_nobody(node, tabs):
    asleep, awake = tabs(acknowledges=False), tabs()

    wait_for(lambda: len(awake.seqs) >= 60, 60, "60 pictures")

    assert len(asleep.seqs) == 2


def test_nothing_is_encoded_while_all_sleep(node, tabs):
    wait_for(lambda: front(node)["viewers"] == 0, 10, "nobody looks")
    asleep = tabs(acknowledges=False)
    wait_for(lambda: len(asleep.seqs) == 2, 10, "what is in flight")
    time.sleep(2.2)  # as long as a tab that said nothing counts as awake
    before = front(node)

    wait_for(lambda: front(node)["seq"] > before["seq"] + 20, 20, "20 frames")

    assert front(node)["encoded"] == before["encoded"]


def test_strangers_are_refused_at_the_socket_too(node):
    with pytest.raises(InvalidStatus) as refused, connect(live(node.url), origin="http://evil"):
        pass

    assert refused.value.response.status_code == 403

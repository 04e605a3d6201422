"""A tab is sent no more than it takes, and never anything but the newest."""

from __future__ import annotations

import asyncio
import json
import struct

import pytest
from starlette.websockets import WebSocketDisconnect

from molmo_node.messages import FrameRef
from molmo_node.web.feed import Picture, Shelf
from molmo_node.web.viewer import IN_FLIGHT, Viewer


def picture(seq: int, size: int = 1000) -> Picture:
    ref = FrameRef(camera="front", session="s", seq=seq, stamp_ns=0, mono_ns=0)
    return Picture(ref, 320, 240, bytes(size))


class Socket:
    """A browser's end: notes what came, says what it is told to."""

    def __init__(self) -> None:
        self.said: asyncio.Queue[str | None] = asyncio.Queue()
        self.pictures: list[dict] = []
        self.texts: list[str] = []
        self.closed: list[int] = []

    async def receive_text(self) -> str:
        text = await self.said.get()
        if text is None:
            raise WebSocketDisconnect(1001)
        return text

    async def send_bytes(self, raw: bytes) -> None:
        (length,) = struct.unpack_from(">I", raw)
        self.pictures.append(json.loads(raw[4 : 4 + length]))
        await asyncio.sleep(0)

    async def send_text(self, text: str) -> None:
        self.texts.append(text)
        await asyncio.sleep(0)

    async def close(self, code: int) -> None:
        self.closed.append(code)


class NoFeeds:
    def get(self, name):
        raise AssertionError(name)


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def with_viewer(scene):
    """Run a scene with a viewer that serves, and end it."""

    async def main():
        socket = Socket()
        viewer = Viewer(socket, NoFeeds())
        task = asyncio.create_task(viewer.run())
        try:
            await scene(viewer, socket)
        finally:
            socket.said.put_nowait(None)
            await asyncio.wait_for(task, 2)

    asyncio.run(main())


def test_a_tab_that_acknowledges_nothing_gets_two_pictures_and_holds_one():
    async def scene(viewer, socket):
        for seq in range(500):
            viewer.offer(picture(seq))
            await settle()

        assert [one["seq"] for one in socket.pictures] == [0, 1]
        assert viewer.sent == IN_FLIGHT
        assert viewer.skipped == 500 - IN_FLIGHT - 1  # the newest waits

    with_viewer(scene)


def test_a_tab_that_wakes_gets_the_newest_and_no_old_one():
    async def scene(viewer, socket):
        for seq in range(100):
            viewer.offer(picture(seq))
            await settle()
        socket.said.put_nowait('{"seen": 2}')
        await settle()

        assert [one["seq"] for one in socket.pictures] == [0, 1, 99]

    with_viewer(scene)


def test_a_picture_that_is_offered_twice_is_sent_once():
    async def scene(viewer, socket):
        same = picture(7)
        for _ in range(2):
            viewer.offer(same)
            await settle()

        assert [one["seq"] for one in socket.pictures] == [7]

    with_viewer(scene)


def test_messages_of_one_kind_replace_each_other_until_they_are_sent():
    async def scene(viewer, socket):
        for number in range(1000):
            viewer.tell("state", f"state {number}")
        viewer.tell("answer/x", "answer")
        await settle()

        assert socket.texts == ["state 999", "answer"]

    with_viewer(scene)


def test_an_acknowledgement_of_what_was_never_sent_opens_nothing():
    async def scene(viewer, socket):
        socket.said.put_nowait('{"seen": 1000000}')
        await settle()
        for seq in range(50):
            viewer.offer(picture(seq))
            await settle()

        assert len(socket.pictures) == IN_FLIGHT

    with_viewer(scene)


@pytest.mark.parametrize(
    "text",
    ["", "no json", "[]", '{"look": 3}', '{"seen": "x"}', '{"other": 1}', "[" * 900, "x" * 2000],
)  # fmt: skip
def test_a_tab_that_talks_nonsense_is_closed(text):
    async def scene(viewer, socket):
        socket.said.put_nowait(text)
        await settle()

        assert socket.closed == [1008]

    with_viewer(scene)


def test_the_shelf_is_bounded_in_bytes_and_keeps_the_newest():
    shelf = Shelf(most_bytes=10_000)
    for seq in range(100):
        shelf.put(picture(seq, 1000))
        shelf.put(picture(seq, 1000))  # the same frame twice counts once

    assert shelf.held_bytes == 10_000
    assert shelf.find("s", 89) is None
    assert shelf.find("s", 90) is not None
    assert shelf.find("other", 99) is None


def test_one_picture_larger_than_the_shelf_is_kept_alone():
    shelf = Shelf(most_bytes=10)
    shelf.put(picture(1, 500))
    shelf.put(picture(2, 500))

    assert shelf.find("s", 1) is None
    assert shelf.find("s", 2) is not None

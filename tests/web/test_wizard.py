"""The wizard's own rules, without a server."""

from __future__ import annotations

import asyncio
import threading

import pytest

from molmo_node import imaging
from molmo_node.errors import Busy, ConfigError, NoAnswer
from molmo_node.instruments import Profile
from molmo_node.messages import GaugeReading
from molmo_node.web import wizard as wizards
from molmo_node.web.pictures import Pictures, uploaded
from molmo_node.web.wizard import Calibration, Placed, Wizard
from tests.support.page_stack import PHOTO

MARKS = ((0.0, 315.1, 328.1), (0.5, 408.8, 109.4), (1.0, 509.3, 328.1))


def made(folder=None) -> tuple[Wizard, str]:
    pictures = Pictures()
    return Wizard(None, pictures, folder), pictures.add(uploaded(PHOTO.read_bytes()))


def test_what_instruments_propose_is_handed_on_as_places_to_correct(monkeypatch):
    def propose(image):
        profile = Profile.from_marks(image, (415.0, 235.0), MARKS, "MPa")
        return profile, GaugeReading(value=0.13, unit="MPa")

    monkeypatch.setattr(wizards, "propose_profile", propose)
    wizard, picture = made()

    found = asyncio.run(wizard.propose(picture))

    assert found["center"] == (415.0, 235.0)
    assert found["marks"][1] == {"value": 0.5, "x_px": 408.8, "y_px": 109.4}
    assert (found["unit"], found["reading"]["value"]) == ("MPa", 0.13)


def test_a_dial_that_is_not_found_says_what_to_do(monkeypatch):
    def propose(image):
        raise NoAnswer("no scale was found", hint="give the centre and two or more marks")

    monkeypatch.setattr(wizards, "propose_profile", propose)
    wizard, picture = made()

    with pytest.raises(NoAnswer, match="no scale"):
        asyncio.run(wizard.propose(picture))


def test_one_calibration_is_worked_on_at_a_time(monkeypatch):
    begun, may_end = threading.Event(), threading.Event()

    def propose(image):
        begun.set()
        may_end.wait(10)
        raise NoAnswer("nothing")

    monkeypatch.setattr(wizards, "propose_profile", propose)
    wizard, picture = made()

    async def both():
        first = asyncio.create_task(wizard.propose(picture))
        await asyncio.to_thread(begun.wait, 10)
        try:
            with pytest.raises(Busy):
                await wizard.propose(picture)
        finally:
            may_end.set()
        with pytest.raises(NoAnswer):
            await first

    asyncio.run(both())


def test_without_a_folder_nothing_is_saved_and_the_setting_is_named():
    wizard, picture = made()
    marks = tuple(Placed(value=value, x_px=x, y_px=y) for value, x, y in MARKS)
    wanted = Calibration(picture=picture, center=(415.0, 235.0), marks=marks, name="x")

    with pytest.raises(ConfigError) as refused:
        asyncio.run(wizard.save(wanted))

    assert "--gauges FOLDER" in refused.value.hint
    assert wizard.can_save is False


def test_a_picture_that_is_kept_is_shown_without_what_would_turn_it():
    assert imaging.without_turning(PHOTO.read_bytes()) == uploaded(PHOTO.read_bytes()).jpeg

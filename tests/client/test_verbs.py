"""Both clients offer the same verbs, and loading them stays light."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from molmo_node.client import AsyncClient, Client
from molmo_node.messages import TASKS


def verbs(client):
    return {
        name: list(inspect.signature(member).parameters.values())
        for name, member in inspect.getmembers(client, inspect.isfunction)
        if not name.startswith("_")
    }


def test_both_clients_have_the_same_verbs_and_arguments():
    plain, awaited = verbs(Client), verbs(AsyncClient)
    assert set(plain) - set(awaited) == {"submit"}  # asyncio has tasks for that
    assert set(awaited) <= set(plain)
    for name in set(awaited) - {"query"}:
        assert awaited[name] == plain[name], name
    assert awaited["query"] == plain["submit"]  # the plain query passes its options on to it


def test_every_task_is_a_verb():
    assert set(TASKS) <= set(verbs(Client))


def test_both_clients_are_made_alike():
    assert inspect.signature(Client) == inspect.signature(AsyncClient)


@pytest.mark.process
def test_importing_the_client_loads_nothing_heavy():
    heavy = ["pydantic", "cv2", "av", "torch", "typer", "rich", "PIL", "simplejpeg", "circus"]
    program = f"import sys, molmo_node.client; print([m for m in {heavy} if m in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"

"""Where the token comes from, and which ones are refused."""

from __future__ import annotations

import pytest

from molmo_node.config import WebSettings
from molmo_node.errors import ConfigError
from molmo_node.web import token as tokens


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path


def written(path, text, mode=0o600):
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_this_machine_alone_needs_no_token(home, host):
    assert tokens.page_token(WebSettings(host=host)) is None
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.7", "robot.example", "::"])
def test_beyond_this_machine_a_token_is_made_once_for_its_owner_alone(home, host):
    first = tokens.page_token(WebSettings(host=host))
    second = tokens.page_token(WebSettings(host=host))

    assert first is not None
    assert len(first) >= 40
    assert first == second
    assert tokens.default_token_file().stat().st_mode & 0o777 == 0o600


def test_a_token_file_counts_on_loopback_too(tmp_path):
    path = written(tmp_path / "token", "0123456789abcdef\n")

    assert tokens.page_token(WebSettings(token_file=path)) == "0123456789abcdef"


@pytest.mark.parametrize(
    ("text", "mode", "found"),
    [
        ("0123456789abcdef", 0o644, "others may read it"),
        ("short", 0o600, "16 to 256"),
        ("", 0o600, "16 to 256"),
        ("two lines\nof text here", 0o600, "16 to 256"),
        ("ünlautäöü0123456789", 0o600, "16 to 256"),
    ],
)
def test_a_token_that_protects_nothing_is_refused(tmp_path, text, mode, found):
    path = written(tmp_path / "token", text, mode)

    with pytest.raises(ConfigError, match=found):
        tokens.page_token(WebSettings(token_file=path))


def test_a_missing_token_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="no_such"):
        tokens.page_token(WebSettings(token_file=tmp_path / "no_such"))

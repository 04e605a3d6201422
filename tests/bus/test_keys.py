"""Key files are private, and the allow-list is a folder."""

from __future__ import annotations

import pytest

from molmo_node.bus.keys import allowed_keys, load_pair, load_public, new_key, revoke_key
from molmo_node.errors import ConfigError


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "keys"


def test_a_new_key_is_private_and_allowed(folder):
    path = new_key(folder, "robot")
    pair = load_pair(folder, "robot")
    assert path.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert allowed_keys(folder) == {pair.public: "robot"}
    assert load_public(folder / "robot.key") == pair.public


def test_the_public_file_holds_no_secret(folder):
    new_key(folder, "robot")
    secret = load_pair(folder, "robot").secret.decode()
    texts = [path.read_text() for path in folder.rglob("*.key")]
    assert len(texts) == 2
    assert not any(secret in text for text in texts)


def test_a_pair_does_not_show_its_secret(folder):
    new_key(folder, "robot")
    pair = load_pair(folder, "robot")
    assert pair.secret.decode() not in f"{pair} {pair!r}"


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o660, 0o644])
def test_a_secret_that_others_may_read_is_refused(folder, mode):
    new_key(folder, "robot").chmod(mode)
    with pytest.raises(ConfigError, match="open to others"):
        load_pair(folder, "robot")


@pytest.mark.parametrize("name", ["", "Robot", "../robot", "a/b", "x" * 65])
def test_a_bad_name_makes_no_key(folder, name):
    with pytest.raises(ConfigError, match="cannot name"):
        new_key(folder, name)
    with pytest.raises(ConfigError, match="not allowed"):
        revoke_key(folder, name)


def test_a_key_is_never_overwritten(folder):
    new_key(folder, "robot")
    before = load_pair(folder, "robot")
    with pytest.raises(ConfigError, match="exists"):
        new_key(folder, "robot")
    assert load_pair(folder, "robot") == before


def test_a_peers_key_of_the_same_name_is_not_replaced(folder):
    new_key(folder, "robot")
    for name in ("robot.key", "robot.key_secret"):
        (folder / name).unlink()
    before = allowed_keys(folder)
    with pytest.raises(ConfigError, match="exists"):
        new_key(folder, "robot")
    assert allowed_keys(folder) == before


def test_a_revoked_name_is_gone_and_can_be_made_anew(folder):
    new_key(folder, "robot")
    revoke_key(folder, "robot")
    assert allowed_keys(folder) == {}
    new_key(folder, "robot")


def test_a_pair_that_is_not_allowed_can_be_revoked(folder):
    new_key(folder, "robot")
    (folder / "allowed" / "robot.key").unlink()
    revoke_key(folder, "robot")
    new_key(folder, "robot")


def test_revoking_a_stranger_names_those_who_are_known(folder):
    new_key(folder, "robot")
    with pytest.raises(ConfigError, match="robot"):
        revoke_key(folder, "toaster")


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe", b"metadata\ncurve\n", b'curve\n    public-key = "short"\n', b"x" * 9999],
)
def test_a_file_that_is_no_key_shuts_out_nobody_else(folder, content, caplog):
    new_key(folder, "robot")
    (folder / "allowed" / "junk.key").write_bytes(content)
    assert list(allowed_keys(folder).values()) == ["robot"]
    assert "no key" in caplog.text
    with pytest.raises(ConfigError, match="cannot be read"):
        load_public(folder / "allowed" / "junk.key")


def test_a_missing_pair_says_how_to_make_one(folder):
    with pytest.raises(ConfigError, match="keys new node"):
        load_pair(folder, "node")

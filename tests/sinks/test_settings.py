"""What can be set of sinks, what is refused, and what is never shown."""

from __future__ import annotations

import pytest
import yaml

from molmo_node import config
from molmo_node.client.view import NodeView
from molmo_node.config.secrets import read_secret
from molmo_node.config.sinks import SinksSettings
from molmo_node.errors import ConfigError
from molmo_node.sinks import kinds
from molmo_node.sinks.kinds import KINDS, make_sink
from molmo_node.supervisor import process_specs


@pytest.fixture
def load(tmp_path):
    def load(sinks: object, env: dict[str, str] | None = None):
        path = tmp_path / "node.yaml"
        path.write_text(yaml.safe_dump({"sinks": sinks}))
        return config.load(path, env or {})

    return load


def test_the_table_and_the_settings_name_the_same_kinds():
    assert set(KINDS) == set(SinksSettings.model_fields)


def test_a_kind_with_nothing_behind_it_is_on_with_its_defaults(load):
    settings = load({"csv": None, "mqtt": {"host": "broker"}}).settings

    assert settings.sinks.kinds == ("csv", "mqtt")
    assert settings.sinks.csv.buffer == 10_000


def test_up_starts_a_process_for_each_sink(load):
    specs = {spec.name: spec.argv[3:] for spec in process_specs(load({"csv": {}, "mqtt": {}}))}

    sinks = {name: verb for name, verb in specs.items() if name.startswith("sink-")}
    assert sinks == {"sink-csv": ("sink", "csv"), "sink-mqtt": ("sink", "mqtt")}


def test_folders_and_files_are_relative_to_the_settings_file(load, tmp_path):
    settings = load(
        {"csv": {"folder": "out"}, "mqtt": {"username": "a", "password_file": "pw"}}
    ).settings

    assert settings.sinks.csv.folder == tmp_path / "out"
    assert settings.sinks.mqtt.password_file == tmp_path / "pw"


@pytest.mark.parametrize(
    ("sinks", "said"),
    [
        ({"mqtt": {"hots": "a"}}, r"sinks\.mqtt\.hots: unknown key.*sinks\.mqtt\.host"),
        ({"mqqt": {}}, r"sinks\.mqqt: unknown key.*sinks\.mqtt"),
        ({"mqtt": {"port": 0}}, r"sinks\.mqtt\.port: found 0, expected greater than or equal to 1"),
        ({"mqtt": {"topic_prefix": "a/#"}}, r"sinks\.mqtt\.topic_prefix: found 'a/#'"),
        ({"mqtt": {"password": "x"}}, "expected a username with the password"),
        ({"mqtt": {"username": "u", "password": "x", "password_file": "y"}}, "found both"),
        ({"mqtt": {"tls_ca": "ca.pem"}}, "expected tls: true with tls_ca"),
        ({"csv": {"buffer": 0}}, r"sinks\.csv\.buffer: found 0"),
        ({"csv": {"watches": ["No"]}}, r"sinks\.csv\.watches\.0: found 'No'"),
        ({"prometheus": {"host": "0.0.0.0"}}, "expected a token_file where host is 0.0.0.0"),
        ({"prometheus": {"host": "plant.local"}}, "expected a token_file"),
    ],
)
def test_wrong_settings_say_what_is_expected(load, sinks, said):
    with pytest.raises(ConfigError, match=said):
        load(sinks)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]"])
def test_metrics_of_this_machine_need_no_token(load, host):
    assert load({"prometheus": {"host": host}}).settings.sinks.prometheus.host == host


def test_a_password_is_never_shown(load):
    variables = {"MOLMO_NODE_SINKS__MQTT__PASSWORD": "s3cret"}
    loaded = load({"mqtt": {"username": "plant"}}, variables)

    assert loaded.settings.sinks.mqtt.password.get_secret_value() == "s3cret"
    assert "s3cret" not in repr(loaded.settings)
    assert "s3cret" not in repr(config.show(loaded))
    with pytest.raises(ConfigError) as caught:
        load({"mqtt": {"username": "plant", "password": 12345678}})
    assert "found ***, expected a valid string" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        ("s3cret\n", 0o644, "others may read this secret"),
        ("\n", 0o600, "expected one line"),
        ("a\nb\n", 0o600, "expected one line"),
        (None, 0o600, "no such file"),
    ],
)
def test_a_file_that_holds_no_good_secret_is_refused_without_its_text(tmp_path, text, mode, said):
    path = tmp_path / "pw"
    if text is not None:
        path.write_text(text)
        path.chmod(mode)

    with pytest.raises(ConfigError, match=said) as caught:
        read_secret(path)
    assert "s3cret" not in str(caught.value)


def test_a_secret_is_the_line_that_its_file_holds(tmp_path):
    path = tmp_path / "pw"
    path.write_text(" with spaces \n")
    path.chmod(0o600)

    assert read_secret(path) == " with spaces "


def test_a_package_that_is_missing_is_named_with_its_extra(monkeypatch):
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name="paho")

    monkeypatch.setattr(kinds.importlib, "import_module", missing)

    with pytest.raises(ConfigError, match="needs the Python package paho") as caught:
        make_sink("mqtt", None, NodeView())
    assert caught.value.hint == "pip install 'molmo_node[mqtt]'"

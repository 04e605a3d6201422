"""Settings: four sources, one order, and messages that lead to the fault."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from molmo_node import config
from molmo_node.bus import limits
from molmo_node.errors import ConfigError
from molmo_node.messages import Roi


@pytest.fixture
def write(tmp_path):
    def write_file(text: str, name: str = "node.yaml") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write_file


def refused(path=None, env=None, flags=None) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        config.load(path, env or {}, flags)
    return caught.value


def test_defaults_alone_are_a_working_node():
    loaded = config.load(None, {})

    assert loaded.settings.worker.model == "none"
    assert loaded.settings.cameras == ()
    assert loaded.origin("worker.model") == "default"


def test_each_source_wins_over_the_one_before(write):
    path = write("worker: {model: a, device: cpu, dtype: bf16}\n")
    env = {"MOLMO_NODE_WORKER__MODEL": "b", "MOLMO_NODE_WORKER__DEVICE": "cuda:1"}

    loaded = config.load(path, env, {"worker.model": "c", "worker.max_crops": None})

    worker = loaded.settings.worker
    assert (worker.model, worker.device, worker.dtype) == ("c", "cuda:1", "bfloat16")
    origins = {key: loaded.origin(f"worker.{key}") for key in ("model", "device", "dtype")}
    assert origins == {
        "model": "--model",
        "device": "MOLMO_NODE_WORKER__DEVICE",
        "dtype": str(path),
    }
    assert loaded.origin("worker.max_crops") == "default"


def test_a_flag_is_named_as_it_was_typed(write):
    flags = {"cameras": [{"name": "front", "source": "0"}]}

    loaded = config.load(None, {}, flags, flag_names={"cameras": "--camera"})

    assert loaded.origin("cameras.0.source") == "--camera"
    assert loaded.origin("cameras") == "--camera"


def test_a_variable_changes_one_value_of_a_list_item(write):
    path = write("cameras:\n  - {name: front, fps: 5}\n  - {name: back, fps: 6}\n")

    loaded = config.load(path, {"MOLMO_NODE_CAMERAS__1__FPS": "9.5"})

    assert [camera.fps for camera in loaded.settings.cameras] == [5, 9.5]
    assert loaded.origin("cameras.1.fps") == "MOLMO_NODE_CAMERAS__1__FPS"
    assert loaded.origin("cameras.1.name") == str(path)


def test_a_whole_list_in_a_variable_replaces_the_list_of_the_file(write):
    path = write("cameras:\n  - {name: front, fps: 5}\n")
    env = {"MOLMO_NODE_CAMERAS": '[{"name": "roof"}]', "MOLMO_NODE_CAMERAS__0__FPS": "7"}

    loaded = config.load(path, env)

    assert [(camera.name, camera.fps) for camera in loaded.settings.cameras] == [("roof", 7)]


def test_the_file_may_be_named_by_a_variable(write):
    path = write("log: {level: debug}\n")

    loaded = config.load(None, {"MOLMO_NODE_CONFIG": str(path)})

    assert loaded.settings.log.level == "debug"


def test_a_child_loads_the_same_settings_from_its_environment(write, tmp_path):
    path = write("cameras: [{name: front}]\nworker: {model: a}\n")
    flags = {
        "worker.model": "b",
        "worker.max_crops": 3,
        "cameras": [{"name": "x", "loop": False}],
        "run_dir": tmp_path,
        "gauges.folder": tmp_path / "dials",
    }
    parent = config.load(path, {}, flags)

    child = config.load(None, parent.child_env())

    assert child.settings == parent.settings


@pytest.mark.parametrize(
    ("text", "place", "offer"),
    [
        ("wroker: {}", ":1: wroker: unknown key", "did you mean worker?"),
        ("worker:\n  devise: cpu", ":2: worker.devise: unknown key", "worker.device?"),
        ("cameras:\n- name: a\n  url: x", ":3: cameras.0.url: unknown key", "known keys: name, s"),
        ("watches:\n- {name: a, task: describe, rate: 1}", ".rate: unknown", "watches.0.rate_hz?"),
        ("log: {Level: info}", "log.Level: unknown key", "did you mean log.level?"),
        ("processes: [{name: a, command: [x], need: []}]", "processes.0.need:", "0.needs?"),
    ],
)
def test_an_unknown_key_is_named_with_its_place_and_the_nearest_known_one(
    write, text, place, offer
):
    path = write(text)

    error = refused(path)

    assert str(path) in error.message
    assert place in error.message
    assert offer in error.hint


@pytest.mark.parametrize(
    ("name", "offer"),
    [
        ("MOLMO_NODE_WROKER__DEVICE", "MOLMO_NODE_WORKER"),
        ("MOLMO_NODE_WORKER__DEVISE", "worker.device"),
        ("MOLMO_NODE_XYZ", "known settings"),
    ],
)
def test_an_unknown_variable_is_named_with_the_nearest_known_one(name, offer):
    error = refused(env={name: "cpu"})

    assert error.message.startswith(name)
    assert offer in error.hint


def test_a_variable_that_should_hold_json_is_named():
    error = refused(env={"MOLMO_NODE_CAMERAS": '[{"name": "a"'})

    assert error.message == "MOLMO_NODE_CAMERAS: expected JSON"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cameras: [{name: a, fps: -3}]", "cameras.0.fps: found -3, expected greater than 0"),
        ("cameras: [{name: A b}]", "cameras.0.name: found 'A b', expected 1 to 64 of a-z"),
        ("cameras: [{source: x}]", "cameras.0.name: missing"),
        ("cameras: [{name: a, width: 640}]", "cameras.0: expected both width and height"),
        (
            "cameras: [{name: a, endpoint: 'tcp://h'}]",
            "found 'tcp://h', expected ipc:///path/name or tcp",
        ),
        ("cameras: [{name: a, endpoint: 'http://h:1'}]", "expected ipc:///path/name or tcp://"),
        ("cameras: [{name: a}, {name: a}]", "cameras: expected a name of its own"),
        ("worker: {dtype: int3}", "worker.dtype: found 'int3', expected 'auto', 'float32'"),
        ("worker: {queries_waiting: 65}", "expected less than or equal to 64"),
        ("worker: 3", "worker: found 3, expected"),
        ("watches: [{name: a, task: point}]", "watches.0: expected a text for the task point"),
        ("watches: [{name: a, task: describe, rate_hz: 31}]", "watches.0.rate_hz: found 31"),
        ("watches: [{name: a, task: describe, roi: [0, 0, 0, 4]}]", "expected roi as x, y, width"),
        ("watches: [{name: a, task: describe, camera: b}]", "looks at camera 'b', expected a cam"),
        ("cameras: [{name: a}, {name: b}]\nwatches: [{name: w, task: describe}]", "no camera"),
        ("processes: [{name: a, command: [x], needs: [b]}]", "a needs 'b'"),
        ("processes: [{name: a, command: [x], needs: [a]}]", "a need each other in a circle"),
        ("- 1", "expected a mapping of settings, found list"),
        ("log: {level: info}\nlog: {level: debug}", ":2: log is given twice, first in line 1"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_found_and_expected(write, text, message):
    path = write(text)

    error = refused(path)

    assert error.message.startswith(str(path))
    assert message in error.message


def test_every_fault_of_a_file_is_named_at_once(write):
    error = refused(write("worker: {devise: cpu}\nlog: {level: loud}\n"))

    assert len(error.message.splitlines()) == 2


def test_a_wrong_flag_is_named_as_the_flag():
    error = refused(flags={"worker.queries_waiting": 0})

    assert error.message.startswith("--queries-waiting: worker.queries_waiting: found 0")


def test_a_missing_file_says_so(tmp_path):
    assert "no such file" in refused(tmp_path / "none.yaml").message


def test_a_folder_in_place_of_a_file_says_so(tmp_path):
    assert "cannot be read (Is a directory)" in refused(tmp_path).message


def test_a_half_written_file_names_the_line(write):
    error = refused(write("log:\n  level: info\ncameras:\n  - {name: front, source: [0\n"))

    assert "node.yaml:5: " in error.message


def test_a_file_that_is_no_text_names_the_line(tmp_path):
    path = tmp_path / "node.yaml"
    path.write_bytes(b"log:\n  level: \xff\n")

    assert "node.yaml:2: is not UTF-8 text" in refused(path).message


def test_an_empty_file_gives_the_defaults(write):
    assert config.load(write("# nothing yet\n"), {}).settings.worker.model == "none"


def test_a_bare_off_is_the_word_off_and_not_a_boolean(write):
    path = write("worker: {prefill_ahead: off}\nsecurity: {transport_security: off}\n")

    settings = config.load(path, {}).settings

    assert settings.worker.prefill_ahead == "off"
    assert settings.security.transport_security == "off"


def test_a_camera_number_is_a_source(write):
    path = write("cameras: [{name: front, source: 0}]\n")

    assert config.load(path, {}).settings.cameras[0].source == "0"


@pytest.mark.parametrize("endpoint", ["tcp://127.0.0.1:5555", "tcp://[::1]:5555", "ipc:///a/b"])
def test_an_endpoint_of_this_machine_needs_no_keys(endpoint):
    loaded = config.load(None, {}, {"worker.endpoint": endpoint})

    assert loaded.settings.worker.endpoint == endpoint


@pytest.mark.parametrize("endpoint", ["tcp://*:5555", "tcp://0.0.0.0:5555", "tcp://robot7:5555"])
def test_an_endpoint_beyond_this_machine_is_refused_without_keys(tmp_path, endpoint):
    flags = {"worker.endpoint": endpoint, "security.keys_dir": str(tmp_path)}

    error = refused(flags=flags)

    assert f"--endpoint: worker.endpoint: {endpoint} reaches beyond" in error.message
    assert "molmo-node keys new" in error.hint


def test_an_endpoint_beyond_this_machine_is_allowed_with_keys(tmp_path):
    (tmp_path / "server.key_secret").touch()
    flags = {"worker.endpoint": "tcp://*:5555", "security.keys_dir": str(tmp_path)}

    assert config.load(None, {}, flags).settings.worker.endpoint == "tcp://*:5555"


def test_keys_do_not_help_where_security_is_off(tmp_path):
    (tmp_path / "server.key_secret").touch()
    flags = {
        "worker.endpoint": "tcp://*:5555",
        "security.keys_dir": str(tmp_path),
        "security.transport_security": "off",
    }

    assert "transport_security is off" in refused(flags=flags).message


def test_relative_paths_of_a_file_stand_on_its_folder(write, tmp_path):
    (tmp_path / "dials").mkdir()
    path = write("gauges: {folder: profiles}\ncameras: [{name: a, source: dials}, {name: b}]\n")

    settings = config.load(path, {}).settings

    assert settings.gauges.folder == tmp_path / "profiles"
    assert settings.cameras[0].source == str(tmp_path / "dials")
    assert settings.cameras[1].source == "pattern"


def test_a_watch_becomes_the_workers_own_form(write):
    text = """
    cameras: [{name: front}]
    watches:
      - {name: cap, task: point, text: the cap, camera: front, rate_hz: 2, roi: [1, 2, 30, 40]}
    """

    spec = config.load(write(text), {}).settings.watches[0].spec()

    assert (spec.name, spec.camera, spec.rate_hz) == ("cap", "front", 2.0)
    assert spec.question.text == "the cap"
    assert spec.question.roi == Roi(x_px=1, y_px=2, width_px=30, height_px=40)


def test_what_is_shown_has_every_value_its_origin_and_no_password(write):
    path = write("cameras: [{name: yard, source: 'rtsp://me:s3cret@10.0.0.7/ch1'}]\n")

    rows = {row.key: row for row in config.show(config.load(path, {}))}

    assert rows["cameras.0.source"].value == "rtsp://***@10.0.0.7/ch1"
    assert rows["cameras.0.source"].origin == str(path)
    assert rows["worker.queries_waiting"].value == limits.QUERIES_WAITING
    assert rows["worker.queries_waiting"].origin == "default"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://u:p@h:554/x", "rtsp://***@h:554/x"),
        ("rtsp://u:p@w@h/x", "rtsp://***@h/x"),
        ("http://h/video?user=u&password=p&n=1", "http://h/video?user=***&password=***&n=1"),
        ("rtsp://h/user=u&password=p/ch", "rtsp://h/user=***&password=***/ch"),
        ("/dev/video0", "/dev/video0"),
    ],
)
def test_passwords_are_masked(text, shown):
    assert config.mask(text) == shown


def test_an_error_shows_no_password(write):
    error = refused(write("cameras: [{name: a, endpoint: 'http://u:p@h:1'}]\n"))

    assert "u:p" not in str(error)


def test_the_schema_describes_every_setting():
    schema = config.schema()

    described = [
        (part, key)
        for part, body in {"": schema, **schema["$defs"]}.items()
        for key, field in body["properties"].items()
        if not field.get("description")
    ]
    assert described == []
    assert schema["additionalProperties"] is False


def test_the_run_dir_is_made_for_this_user_only(tmp_path):
    path = config.ensure_run_dir(tmp_path / "run")

    assert path.stat().st_mode & 0o777 == 0o700


def test_a_run_dir_that_others_can_enter_is_refused(tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    path.chmod(0o755)

    with pytest.raises(ConfigError, match="mode 0755 lets others in") as caught:
        config.ensure_run_dir(path)

    assert caught.value.hint == f"chmod 700 {path}"


def test_a_run_dir_too_long_for_a_socket_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="bytes long"):
        config.ensure_run_dir(tmp_path / ("x" * 90))


def test_without_a_session_folder_the_run_dir_is_the_users_own_in_tmp(monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/nonexistent/anywhere")

    path = config.default_run_dir()

    assert path.name == f"molmo-{os.getuid()}"
    assert not path.is_relative_to("/nonexistent")

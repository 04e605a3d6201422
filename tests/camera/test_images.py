"""Pictures in files travel untouched; what is no picture is rejected and the rest goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from molmo_node import imaging
from molmo_node.camera.base import BadFrame, EndOfStream, make_source
from molmo_node.camera.convert import converter
from molmo_node.camera.images import expand
from molmo_node.camera.pattern import background
from molmo_node.camera.spec import SourceSpec, parse_source
from molmo_node.errors import CameraError

from .fakes import FakeClock, Recorder, make_loop


def png(width, height):
    cv2 = imaging.load_cv2()
    return bytes(cv2.imencode(".png", background(width, height)[..., ::-1])[1])


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "b.jpg").write_bytes(imaging.encode_jpeg(background(64, 48)))
    (tmp_path / "c.PNG").write_bytes(png(80, 60))
    (tmp_path / "a.jpeg").write_bytes(imaging.encode_jpeg(background(100, 50)))
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def spec_of(text, **changes):
    spec = parse_source(str(text))
    facts = {name: getattr(spec, name) for name in ("kind", "target", "label")}
    return SourceSpec(**(facts | changes))


def played(spec, clock=None):
    """Run a spec through the loop; it ends at EndOfStream."""
    clock, recorder = clock or FakeClock(), Recorder()
    loop = make_loop([make_source(spec, clock)], recorder, clock)
    loop.run()
    return recorder, loop


def test_a_folder_is_played_in_order_with_its_bytes_untouched(folder):
    recorder, _ = played(spec_of(folder, loop=False))

    bodies = [grabbed.body for grabbed, _ in recorder.frames]
    assert bodies == [(folder / name).read_bytes() for name in ("a.jpeg", "b.jpg", "c.PNG")]
    assert [(g.encoding, g.width, g.height) for g, _ in recorder.frames] == [
        ("jpeg", 100, 50), ("jpeg", 64, 48), ("png", 80, 60),
    ]  # fmt: skip
    assert recorder.states == ["ready", "stopped"]


def test_a_list_keeps_its_order_and_a_glob_is_sorted(folder):
    listed = expand(f"{folder}/c.PNG, {folder}/a.jpeg")
    globbed = expand(f"{folder}/*.jp*g")

    assert [path.name for path in listed] == ["c.PNG", "a.jpeg"]
    assert [path.name for path in globbed] == ["a.jpeg", "b.jpg"]


def test_a_file_whose_name_holds_a_comma_or_bracket_is_that_file(tmp_path):
    for name in ("a,b.jpg", "a[1].jpg"):
        (tmp_path / name).write_bytes(b"x")
        assert [path.name for path in expand(str(tmp_path / name))] == [name]


def test_the_rate_is_that_of_the_spec(folder):
    recorder, _ = played(spec_of(folder, loop=False, fps=2.0))

    first, second, third = (ref.mono_ns for ref in recorder.refs)
    assert second - first == third - second == 500_000_000


def test_corrupt_files_are_rejected_by_reason_and_the_others_go_on(folder):
    good = (folder / "b.jpg").read_bytes()
    (folder / "d.jpg").write_bytes(good[: len(good) // 2])
    (folder / "e.jpg").write_bytes(b"")
    (folder / "f.jpg").write_bytes(b"no picture")
    (folder / "g.png").write_bytes(png(8, 8))
    (folder / "h.jpg").write_bytes(good)

    recorder, loop = played(spec_of(folder, loop=False))

    counters = loop.counters()
    assert len(recorder.frames) == 4
    assert (counters["grabbed"], counters["rejected"]) == (8, 4)
    assert {name: n for name, n in counters.items() if name.startswith("rejected_") and n} == {
        "rejected_truncated": 1, "rejected_empty": 1, "rejected_encoding": 1, "rejected_header": 1,
    }  # fmt: skip


def test_a_file_over_the_limit_is_not_read_whole(folder):
    with (folder / "0.jpg").open("wb") as file:
        file.truncate(1 << 40)
    source = make_source(spec_of(folder), FakeClock())
    source.open()

    with pytest.raises(BadFrame) as failure:
        source.read()

    assert failure.value.reason == "size"
    assert source.read().width == 100


def test_a_loop_begins_again_and_sees_new_files(folder):
    source = make_source(spec_of(folder), FakeClock())
    source.open()
    for _ in range(3):
        source.read()
    (folder / "0.jpg").write_bytes(imaging.encode_jpeg(background(40, 40)))

    assert source.read().width == 40


def test_a_picture_that_vanishes_is_rejected_while_others_are_there(folder):
    source = make_source(spec_of(folder), FakeClock())
    source.open()
    (folder / "a.jpeg").unlink()

    with pytest.raises(BadFrame) as failure:
        source.read()

    assert failure.value.reason == "unreadable"
    assert source.read().width == 64


def test_a_folder_that_vanishes_and_returns_is_lost_and_reopened(folder):
    clock, recorder = FakeClock(), Recorder()
    spec = spec_of(folder, fps=10.0)
    content = {path.name: path.read_bytes() for path in folder.iterdir()}

    def publish(grabbed, ref):
        recorder.publish(grabbed, ref)
        if ref.seq == 4:
            for path in folder.iterdir():
                path.unlink()
        if ref.seq == 8:
            loop._stop.set()

    def report(state, detail):
        recorder.report(state, detail)
        if state == "lost":
            for name, body in content.items():
                (folder / name).write_bytes(body)

    loop = make_loop([make_source(spec, clock) for _ in range(3)], recorder, clock)
    loop._publish, loop._ledger._report = publish, report
    loop.run()

    assert [ref.seq for ref in recorder.refs] == list(range(9))
    assert recorder.states == ["ready", "lost", "ready", "stopped"]
    assert [ref.session for ref in recorder.refs] == ["s0"] * 5 + ["s1"] * 4


@pytest.mark.parametrize("name", ["nothing/", "nothing.jpg", "*.png", "empty"])
def test_a_source_without_pictures_says_so(tmp_path, name):
    (tmp_path / "empty").mkdir()

    with pytest.raises(CameraError, match="no JPEG or PNG"):
        make_source(spec_of(f"{tmp_path}/{name}"), FakeClock()).open()


def test_playing_once_ends(folder):
    source = make_source(spec_of(folder / "b.jpg", loop=False), FakeClock())
    source.open()
    source.read()

    with pytest.raises(EndOfStream):
        source.read()


@pytest.mark.parametrize(("wanted", "encoding"), [("raw", "rgb8"), ("mjpeg", "jpeg")])
def test_conversion_gives_one_encoding_for_all(folder, wanted, encoding):
    spec = spec_of(folder, loop=False, encoding=wanted)
    clock, recorder = FakeClock(), Recorder()
    make_loop([make_source(spec, clock)], recorder, clock, convert=converter(spec)).run()

    assert {grabbed.encoding for grabbed, _ in recorder.frames} == {encoding}
    for grabbed, _ in recorder.frames:
        rgb = imaging.decode_rgb(
            grabbed.body, grabbed.encoding, grabbed.width, grabbed.height, grabbed.stride
        )
        assert abs(rgb.astype(int) - background(grabbed.width, grabbed.height)).mean() < 4


@settings(deadline=None)  # a loaded machine is no failure
@given(st.text(alphabet="ab*?[],~./", max_size=12).map("nowhere/".__add__))
@example("~nobody/shots")
@example("x" * 5000)
def test_any_target_without_pictures_is_a_camera_error(target):
    with pytest.raises(CameraError):
        make_source(SourceSpec(kind="images", target=target, label="x"), FakeClock()).open()


PHOTOGRAPHS = Path(__file__).parents[3] / "shared" / "data" / "instruments" / "images"


@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="the shared photographs are not here")
def test_real_photographs_all_travel_untouched():
    recorder, loop = played(spec_of(f"{PHOTOGRAPHS}/", loop=False))

    assert [grabbed.body for grabbed, _ in recorder.frames] == [
        path.read_bytes() for path in expand(str(PHOTOGRAPHS))
    ]
    assert loop.counters()["rejected"] == 0
    assert len(recorder.frames) > 10

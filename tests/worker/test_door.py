"""What a client asks is held against the limits before anything trusts it."""

from __future__ import annotations

import msgspec
import pytest

from molmo_node.bus import limits
from molmo_node.errors import ProtocolError
from molmo_node.messages import Query, Question, Roi, WatchSpec
from molmo_node.worker.door import check_image, check_query, check_question, check_spec

QUESTION = Question.point("the red mug")
QUERY = Query(id="1", question=QUESTION)
SPEC = WatchSpec(name="mug", question=QUESTION)
HUGE = 2**64 - 1


def roi(x_px=0, y_px=0, width_px=64, height_px=64):
    return Roi(x_px=x_px, y_px=y_px, width_px=width_px, height_px=height_px)


def test_a_usual_question_passes():
    check_query(msgspec.structs.replace(QUERY, max_age_ms=0.0, camera="front"))
    check_spec(SPEC)
    check_question(Question.describe(roi=roi(100, 100)))


@pytest.mark.parametrize(
    "change",
    [
        {"id": ""},
        {"id": "x" * (limits.ID_CHARS + 1)},
        {"deadline_ms": 0.0},
        {"deadline_ms": -1.0},
        {"deadline_ms": limits.DEADLINE_MS + 1},
        {"max_age_ms": -0.001},
        {"max_age_ms": 1e300},
        {"camera": "../front"},
        {"camera": "f" * 65},
        {"question": Question.point(" ")},
    ],
    ids=str,
)
def test_a_query_beyond_the_limits_is_refused(change):
    with pytest.raises(ProtocolError):
        check_query(msgspec.structs.replace(QUERY, **change))


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": "Mug"},
        {"name": "answer/front"},
        {"rate_hz": 0.0},
        {"rate_hz": -1.0},
        {"rate_hz": 5e-324},
        {"rate_hz": limits.WATCH_RATE_HZ + 0.1},
        {"max_age_ms": 1e300},
        {"camera": "front/ask"},
        {"question": Question.ask("")},
    ],
    ids=str,
)
def test_a_watch_beyond_the_limits_is_refused(change):
    with pytest.raises(ProtocolError):
        check_spec(msgspec.structs.replace(SPEC, **change))


@pytest.mark.parametrize(
    "question",
    [
        Question.ask("é" * (limits.PROMPT_BYTES // 2 + 1)),
        Question.extract("é" * (limits.SCHEMA_BYTES // 2 + 1)),
        Question.count(""),
        Question.describe(roi=roi(x_px=-1)),
        Question.describe(roi=roi(y_px=HUGE)),
        Question.describe(roi=roi(width_px=limits.IMAGE_MIN_SIDE_PX - 1)),
        Question.describe(roi=roi(height_px=HUGE)),
    ],
)
def test_a_question_beyond_the_limits_is_refused(question):
    with pytest.raises(ProtocolError):
        check_question(question)


def test_a_picture_must_come_with_a_question_about_one():
    with pytest.raises(ProtocolError, match="no picture came"):
        check_image([])


@pytest.mark.parametrize("picture", [b"", b"GIF89a", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_refused(picture):
    with pytest.raises(ProtocolError):
        check_image([picture])

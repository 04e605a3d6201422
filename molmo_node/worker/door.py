"""What clients ask, held against the limits before anything trusts it.

The decoder has seen to types, and that no number is NaN or infinite; this is the rest.
"""

from __future__ import annotations

from molmo_node import imaging
from molmo_node.bus import limits
from molmo_node.errors import ProtocolError
from molmo_node.messages import Query, Question, Roi, WatchSpec
from molmo_node.worker.queries import Image


def check_query(query: Query) -> None:
    """Hold a one-shot question against the limits.

    Raises:
        ProtocolError: which field, what was found, what is allowed.
    """
    if not 0 < len(query.id) <= limits.ID_CHARS:
        raise ProtocolError(
            f"query id of {len(query.id)} characters, 1 to {limits.ID_CHARS} expected"
        )
    if not 0 < query.deadline_ms <= limits.DEADLINE_MS:
        raise ProtocolError(f"deadline_ms {query.deadline_ms} is not in (0, {limits.DEADLINE_MS}]")
    _check_camera(query.camera)
    _check_age(query.max_age_ms)
    check_question(query.question)


def check_spec(spec: WatchSpec) -> None:
    """Hold a watch against the limits.

    Raises:
        ProtocolError: which field, what was found, what is allowed.
    """
    if not limits.NAME.fullmatch(spec.name):
        raise ProtocolError(f"{spec.name[:80]!r} cannot name a watch", hint="use a-z, 0-9, - and _")
    if not limits.WATCH_RATE_MIN_HZ <= spec.rate_hz <= limits.WATCH_RATE_HZ:
        raise ProtocolError(
            f"rate_hz {spec.rate_hz} is not in [{limits.WATCH_RATE_MIN_HZ}, {limits.WATCH_RATE_HZ}]"
        )
    _check_camera(spec.camera)
    _check_age(spec.max_age_ms)
    check_question(spec.question)


def check_question(question: Question) -> None:
    """Hold a question against the limits.

    Raises:
        ProtocolError: which field, what was found, what is allowed.
    """
    _check_bytes("text", question.text, limits.PROMPT_BYTES)
    _check_bytes("schema", question.schema or "", limits.SCHEMA_BYTES)
    if question.task in ("point", "count", "ask") and not question.text.strip():
        raise ProtocolError(f"{question.task} without a text", hint="say what is asked for")
    if question.roi is not None:
        _check_roi(question.roi)


def check_image(attached: list[bytes]) -> Image:
    """Look at an attached picture's header, before anything decodes it.

    Raises:
        ProtocolError: none, too large, neither JPEG nor PNG, or sides outside the limits.
    """
    if not attached:
        raise ProtocolError(
            "frame is 'attached', and no picture came with the query",
            hint="send the JPEG or PNG file as the second message part",
        )
    encoding = imaging.sniff(attached[0])
    imaging.image_size(attached[0], encoding)
    return encoding, attached[0]


def _check_camera(name: str) -> None:
    if name and not limits.NAME.fullmatch(name):
        raise ProtocolError(
            f"{name[:80]!r} cannot be a camera's name", hint="use a-z, 0-9, - and _"
        )


def _check_age(max_age_ms: float | None) -> None:
    if max_age_ms is not None and not 0 <= max_age_ms <= limits.MAX_AGE_MS:
        raise ProtocolError(f"max_age_ms {max_age_ms} is not in [0, {limits.MAX_AGE_MS}]")


def _check_bytes(field: str, text: str, limit_bytes: int) -> None:
    length = len(text.encode())
    if length > limit_bytes:
        raise ProtocolError(f"{field} of {length} bytes, at most {limit_bytes} allowed")


def _check_roi(roi: Roi) -> None:
    is_region = (
        0 <= roi.x_px < limits.IMAGE_SIDE_PX
        and 0 <= roi.y_px < limits.IMAGE_SIDE_PX
        and limits.IMAGE_MIN_SIDE_PX <= roi.width_px <= limits.IMAGE_SIDE_PX
        and limits.IMAGE_MIN_SIDE_PX <= roi.height_px <= limits.IMAGE_SIDE_PX
    )
    if not is_region:
        raise ProtocolError(
            f"roi {roi.x_px},{roi.y_px} {roi.width_px}x{roi.height_px} px is no region",
            hint=f"at least {limits.IMAGE_MIN_SIDE_PX} px a side, inside the frame",
        )

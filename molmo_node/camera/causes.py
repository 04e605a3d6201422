"""Symptom → cause → next step: what PyAV and the kernel say, as errors a person can act on.

Their own words are not passed on: they carry the URL with its password.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping

from molmo_node.errors import CameraError

_ADDRESS_HINT = "check host and port, and that the camera is on the network: ping it"
_LOGIN_HINT = "check user and password: rtsp://user:password@host/…; % and @ as %25 and %40"
_PATH_HINT = "check the path behind the host: the camera's manual or its ONVIF page names it"

Causes = Mapping[int | str, tuple[str, str]]

FILE_CAUSES: Causes = {
    errno.ENOENT: ("there is no such file", "check the path"),
    errno.EACCES: ("reading it is not permitted", "check its permissions"),
    errno.EISDIR: ("that is a folder", "a folder of pictures ends in /"),
    errno.ENAMETOOLONG: ("the name is too long for a file", "check the path"),
}

STREAM_CAUSES: Causes = {
    **FILE_CAUSES,
    errno.ECONNREFUSED: ("the host refused the connection", _ADDRESS_HINT),
    errno.ECONNRESET: ("the host closed the connection", "it may allow one viewer only"),
    errno.EHOSTUNREACH: ("the host cannot be reached", _ADDRESS_HINT),
    errno.ENETUNREACH: ("the network cannot be reached", _ADDRESS_HINT),
    errno.ETIMEDOUT: ("the host did not answer", _ADDRESS_HINT),
    "HTTPUnauthorizedError": ("user or password was refused", _LOGIN_HINT),
    "HTTPForbiddenError": ("the host forbids it", _LOGIN_HINT),
    "HTTPNotFoundError": ("the host knows no such stream", _PATH_HINT),
    "InvalidDataError": ("what came is no video that can be read", "try it with ffprobe"),
    "EOFError": ("it holds no frames", "try it with ffprobe"),
}

V4L2_CAUSES: Causes = {
    errno.ENOENT: (
        "there is no such device",
        "`molmo-node cameras` shows what is there; numbers change after a re-plug,"
        " names in /dev/v4l/by-id do not",
    ),
    errno.ENODEV: ("the device is gone", "check the cable; it is reopened when it is back"),
    errno.ENXIO: ("the device is gone", "check the cable; it is reopened when it is back"),
    errno.EBUSY: (
        "another program holds it",
        "`molmo-node cameras` names that program; one program may stream at a time",
    ),
    errno.ENOSPC: (
        "the USB bus has no bandwidth left for it (the kernel says `No space left on device`,"
        " no disk is meant)",
        "set encoding: mjpeg, a smaller size or a lower fps, or use a port of another USB"
        " controller: `lsusb -t`",
    ),
    errno.EACCES: ("no permission", "add the user to group video: sudo usermod -aG video $USER"),
    errno.EPERM: ("no permission", "add the user to group video: sudo usermod -aG video $USER"),
    errno.EINVAL: (
        "it cannot do the format, size or rate that was asked for",
        "`molmo-node cameras` lists what it can do",
    ),
    errno.ENOTTY: (
        "it is no capture device",
        "a webcam makes two nodes, the second is for metadata: try the lower number",
    ),
    errno.EIO: ("the device fails to transfer", "check cable and hub; plug it in again"),
    errno.EPROTO: ("the device fails to transfer", "check cable and hub; plug it in again"),
    errno.ETIMEDOUT: ("it sends no frames", "check cable and hub; plug it in again"),
}


def camera_error(label: str, exc: Exception, causes: Causes) -> CameraError:
    """Name the cause of a failed open or read.

    Args:
        label: the source as it may be shown, without user and password.
        exc: what was raised; its errno or its class's name is looked up in `causes`.
    """
    number = getattr(exc, "errno", None)
    keys: list[int | str] = [kind.__name__ for kind in type(exc).__mro__]
    if isinstance(number, int):
        keys.insert(0, number)
    for key in keys:
        if key in causes:
            cause, hint = causes[key]
            return CameraError(f"{label}: {cause}", hint=hint)
    return CameraError(f"{label}: failed with {type(exc).__name__} (error {number})")


def timeout_error(label: str, doing: str, wait_s: float) -> CameraError:
    """The source was silent for longer than it may be."""
    return CameraError(
        f"{label}: gave nothing within {wait_s:g} s while {doing}",
        hint="check that it is switched on and that the network carries its rate",
    )

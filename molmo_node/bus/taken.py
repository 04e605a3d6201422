"""Who listens at an endpoint already, as far as this user may know."""

from __future__ import annotations

import socket
import struct

import psutil

_PEER = struct.Struct("3i")  # pid, user, group of the one that listens


def ipc_holder(path: str) -> int | None:
    """The pid of the process that listens at a Unix socket's path; None if nobody does.

    A second ``bind`` of libzmq to such a path succeeds, and cuts the first one off.
    """
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            return None
        pid, _, _ = _PEER.unpack(
            probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
        )
        return int(pid)


def tcp_holder(port: int) -> int | None:
    """The pid of the process that listens at a port; None if it is not this user's to see."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.Error:
        return None
    for one in connections:
        if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr[1] == port:
            return one.pid
    return None

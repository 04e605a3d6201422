"""GPU memory, from a library that may be missing, broken or without a GPU."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from molmo_node.web.gpu import gpus


class NVMLError(Exception):
    pass


def library(count=1, init=None, memory=None):
    """NVIDIA's library as far as we use it."""

    def fail_or(value):
        if isinstance(value, Exception):
            raise value
        return value

    return SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=lambda: fail_or(init),
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: count,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetMemoryInfo=lambda handle: fail_or(memory or SimpleNamespace(used=3, total=8)),
        nvmlDeviceGetName=lambda handle: b"NVIDIA Test",
    )


def test_each_gpu_is_named_with_its_memory(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", library(count=2))

    assert gpus() == [
        {"index": index, "name": "NVIDIA Test", "used_bytes": 3, "total_bytes": 8}
        for index in range(2)
    ]


@pytest.mark.parametrize(
    "found",
    [None, library(init=NVMLError("driver")), library(memory=NVMLError("lost")), library(count=0)],
    ids=["no library", "no driver", "lost", "no GPU"],
)
def test_without_one_there_is_nothing_to_show(monkeypatch, found):
    monkeypatch.setitem(sys.modules, "pynvml", found)

    assert gpus() == []

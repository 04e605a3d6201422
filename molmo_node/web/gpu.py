"""The memory of this machine's GPUs, where NVIDIA's library is installed."""

from __future__ import annotations

import logging
from typing import Any

log = logging.getLogger(__name__)


def gpus() -> list[dict[str, Any]]:
    """Name, used and total bytes of each GPU; empty where there is none, or no library.

    Starts and ends the library each time, so that a driver that was updated is no trap.
    """
    try:
        import pynvml
    except ImportError:
        return []
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        return [_gpu(pynvml, index) for index in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError as exc:
        log.warning("GPU cannot be asked", extra={"why": str(exc)})
        return []
    finally:
        pynvml.nvmlShutdown()


def _gpu(nvml: Any, index: int) -> dict[str, Any]:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    name = nvml.nvmlDeviceGetName(handle)
    return {
        "index": index,
        "name": name.decode() if isinstance(name, bytes) else name,
        "used_bytes": int(memory.used),
        "total_bytes": int(memory.total),
    }

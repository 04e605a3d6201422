"""Safetensors files by their headers: which tensors they hold, and whether they are whole.

Nothing here needs torch, and nothing reads a tensor.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path

from molmo_node.errors import ModelError

Shape = tuple[int, ...]
_SINGLE = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_HEADER_LIMIT_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class TensorEntry:
    """One tensor as a file's header describes it."""

    dtype: str
    shape: Shape
    file: Path


def read_header(file: Path) -> dict[str, TensorEntry]:
    """The tensors that a safetensors file says it holds; its length must agree.

    Raises:
        ModelError: not there, not a safetensors file, or cut.
    """
    try:
        length = file.stat().st_size
        with file.open("rb") as stream:
            (size,) = struct.unpack("<Q", stream.read(8))
            if size > min(length, _HEADER_LIMIT_BYTES):
                raise ModelError(f"{file}: its header says {size} bytes, the file has {length}")
            header = json.loads(stream.read(size))
    except (OSError, struct.error, ValueError) as exc:
        raise ModelError(
            f"{file}: cannot be read as safetensors ({type(exc).__name__})",
            hint="pull the model again; an interrupted download resumes",
        ) from exc
    header.pop("__metadata__", None)
    end = 8 + size + max((entry["data_offsets"][1] for entry in header.values()), default=0)
    if end != length:
        raise ModelError(
            f"{file}: {length} bytes, its header asks for {end}: the file was cut or changed",
            hint="pull the model again; an interrupted download resumes",
        )
    return {
        name: TensorEntry(entry["dtype"], tuple(entry["shape"]), file)
        for name, entry in header.items()
    }


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a folder, one or as its index names them.

    Raises:
        ModelError: none, or one that the index names is missing.
    """
    index = folder / _INDEX
    if not index.exists():
        if (folder / _SINGLE).exists():
            return [folder / _SINGLE]
        raise ModelError(f"{folder}: neither {_SINGLE} nor {_INDEX} is there")
    try:
        names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as exc:
        raise ModelError(f"{index}: not an index of safetensors files") from exc
    missing = [name for name in names if not (folder / name).exists()]
    if missing:
        raise ModelError(
            f"{folder}: {len(missing)} of {len(names)} weight files are missing, "
            f"first {missing[0]}",
            hint="pull the model again; an interrupted download resumes",
        )
    return [folder / name for name in names]

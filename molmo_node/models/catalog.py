"""The models that are known: their size, the memory they need, what is on disk, and pulling.

This backs `molmo-node models`; it needs huggingface_hub and no torch.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from molmo_node.errors import ConfigError, ModelError
from molmo_node.models.hub import DATA_FILES, snapshot

BYTES_OF = {"float32": 4, "bfloat16": 2}
# Over the weights: crops in the tower, prefill activations, keys and values of eight questions.
_WORKING_SHARE = 0.08
_WORKING_BYTES = 2 * 1024**3


@dataclass(frozen=True)
class KnownModel:
    """One published model.

    `parameters` are counted from the published shapes for Molmo v1 (their sum equals the
    published index of 7B-D); for Molmo2 they are the nominal sizes, which `is_counted` says.
    `revision` is the commit that was seen pinned elsewhere, or None for the newest.
    """

    name: str
    family: str
    parameters: int
    is_counted: bool
    stored_bytes_each: int
    licence: str
    note: str
    revision: str | None = None

    @property
    def download_bytes(self) -> int:
        """About what a pull fetches."""
        return self.parameters * self.stored_bytes_each

    def memory_bytes(self, dtype: str) -> int:
        """About what it needs while it answers, weights and working memory, in this dtype."""
        weights = self.parameters * BYTES_OF[dtype]
        return int(weights * (1 + _WORKING_SHARE)) + _WORKING_BYTES


KNOWN = (
    KnownModel(
        "allenai/Molmo-7B-D-0924", "molmo", 8_021_025_280, True, 4, "Apache-2.0",
        "the default: Qwen2-7B", "cab33fb7f1a40091911f81165f8481920621948f",
    ),
    KnownModel(
        "allenai/Molmo-7B-O-0924", "molmo", 7_665_032_192, True, 4, "Apache-2.0",
        "fully open: OLMo-7B", "ed442fa7789ab66fc9f435f790823319d51196fb",
    ),
    KnownModel(
        "allenai/MolmoE-1B-0924", "molmo", 7_221_875_712, True, 4, "Apache-2.0",
        "mixture of experts, 1.5 B active a token",
    ),
    KnownModel(
        "allenai/Molmo-72B-0924", "molmo", 73_308_285_952, True, 4, "Apache-2.0",
        "Qwen2-72B: several accelerators",
    ),
    KnownModel(
        "allenai/Molmo2-4B", "molmo2", 4_900_000_000, False, 4, "Apache-2.0",
        "Qwen3-4B; the smallest Molmo2",
    ),
    KnownModel(
        "allenai/Molmo2-8B", "molmo2", 8_700_000_000, False, 4, "Apache-2.0", "Qwen3-8B",
    ),
    KnownModel(
        "allenai/Molmo2-O-7B", "molmo2", 7_800_000_000, False, 4, "Apache-2.0",
        "fully open: OLMo 3 7B",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class OnDisk:
    """What of a model lies in the hub's cache of this machine.

    `folder` is the newest snapshot; `is_whole` says whether its weight files are all there.
    """

    name: str
    folder: Path
    revision: str
    nbytes: int
    is_whole: bool


@dataclass(frozen=True)
class Entry:
    """A row of `molmo-node models`: a known model, one found on disk, or both."""

    name: str
    known: KnownModel | None
    on_disk: OnDisk | None


def known_model(name: str) -> KnownModel | None:
    """The known model of this name, with or without its organisation; case does not matter."""
    wanted = name.lower()
    for model in KNOWN:
        if wanted in (model.name.lower(), model.name.lower().partition("/")[2]):
            return model
    return None


def list_models(cache_dir: Path | None = None) -> list[Entry]:
    """All known models, then others of Molmo's kind that are in the hub's cache.

    Args:
        cache_dir: the hub's cache; None: where HF_HOME or HF_HUB_CACHE say.
    """
    found = {item.name: item for item in _scan(cache_dir)}
    entries = [Entry(model.name, model, found.pop(model.name, None)) for model in KNOWN]
    entries += [Entry(name, None, item) for name, item in sorted(found.items())]
    return entries


def _scan(cache_dir: Path | None) -> list[OnDisk]:
    try:
        from huggingface_hub import scan_cache_dir
        from huggingface_hub.errors import CacheNotFound
    except ModuleNotFoundError:  # without the [model] extra nothing can be on disk
        return []

    try:
        cache = scan_cache_dir(cache_dir)
    except CacheNotFound:
        return []
    found = []
    for repo in cache.repos:
        is_molmo = "molmo" in repo.repo_id.lower()
        if repo.repo_type != "model" or not is_molmo or not repo.revisions:
            continue
        newest = max(repo.revisions, key=lambda revision: revision.last_modified)
        folder = Path(newest.snapshot_path)
        found.append(
            OnDisk(repo.repo_id, folder, newest.commit_hash, newest.size_on_disk, _is_whole(folder))
        )
    return found


def _is_whole(folder: Path) -> bool:
    """Whether all weight files are there and uncut, by their headers."""
    from molmo_node.models.safetensors_files import read_header, weight_files

    try:
        for file in weight_files(folder):
            read_header(file)
    except ModelError:
        return False
    return (folder / "config.json").exists()


def pull(
    name: str,
    *,
    revision: str | None = None,
    cache_dir: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Fetch a model, or what is still missing of it, and check its files.

    A broken-off pull goes on where it stopped. Only data is fetched, never code.

    Args:
        name: a known model's name, or any hub name.
        revision: a commit, tag or branch; None: the known model's pinned commit, else the
            newest.
        progress: is told bytes that have arrived and bytes in all; None: the hub client's own
            bars, on a terminal.

    Returns:
        The folder.

    Raises:
        ConfigError: not a name.
        ModelError: no room on the disk, the hub cannot give it, or a file arrived broken.
    """
    known = known_model(name)
    if known is None and name.count("/") != 1:
        raise ConfigError(
            f"{name!r} is no known model and no hub name",
            hint="`molmo-node models` lists the known ones",
        )
    full_name = known.name if known else name
    if known:
        _check_room(known, cache_dir)
    options: dict[str, Any] = {"revision": revision or (known.revision if known else None)}
    if cache_dir is not None:
        options["cache_dir"] = cache_dir
    if progress is not None:
        options["tqdm_class"] = _bar_class(progress)
    folder = snapshot(full_name, DATA_FILES, **options)
    if not _is_whole(folder):
        raise ModelError(
            f"{full_name}: its files did not arrive whole in {folder}",
            hint="pull it again; what is there is kept",
        )
    return folder


def _check_room(model: KnownModel, cache_dir: Path | None) -> None:
    from huggingface_hub.constants import HF_HUB_CACHE

    place = Path(cache_dir or HF_HUB_CACHE)
    while not place.exists():
        place = place.parent
    there = next((e.on_disk for e in list_models(cache_dir) if e.name == model.name), None)
    missing = model.download_bytes - (there.nbytes if there else 0)
    free = shutil.disk_usage(place).free
    if missing > free:
        raise ModelError(
            f"{model.name}: about {missing / 1e9:.0f} GB to fetch, {free / 1e9:.0f} GB free in "
            f"{place}",
            hint="set HF_HOME to a larger disk, or free some room",
        )


def _bar_class(progress: Callable[[int, int], None]) -> type[Any]:
    """A tqdm that tells byte counts to a function instead of drawing a bar.

    The hub's client shows bytes in several bars (arrived, put together); the furthest counts.
    """
    from tqdm.auto import tqdm

    furthest = [0, 0]

    class Told(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)
            super().__init__(*args, **kwargs | {"disable": False, "file": _Nowhere()})

        def update(self, n: float | None = 1) -> bool | None:
            shown: bool | None = super().update(n)
            if self.unit == "B" and self.total:
                furthest[:] = max(furthest[0], int(self.n)), max(furthest[1], int(self.total))
                progress(furthest[0], furthest[1])
            return shown

    return Told


class _Nowhere:
    """A stream that keeps nothing."""

    def write(self, _text: str) -> int:
        return 0

    def flush(self) -> None:
        """Nothing is kept."""

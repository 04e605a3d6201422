"""Model folders from the hub: resumed, pinned, offline where asked, never any code.

Only data is fetched (JSON, text, safetensors); Python files of a repository stay there.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from molmo_node.errors import ModelError

TEXT_FILES = ("*.json", "*.txt", "*.model", "*.jinja")
# What chooses a download among from_pretrained's arguments.
DOWNLOAD_OPTIONS = ("revision", "cache_dir", "local_files_only", "token", "force_download")
DATA_FILES = (*TEXT_FILES, "*.safetensors")


def snapshot(
    name: str | os.PathLike[str], patterns: Sequence[str] = DATA_FILES, **options: Any
) -> Path:
    """The local folder of a model.

    Args:
        name: an existing folder, taken as it is, or a hub name such as
            ``allenai/Molmo-7B-D-0924``.
        patterns: which files are wanted.
        options: `revision`, `cache_dir`, `local_files_only`, `token`, `force_download` of the
            hub's client. HF_HUB_OFFLINE and HF_HOME are honoured by it; a progress bar is
            shown on a terminal.

    Raises:
        ModelError: no such folder, or the hub cannot give it.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    text = str(name)
    if text.count("/") != 1 or text.startswith((".", "/", "~")):
        raise ModelError(f"{text}: no such folder, and not a hub name such as allenai/Molmo-7B-D")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(text, allow_patterns=list(patterns), **options))
    except LocalEntryNotFoundError as exc:
        raise ModelError(
            f"{text}: not on disk, and the hub could not be reached or is switched off",
            hint="pull it where there is a network, or name a folder",
        ) from exc
    except (HfHubHTTPError, HFValidationError, OSError) as exc:
        first_line = (str(exc).splitlines() or [""])[0]
        raise ModelError(f"{text}: the hub gave no such model: {first_line}") from exc

"""Gauge profiles as files: NAME.yaml and, beside it, the picture that it was made from."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from molmo_node.errors import ConfigError

if TYPE_CHECKING:
    from molmo_node.instruments import Profile
    from molmo_node.instruments.pixels import ImageRGB

log = logging.getLogger(__name__)

PATCH_KEY = "patch"
MOST_YAML_BYTES = 1_000_000
MOST_PATCH_PIXELS = 40_000_000
JPEG_QUALITY = 92
HEADER = (
    "# A gauge profile of molmo_node: all places are pixels of the picture it was made from,\n"
    "# of which the patch beside this file is a part. docs/instruments.md explains every key.\n"
)
_Stamp = tuple[int, int, int, int]


def load_profile(path: Path | str) -> Profile:
    """Read NAME.yaml and its picture.

    Raises:
        ConfigError: a file that is missing, half written or wrong; the message names the file
            and the key.
    """
    from molmo_node.instruments.profile_mapping import from_mapping

    path = Path(path)
    mapping = _read_yaml(path)
    patch_name = mapping.pop(PATCH_KEY, None)
    if not isinstance(patch_name, str) or not patch_name or Path(patch_name).name != patch_name:
        raise ConfigError(
            f"{path}: {PATCH_KEY}: {patch_name!r} is not the name of a picture beside this file"
        )
    mapping.setdefault("name", path.stem)
    try:
        return from_mapping(mapping, _read_picture(path.with_name(patch_name)))
    except ConfigError as exc:
        raise ConfigError(f"{path}: {exc.message}", hint=exc.hint) from exc


def save_profile(path: Path | str, profile: Profile) -> None:
    """Write NAME.yaml and NAME.jpg; a reader never sees half of either.

    Raises:
        ConfigError: the files cannot be written.
    """
    from molmo_node.instruments.profile_mapping import to_mapping

    path = Path(path)
    patch_path = path.with_suffix(".jpg")
    mapping = {PATCH_KEY: patch_path.name, **to_mapping(profile)}
    text = HEADER + yaml.safe_dump(
        mapping, sort_keys=False, allow_unicode=True, width=100, default_flow_style=None
    )
    try:
        _replace(patch_path, _jpeg(profile.patch))
        _replace(path, text.encode())
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be written: {exc.strerror or exc}") from exc


class ProfileStore:
    """All profiles of a folder, read again when their files change.

    Args:
        folder: holds NAME.yaml files; need not exist yet.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.errors: dict[str, ConfigError] = {}
        self._profiles: dict[str, Profile] = {}
        self._stamps: dict[str, _Stamp] = {}
        self.reload_if_changed()

    def names(self) -> tuple[str, ...]:
        """Of the profiles that can be read with, sorted."""
        return tuple(sorted(self._profiles))

    def get(self, name: str) -> Profile:
        """The profile in NAME.yaml.

        Raises:
            ConfigError: there is none, or its file never was right.
        """
        if name in self._profiles:
            return self._profiles[name]
        if name in self.errors:
            raise self.errors[name]
        known = ", ".join(self.names()) or "none"
        raise ConfigError(
            f"{self.folder}: no gauge profile {name!r}; known: {known}",
            hint=f"molmo-node gauge new {name or 'NAME'} --image FILE makes one",
        )

    def reload_if_changed(self) -> tuple[str, ...]:
        """Look at the files again; a profile whose file is wrong now stays as it was.

        Returns:
            Names of the profiles that are new, changed or gone. `errors` holds what is wrong.
        """
        changed = []
        paths = {path.stem: path for path in sorted(self.folder.glob("*.yaml"))}
        for name in [name for name in self._stamps if name not in paths]:
            self._forget(name)
            changed.append(name)
        for name, path in paths.items():
            stamp = _stamp(path)
            if stamp != self._stamps.get(name):
                self._stamps[name] = stamp
                changed += [name] if self._load(name, path) else []
        return tuple(changed)

    def _load(self, name: str, path: Path) -> bool:
        try:
            self._profiles[name] = load_profile(path)
        except ConfigError as exc:
            self.errors[name] = exc
            log.warning(
                "gauge profile not taken",
                extra={"profile": name, "fault": str(exc), "kept_old": name in self._profiles},
            )
            return False
        self.errors.pop(name, None)
        return True

    def _forget(self, name: str) -> None:
        self._stamps.pop(name)
        self._profiles.pop(name, None)
        self.errors.pop(name, None)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MOST_YAML_BYTES:
            raise ConfigError(f"{path}: larger than {MOST_YAML_BYTES} bytes, not a profile")
        mapping = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read: {exc.strerror or exc}") from exc
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as exc:
        raise ConfigError(f"{path}: not YAML: {str(exc).splitlines()[0]}") from exc
    if not isinstance(mapping, Mapping) or not all(isinstance(key, str) for key in mapping):
        raise ConfigError(f"{path}: not a mapping of keys to values")
    return dict(mapping)


def _read_picture(path: Path) -> ImageRGB:
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            if picture.width * picture.height > MOST_PATCH_PIXELS:
                raise ConfigError(
                    f"{PATCH_KEY}: {path.name} has {picture.width}×{picture.height} px, "
                    f"at most {MOST_PATCH_PIXELS} px are read"
                )
            return np.asarray(picture.convert("RGB"), dtype=np.uint8)
    except (UnidentifiedImageError, Image.DecompressionBombError, SyntaxError) as exc:
        raise ConfigError(f"{PATCH_KEY}: {path.name} is not a picture") from exc
    except OSError as exc:
        raise ConfigError(
            f"{PATCH_KEY}: {path.name} cannot be read: {exc.strerror or exc}"
        ) from exc


def _jpeg(image: ImageRGB) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _stamp(path: Path) -> _Stamp:
    """Time and size of a profile's file and of the newest picture with its name."""
    stats = [_stat(path), *(_stat(path.with_suffix(kind)) for kind in (".jpg", ".jpeg", ".png"))]
    newest = max(stats[1:])
    return (*stats[0], *newest)


def _stat(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return found.st_mtime_ns, found.st_size

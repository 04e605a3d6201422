"""CURVE keys: made 0600, refused when others may read them, allowed by name.

A keys folder holds ``NAME.key_secret`` and ``NAME.key`` pairs, and in ``allowed/`` the public
keys of the peers that may connect here. The format is the one of `zmq.auth`.
"""

from __future__ import annotations

import logging
import os
import struct
from dataclasses import dataclass
from pathlib import Path

import zmq
from zmq.auth import load_certificate
from zmq.utils import z85

from molmo_node.bus import limits
from molmo_node.errors import ConfigError

log = logging.getLogger(__name__)

PUBLIC_SUFFIX = ".key"
SECRET_SUFFIX = ".key_secret"
_KEY_BYTES = 32


@dataclass(frozen=True)
class KeyPair:
    """A CURVE pair in Z85 text; `secret` never leaves the process."""

    name: str
    public: bytes
    secret: bytes

    def __repr__(self) -> str:
        return f"KeyPair({self.name!r}, public={self.public.decode()!r})"


def new_key(folder: Path, name: str) -> Path:
    """Make a pair, and allow its holder to connect to nodes that use this folder.

    Returns:
        The path of the secret file, mode 0600.

    Raises:
        ConfigError: a bad name, a name in use, or a folder that cannot be written.
    """
    if not limits.NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} cannot name a key", hint="use a-z, 0-9, - and _, at most 64 characters"
        )
    public, secret = zmq.curve_keypair()
    secret_path = folder / (name + SECRET_SUFFIX)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / "allowed").mkdir(mode=0o700, exist_ok=True)
        # First, so that a peer of this name, whose key was copied here, is not replaced.
        _write_new(folder / "allowed" / (name + PUBLIC_SUFFIX), _certificate(public), mode=0o644)
        _write_new(secret_path, _certificate(public, secret), mode=0o600)
        _write_new(folder / (name + PUBLIC_SUFFIX), _certificate(public), mode=0o644)
    except FileExistsError as exc:
        raise ConfigError(
            f"{exc.filename} exists", hint=f"`molmo-node keys revoke {name}` first, or another name"
        ) from exc
    except OSError as exc:
        raise ConfigError(f"keys folder {folder}: {exc.strerror}") from exc
    return secret_path


def allowed_keys(folder: Path) -> dict[bytes, str]:
    """Public keys that may connect here, and the names they stand for.

    A file that is no key lets nobody in and is told in the log: one bad file must not keep the
    others out.
    """
    names: dict[bytes, str] = {}
    for path in sorted((folder / "allowed").glob("*" + PUBLIC_SUFFIX)):
        try:
            names[load_public(path)] = path.name.removesuffix(PUBLIC_SUFFIX)
        except ConfigError as exc:
            log.error("file in allowed/ is no key", extra={"path": str(path), "why": exc.message})
    return names


def revoke_key(folder: Path, name: str) -> None:
    """Take a peer off the allow-list; its open connections last until they break.

    Raises:
        ConfigError: no such name.
    """
    paths = [
        folder / "allowed" / (name + PUBLIC_SUFFIX),
        folder / (name + PUBLIC_SUFFIX),
        folder / (name + SECRET_SUFFIX),
    ]
    if not limits.NAME.fullmatch(name) or not any(path.exists() for path in paths):
        names = ", ".join(sorted(allowed_keys(folder).values())) or "none"
        raise ConfigError(f"{name!r} is not allowed here", hint=f"allowed are: {names}")
    for path in paths:
        path.unlink(missing_ok=True)


def load_pair(folder: Path, name: str) -> KeyPair:
    """Read a pair.

    Raises:
        ConfigError: missing, not a key file, or readable by others.
    """
    path = folder / (name + SECRET_SUFFIX)
    try:
        mode = path.stat().st_mode & 0o777
    except OSError as exc:
        raise ConfigError(
            f"key {path}: {exc.strerror}", hint=f"`molmo-node keys new {name}` makes one"
        ) from exc
    if mode & 0o077:
        raise ConfigError(
            f"key {path} is open to others (mode {mode:o}, expected 600)",
            hint=f"chmod 600 {path}; if others may have read it, revoke it and make a new one",
        )
    public, secret = _load(path)
    if secret is None:
        raise ConfigError(f"key {path} holds no secret key")
    return KeyPair(name, public, secret)


def load_public(path: Path) -> bytes:
    """Read the public key of a peer, as Z85 text.

    Raises:
        ConfigError: missing or not a key file.
    """
    return _load(path)[0]


def _load(path: Path) -> tuple[bytes, bytes | None]:
    try:
        public, secret = load_certificate(path)
        for key in (public, secret or public):
            if len(z85.decode(key)) != _KEY_BYTES:
                raise ValueError
    except (OSError, ValueError, KeyError, struct.error) as exc:
        raise ConfigError(f"key {path} cannot be read as a key file") from exc
    return public, secret


def _certificate(public: bytes, secret: bytes | None = None) -> str:
    lines = ["metadata", "curve", f'    public-key = "{public.decode()}"']
    if secret is not None:
        lines.append(f'    secret-key = "{secret.decode()}"')
    return "\n".join(lines) + "\n"


def _write_new(path: Path, text: str, mode: int) -> None:
    # O_EXCL with the mode: the secret is never readable by others, not for an instant.
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(text)

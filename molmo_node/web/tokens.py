"""The one token that lets a client in, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac

_SCHEME = "bearer "


def bearer_token(authorization: str | None) -> str | None:
    """The token of an ``Authorization: Bearer …`` header; None if it holds none."""
    if authorization is None or not authorization.lower().startswith(_SCHEME):
        return None
    return authorization[len(_SCHEME) :].strip() or None


def is_token(given: str | None, expected: str) -> bool:
    """Whether `given` is the token; how long that takes tells nothing about either.

    Args:
        expected: not empty: an empty one would let everybody in.

    Raises:
        ValueError: `expected` is empty.
    """
    if not expected:
        raise ValueError("an empty token would let everybody in")
    # Hashed first, so that the lengths are equal too.
    return hmac.compare_digest(_digest(given or ""), _digest(expected)) and given is not None


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()

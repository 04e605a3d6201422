"""Keys and values at fixed places: a frame's image block, and an arena for its questions.

The image block of a frame is computed once and kept as a `PrefixKV`. For a batch of
questions it is laid into the first columns of every row of an `Arena`; the questions' own
tokens follow it, row by row, and are overwritten by the next batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

_GROWTH = 256


@dataclass(frozen=True)
class PrefixKV:
    """A frame's image block: a tensor [kv_heads, length, head] a layer, for keys and values."""

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]

    @property
    def length(self) -> int:
        return int(self.keys[0].shape[1])

    @property
    def nbytes(self) -> int:
        return sum(t.nbytes for t in (*self.keys, *self.values))


class PrefillAttend:
    """Causal attention over one sequence [1, …, T, head] that keeps its keys and values."""

    def __init__(self) -> None:
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        assert layer == len(self.keys), "layers come in their order"
        self.keys.append(k[0].contiguous())
        self.values.append(v[0].contiguous())
        groups = q.shape[1] // k.shape[1]
        if groups > 1:
            k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
        out = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return out.transpose(1, 2).flatten(2)

    def prefix(self) -> PrefixKV:
        """What was kept, once all layers have run."""
        return PrefixKV(tuple(self.keys), tuple(self.values))


class Columns(Protocol):
    """Places for new keys and values, as attention needs them."""

    @property
    def mask(self) -> Tensor | None:
        """[B, 1, T, columns] bool, true where a token may look; None: everywhere."""
        ...

    @property
    def positions(self) -> Tensor:
        """[B, T]: the new tokens' places in their sequences."""
        ...

    def put(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Store [B, kv_heads, T, head] and give all columns that the mask speaks of."""
        ...


class Arena:
    """Rows of keys and values, [rows, kv_heads, columns, head] a layer, zeroed once.

    `place` says where the next forward's tokens go; then each layer calls `put` (the
    library's cache calls it `update`) and attends over what it gets back. Columns that hold
    an older batch's leftovers are behind the mask or not in the view.
    """

    def __init__(self, prefix: PrefixKV, rows: int, columns: int) -> None:
        like = prefix.keys[0]
        shape = (rows, like.shape[0], columns, like.shape[2])
        self.keys = [k.new_zeros(shape) for k in prefix.keys]
        self.values = [v.new_zeros(shape) for v in prefix.values]
        self.rows, self.columns = rows, columns
        self.prefix_length = 0
        self._loaded: tuple[PrefixKV, int] | None = None
        self._used = self._count = 0
        self._start: int | None = None
        self._target: tuple[Tensor, Tensor] | None = None
        self.mask: Tensor | None = None
        self.positions = torch.zeros(0)

    def fits(self, rows: int, columns: int, prefix: PrefixKV) -> bool:
        """Whether a batch of this size has room here, on the same device and type."""
        like = prefix.keys[0]
        same = self.keys[0].device == like.device and self.keys[0].dtype == like.dtype
        return same and rows <= self.rows and columns <= self.columns

    def load(self, prefix: PrefixKV, rows: int) -> None:
        """Lay a frame's image block into the first `rows` rows, unless it lies there already."""
        if self._loaded is not None:
            laid, laid_rows = self._loaded
            if laid is prefix and laid_rows >= rows:
                return
        for layer, (k, v) in enumerate(zip(prefix.keys, prefix.values, strict=True)):
            self.keys[layer][:rows, :, : prefix.length] = k
            self.values[layer][:rows, :, : prefix.length] = v
        self.prefix_length = prefix.length
        self._loaded = (prefix, rows)

    def place(self, starts: Sequence[int], tokens: int) -> None:
        """Announce a forward of `tokens` tokens a row; row b's first one is its `starts[b]`-th
        after the image block."""
        device = self.keys[0].device
        first = [self.prefix_length + start for start in starts]
        self._count = len(first)
        self._used = max(first) + tokens
        self._start = first[0] if len(set(first)) == 1 else None
        self.positions = torch.tensor(first, device=device)[:, None] + torch.arange(
            tokens, device=device
        )
        self._target = None
        if self._start is None:
            row = torch.arange(self._count, device=device)[:, None]
            self._target = (row, self.positions)
        self.mask = None
        if tokens > 1 or self._start is None:
            column = torch.arange(self._used, device=device)
            self.mask = (column <= self.positions[..., None])[:, None]

    def put(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Store [B, kv_heads, T, head] where `place` said; the rows up to the last column."""
        keys, values = self.keys[layer], self.values[layer]
        if self._start is not None:
            end = self._start + k.shape[2]
            keys[: self._count, :, self._start : end] = k
            values[: self._count, :, self._start : end] = v
        else:
            assert self._target is not None
            row, column = (index.to(keys.device) for index in self._target)
            keys[row, :, column] = k.transpose(1, 2)
            values[row, :, column] = v.transpose(1, 2)
        return (
            keys[: self._count, :, : self._used],
            values[: self._count, :, : self._used],
        )

    def move_row(self, source: int, target: int, length: int) -> None:
        """Copy a row's own tokens over another row's (the image block is the same)."""
        columns = slice(self.prefix_length, self.prefix_length + length)
        for cache in (*self.keys, *self.values):
            cache[target, :, columns] = cache[source, :, columns]


class ArenaAttend:
    """Attention of new tokens over an arena: query heads that share a key head are folded into
    one, so that nothing is repeated."""

    def __init__(self, arena: Columns) -> None:
        self.arena = arena
        self._mask: Tensor | None = None

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        keys, values = self.arena.put(layer, k, v)
        batch, heads, tokens, width = q.shape
        groups = heads // k.shape[1]
        folded = q.reshape(batch, k.shape[1], groups * tokens, width)
        mask = self._mask_for(groups, q)
        out = functional.scaled_dot_product_attention(folded, keys, values, attn_mask=mask)
        return out.reshape(batch, heads, tokens, width).transpose(1, 2).flatten(2)

    def _mask_for(self, groups: int, like: Tensor) -> Tensor | None:
        """The arena's mask, once for each of the folded heads, as numbers that are added."""
        if self.arena.mask is None:
            return None
        if self._mask is None or self._mask.device != like.device:
            allowed = self.arena.mask.repeat(1, 1, groups, 1).to(like.device)
            blank = torch.zeros(allowed.shape, dtype=like.dtype, device=like.device)
            self._mask = blank.masked_fill(~allowed, float("-inf"))
        return self._mask


def round_up(columns: int) -> int:
    """Arena sizes in steps, so that a slightly longer question does not need a new one."""
    return -(-columns // _GROWTH) * _GROWTH

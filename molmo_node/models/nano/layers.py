"""The network's building blocks: norm, rotary positions in the plane, attention blocks."""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

Rotation = tuple[Tensor, Tensor]
KeyValues = tuple[Tensor, Tensor]


class Norm(nn.Module):
    """Root-mean-square norm; its weight follows the input's type under autocast."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """``(..., width)`` in, the same out."""
        return functional.rms_norm(x, self.weight.shape, self.weight.to(x.dtype), 1e-5)


def plane_rotation(xy: Tensor, head_width: int) -> Rotation:
    """Rotary tables for places in the plane.

    Half of a head's pairs turn with x, half with y, in patches of 28 px; the slowest pair
    turns once in about 100 patches.

    Args:
        xy: ``(..., 2) float``.

    Returns:
        Cosines and sines, each ``(..., head_width / 2)``.
    """
    pairs = head_width // 4
    frequency = 1.5 / (100.0 ** (torch.arange(pairs, device=xy.device).float() / pairs))
    angle = (xy.float()[..., None] * frequency).flatten(-2)
    return angle.cos(), angle.sin()


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """Turn ``(batch, heads, tokens, head_width)`` by tables ``(batch or 1, tokens, half)``."""
    cosine, sine = (table.unsqueeze(1).to(x.dtype) for table in rotation)
    first, second = x.chunk(2, -1)
    return torch.cat((first * cosine - second * sine, first * sine + second * cosine), -1)


class Block(nn.Module):
    """A pre-norm transformer block with rotary attention."""

    def __init__(self, width: int, heads: int, widening: int = 3) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_mlp = Norm(width), Norm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.up, self.down = nn.Linear(width, widening * width), nn.Linear(widening * width, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.down.weight)

    def forward(
        self,
        x: Tensor,
        rotation: Rotation,
        mask: Tensor | None = None,
        past: KeyValues | None = None,
    ) -> tuple[Tensor, KeyValues]:
        """One block.

        Args:
            x: ``(batch, tokens, width)``.
            mask: True where a query may look, ``(batch, 1, tokens, past + tokens)``, or None.
            past: keys and values of the tokens before, ``(batch, heads, past, head_width)``.

        Returns:
            The new states, and the keys and values of past and present tokens.
        """
        batch, tokens, width = x.shape
        split = self.qkv(self.norm_attention(x)).view(batch, tokens, 3, self.heads, -1)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        query, key = rotate(query, rotation), rotate(key, rotation)
        if past is not None:
            key, value = torch.cat((past[0], key), 2), torch.cat((past[1], value), 2)
        mixed = _attend(query, key, value, mask)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, tokens, width))
        x = x + self.down(functional.gelu(self.up(self.norm_mlp(x))))
        return x, (key, value)


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    if query.device.type == "cpu" and query.dtype == torch.bfloat16:
        # plain products reach the CPU's matrix unit; the fused kernel's backward pass does not
        weights = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)
        if mask is not None:
            weights = weights.masked_fill(~mask, -1e4)
        return torch.softmax(weights, -1) @ value
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)


class ConvPair(nn.Module):
    """Two 3 × 3 convolutions around a skip: cheap local detail below the patch's size."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = Norm(width)
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, width, rows, columns)`` in, the same out."""
        normed = self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        change: Tensor = self.second(functional.gelu(self.first(normed)))
        return x + change

"""The network's building blocks: norm, rotary positions in the plane, attention blocks."""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

KeyValues = tuple[Tensor, Tensor]


class Norm(nn.Module):
    """Layer norm without a shift; its weight follows the input's type under autocast.

    On a CPU three times faster than a root-mean-square norm, whose backward pass is not fused.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """``(..., width)`` in, the same out."""
        return functional.layer_norm(x, self.weight.shape, self.weight.to(x.dtype), None, 1e-5)


def plane_rotation(xy: Tensor, head_width: int) -> Tensor:
    """Rotary table for places in the plane.

    Half of a head's pairs turn with x, half with y, both in patches of 28 px; the fastest pair
    turns by 1.5 radians a patch, the slowest by a hundredth of that.

    Args:
        xy: ``(..., 2) float``.

    Returns:
        Cosines and sines ``(2, ..., head_width / 2) float32``.
    """
    pairs = head_width // 4
    frequency = 1.5 / (100.0 ** (torch.arange(pairs, device=xy.device).float() / pairs))
    angle = (xy.float()[..., None] * frequency).flatten(-2)
    return torch.stack((angle.cos(), angle.sin()))


def rotate(x: Tensor, rotation: Tensor) -> Tensor:
    """Turn pairs of a head's numbers, the first half with the second.

    Args:
        x: ``(batch, heads, tokens, head_width)``.
        rotation: a table ``(2, batch or 1, tokens, head_width / 2)`` of `plane_rotation`.
    """
    cosine, sine = rotation.to(x.dtype).unsqueeze(2)
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
        rotation: Tensor,
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

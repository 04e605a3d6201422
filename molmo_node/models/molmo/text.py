"""The language half: one decoder for Qwen2-, OLMo-2- and OLMoE-style checkpoints.

What differs is three switches of the config (norm placement, q/k norm, bias) and whether the
feed-forward is dense or a mixture of experts. Module names are the checkpoints' own.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from molmo_node.models.molmo.configuration import MolmoConfig


class Attend(Protocol):
    """Attention over everything that came before, whoever keeps it.

    Takes this layer's number and new `q` [B, heads, T, head], `k` and `v`
    [B, kv_heads, T, head]; remembers `k` and `v`; gives [B, T, heads · head].
    """

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor: ...


class RMSNorm(nn.Module):
    """x / rms(x) in float32, cast back, then scaled (the cast comes first, as in Llama)."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype == torch.float32:
            return functional.rms_norm(x, self.weight.shape, self.weight, self.eps)
        normed = functional.rms_norm(x.float(), self.weight.shape, None, self.eps)
        return self.weight * normed.to(x.dtype)


class RotaryTable(nn.Module):
    """cos and sin for given positions, float32 inside, halves rotated (not interleaved)."""

    def __init__(self, config: MolmoConfig) -> None:
        super().__init__()
        self.theta = config.rope_theta
        self.head_dim = config.head_dim

    def forward(self, positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """[B, T] int64 → cos and sin [B, 1, T, head], the first half of sin negated."""
        exponents = torch.arange(0, self.head_dim, 2, device=positions.device).float()
        inverse = 1.0 / (self.theta ** (exponents / self.head_dim))
        angles = positions[:, None, :, None].float() * inverse
        cos, sin = angles.cos().to(dtype), angles.sin().to(dtype)
        return torch.cat((cos, cos), dim=-1), torch.cat((-sin, sin), dim=-1)


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    # `sin` has its first half negated: (-b, a) * sin is (b, a) * (-sin, sin).
    return x * cos + torch.roll(x, half, dims=-1) * sin


class SelfAttention(nn.Module):
    """Fused q, k, v; q/k norm over the whole projected vectors, before heads are split."""

    def __init__(self, config: MolmoConfig) -> None:
        super().__init__()
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.head_dim = config.head_dim
        kv_size = self.kv_heads * self.head_dim
        self.sizes = [config.hidden_size, kv_size, kv_size]
        self.att_proj = nn.Linear(config.hidden_size, sum(self.sizes), bias=config.qkv_bias)
        self.attn_out = nn.Linear(config.hidden_size, config.hidden_size, bias=False)
        self.has_qk_norm = config.attention_layer_norm
        if self.has_qk_norm:
            self.q_norm = RMSNorm(config.hidden_size, config.layer_norm_eps)
            self.k_norm = RMSNorm(kv_size, config.layer_norm_eps)

    def attention(
        self, x: Tensor, rotary: tuple[Tensor, Tensor], layer: int, attend: Attend
    ) -> Tensor:
        """[B, T, hidden] → [B, T, hidden]."""
        fused = self.att_proj(x)
        if self.has_qk_norm:
            q, k, v = fused.split(self.sizes, dim=-1)
            fused = torch.cat((self.q_norm(q), self.k_norm(k), v), dim=-1)
        heads = fused.view(*x.shape[:-1], -1, self.head_dim).transpose(1, 2)
        # Queries and keys turn together: half the small operations of a short forward.
        turned, last = self.heads + self.kv_heads, self.kv_heads
        qk = _rotate(heads[:, :turned], *rotary)
        return self.attn_out(
            attend(layer, qk[:, : self.heads], qk[:, self.heads :], heads[:, -last:])
        )


class DenseBlock(SelfAttention):
    """A decoder block of 7B-D, 72B (norm before) and 7B-O (norm after)."""

    def __init__(self, config: MolmoConfig) -> None:
        super().__init__(config)
        self.norm_after = config.norm_after
        self.attn_norm = RMSNorm(config.hidden_size, config.layer_norm_eps)
        self.ff_norm = RMSNorm(config.hidden_size, config.layer_norm_eps)
        self.ff_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.ff_out = nn.Linear(config.feed_forward_size, config.hidden_size, bias=False)

    def feed_forward(self, x: Tensor) -> Tensor:
        """The first half of the fused projection is linear, the second is the gate."""
        up, gate = self.ff_proj(x).chunk(2, dim=-1)
        return self.ff_out(up * functional.silu(gate))

    def forward(
        self, x: Tensor, rotary: tuple[Tensor, Tensor], layer: int, attend: Attend
    ) -> Tensor:
        if self.norm_after:
            x = x + self.attn_norm(self.attention(x, rotary, layer, attend))
            return x + self.ff_norm(self.feed_forward(x))
        x = x + self.attention(self.attn_norm(x), rotary, layer, attend)
        return x + self.feed_forward(self.ff_norm(x))


class _NormedAttention(SelfAttention):
    """MolmoE keeps the attention's norm inside the attention."""

    def __init__(self, config: MolmoConfig) -> None:
        super().__init__(config)
        self.attn_norm = RMSNorm(config.hidden_size, config.layer_norm_eps)


class Experts(nn.Module):
    """All experts' weights as two tensors: [experts, 2·width, hidden] and its way back."""

    def __init__(self, config: MolmoConfig) -> None:
        super().__init__()
        count, width, hidden = config.moe_num_experts, config.feed_forward_size, config.hidden_size
        self.gate_up_proj = nn.Parameter(torch.zeros(count, 2 * width, hidden))
        self.down_proj = nn.Parameter(torch.zeros(count, hidden, width))

    def forward(self, x: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
        """[N, hidden] with its [N, k] experts and weights → [N, hidden]."""
        # Few tokens use few experts: gathering them needs no data-dependent shapes, which is
        # also what a CUDA graph needs. Many tokens use nearly all: go expert by expert.
        if chosen.numel() <= len(self.down_proj):
            return self._gathered(x, chosen, weights)
        order = chosen.flatten().argsort(stable=True)
        counts = chosen.flatten().bincount(minlength=len(self.down_proj)).tolist()
        out = torch.zeros_like(x)
        for expert, part in enumerate(order.split(counts)):
            token = part // chosen.shape[1]
            gate, up = functional.linear(x[token], self.gate_up_proj[expert]).chunk(2, dim=-1)
            done = functional.linear(functional.silu(gate) * up, self.down_proj[expert])
            out.index_add_(0, token, done * weights.flatten()[part, None])
        return out

    def _gathered(self, x: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
        fused = torch.einsum("nh,nkih->nki", x, self.gate_up_proj[chosen])
        gate, up = fused.chunk(2, dim=-1)
        parts = torch.einsum("nki,nkhi->nkh", functional.silu(gate) * up, self.down_proj[chosen])
        return (parts * weights[..., None]).sum(1)


class MixtureOfExperts(nn.Module):
    """Softmax over all experts in float32, the top k, not renormalised; no shared expert."""

    def __init__(self, config: MolmoConfig) -> None:
        super().__init__()
        self.top_k = config.moe_top_k
        self.ff_norm = RMSNorm(config.hidden_size, config.layer_norm_eps)
        self.gate = nn.Linear(config.hidden_size, config.moe_num_experts, bias=False)
        self.experts = Experts(config)

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(0, 1)
        scores = functional.softmax(self.gate(flat), dim=-1, dtype=torch.float32)
        weights, chosen = scores.topk(self.top_k, dim=-1)
        return self.experts(flat, chosen, weights.to(x.dtype)).view_as(x)


class MoeBlock(nn.Module):
    """A decoder block of MolmoE: norms before, experts instead of a feed-forward."""

    def __init__(self, config: MolmoConfig) -> None:
        super().__init__()
        self.norm_after = config.norm_after
        self.attn = _NormedAttention(config)
        self.mlp = MixtureOfExperts(config)

    def forward(
        self, x: Tensor, rotary: tuple[Tensor, Tensor], layer: int, attend: Attend
    ) -> Tensor:
        if self.norm_after:
            x = x + self.attn.attn_norm(self.attn.attention(x, rotary, layer, attend))
            return x + self.mlp.ff_norm(self.mlp(x))
        x = x + self.attn.attention(self.attn.attn_norm(x), rotary, layer, attend)
        return x + self.mlp(self.mlp.ff_norm(x))


class WordEmbedding(nn.Module):
    """The base table and the rows that were added for Molmo, indexed as one."""

    def __init__(self, config: MolmoConfig) -> None:
        super().__init__()
        size, extra = config.embedding_size, config.additional_vocab_size
        self.embedding = nn.Parameter(torch.zeros(size, config.hidden_size))
        self.new_embedding = nn.Parameter(torch.zeros(extra, config.hidden_size))

    def forward(self, ids: Tensor) -> Tensor:
        """[...] → [..., hidden]; an id below 0 is padding and is read as row 0."""
        ids = ids.clamp(min=0)
        size = len(self.embedding)
        base = functional.embedding(ids.clamp(max=size - 1), self.embedding)
        extra = functional.embedding((ids - size).clamp(min=0), self.new_embedding)
        return torch.where((ids < size)[..., None], base, extra)


class Transformer(nn.Module):
    """Embedding, blocks, last norm and (for the dense models) the head."""

    def __init__(self, config: MolmoConfig) -> None:
        super().__init__()
        block = MoeBlock if config.moe_num_experts else DenseBlock
        self.wte = WordEmbedding(config)
        self.blocks = nn.ModuleList([block(config) for _ in range(config.num_hidden_layers)])
        self.ln_f = RMSNorm(config.hidden_size, config.layer_norm_eps)
        self.rotary = RotaryTable(config)
        if not config.moe_num_experts:
            self.ff_out = nn.Linear(config.hidden_size, config.embedding_size, bias=False)

    def forward(self, x: Tensor, positions: Tensor, attend: Attend) -> Tensor:
        """Embedded tokens [B, T, hidden] at `positions` [B, T] → [B, T, hidden], normed."""
        rotary = self.rotary(positions, x.dtype)
        for layer, block in enumerate(self.blocks):
            x = block(x, rotary, layer, attend)
        return self.ln_f(x)

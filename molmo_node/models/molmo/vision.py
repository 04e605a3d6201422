"""The picture's half: CLIP's tower, 2×2 attention pooling and the projector.

Module names are the checkpoints' own, so that a state dict is an official one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from molmo_node.models.molmo.configuration import MolmoConfig, MolmoVisionConfig


class MultiHeadAttention(nn.Module):
    """Attention with biases on all four projections; query and memory may differ in length."""

    def __init__(self, vision: MolmoVisionConfig, input_size: int) -> None:
        super().__init__()
        self.heads = vision.image_num_heads
        self.kv_heads = vision.image_num_key_value_heads
        self.head_dim = vision.image_head_dim
        self.wq = nn.Linear(input_size, self.heads * self.head_dim)
        self.wk = nn.Linear(input_size, self.kv_heads * self.head_dim)
        self.wv = nn.Linear(input_size, self.kv_heads * self.head_dim)
        self.wo = nn.Linear(self.heads * self.head_dim, vision.image_emb_dim)

    def forward(self, query: Tensor, memory: Tensor) -> Tensor:
        """[N, Q, input] against [N, M, input] → [N, Q, image_emb_dim]."""
        q = self._split(self.wq(query), self.heads)
        k = self._split(self.wk(memory), self.kv_heads)
        v = self._split(self.wv(memory), self.kv_heads)
        if self.kv_heads != self.heads:
            k = k.repeat_interleave(self.heads // self.kv_heads, dim=1)
            v = v.repeat_interleave(self.heads // self.kv_heads, dim=1)
        out = functional.scaled_dot_product_attention(q, k, v)
        return self.wo(out.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor, heads: int) -> Tensor:
        return x.unflatten(-1, (heads, self.head_dim)).transpose(1, 2)


class _FeedForward(nn.Module):
    def __init__(self, vision: MolmoVisionConfig) -> None:
        super().__init__()
        self.w1 = nn.Linear(vision.image_emb_dim, vision.image_mlp_dim)
        self.w2 = nn.Linear(vision.image_mlp_dim, vision.image_emb_dim)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.w1(x)
        return self.w2(hidden * torch.sigmoid(1.702 * hidden))


class _ResidualBlock(nn.Module):
    def __init__(self, vision: MolmoVisionConfig) -> None:
        super().__init__()
        width, eps = vision.image_emb_dim, vision.image_norm_eps
        self.attention = MultiHeadAttention(vision, width)
        self.feed_forward = _FeedForward(vision)
        self.attention_norm = nn.LayerNorm(width, eps=eps)
        self.ffn_norm = nn.LayerNorm(width, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        normed = self.attention_norm(x)
        x = x + self.attention(normed, normed)
        return x + self.feed_forward(self.ffn_norm(x))


class _Tower(nn.Module):
    def __init__(self, vision: MolmoVisionConfig) -> None:
        super().__init__()
        blocks = [_ResidualBlock(vision) for _ in range(vision.image_num_layers)]
        self.resblocks = nn.ModuleList(blocks)


class VisionTransformer(nn.Module):
    """CLIP ViT on ready patches; gives the outputs of chosen blocks side by side."""

    def __init__(self, config: MolmoConfig) -> None:
        super().__init__()
        vision = config.vision_backbone
        width = vision.image_emb_dim
        self.layers = [layer % vision.image_num_layers for layer in config.vit_layers]
        self.class_embedding = nn.Parameter(torch.zeros(width))
        self.positional_embedding = nn.Parameter(torch.zeros(vision.image_num_pos, width))
        self.patch_embedding = nn.Linear(3 * vision.image_patch_size**2, width, bias=False)
        self.pre_ln = nn.LayerNorm(width, eps=vision.image_norm_eps)
        self.transformer = _Tower(vision)

    def forward(self, patches: Tensor) -> Tensor:
        """[crops, patches, 588] → [crops, patches, layers · width], without the class token."""
        x = self.patch_embedding(patches)
        cls = self.class_embedding.expand(len(x), 1, -1)
        x = self.pre_ln(torch.cat([cls, x], dim=1) + self.positional_embedding)
        kept: dict[int, Tensor] = {}
        # Blocks behind the last one that is read change nothing and are skipped.
        for number, block in enumerate(self.transformer.resblocks[: max(self.layers) + 1]):
            x = block(x)
            if number in self.layers:
                kept[number] = x[:, 1:]
        return torch.cat([kept[layer] for layer in self.layers], dim=-1)


class _Projector(nn.Module):
    def __init__(self, config: MolmoConfig) -> None:
        super().__init__()
        width, hidden = config.vision_backbone.image_emb_dim, config.feed_forward_size
        self.w1 = nn.Linear(width, hidden, bias=False)
        self.w2 = nn.Linear(hidden, config.hidden_size, bias=False)
        self.w3 = nn.Linear(width, hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.w2(functional.silu(self.w1(x)) * self.w3(x))


class VisionBackbone(nn.Module):
    """Crops to features of the language model's width."""

    def __init__(self, config: MolmoConfig) -> None:
        super().__init__()
        width = config.vision_backbone.image_emb_dim * len(config.vit_layers)
        self.grid = config.vision_backbone.grid
        self.pool = (config.image_pooling_h, config.image_pooling_w)
        self.image_vit = VisionTransformer(config)
        self.pad_embed = nn.Parameter(torch.zeros(2, width))
        self.image_pooling_2d = MultiHeadAttention(config.vision_backbone, width)
        self.image_projector = _Projector(config)

    def forward(self, images: Tensor, image_masks: Tensor) -> Tensor:
        """[crops, patches, 588] and [crops, patches] → [crops, pooled², hidden].

        A crop whose pixels are all -1 is a batch's padding and gets zero features. (MolmoE's
        published code does so at a single -1, which real pixels can hit; the training code
        does not.)
        """
        dtype = self.pad_embed.dtype
        features = self.image_vit(images.to(dtype))
        is_real = ~(images == -1).flatten(1).all(dim=1)
        features = features * is_real[:, None, None].to(dtype)
        nothing = (image_masks == 0)[..., None].to(dtype)
        partly = ((image_masks < 1) & (image_masks != 0))[..., None].to(dtype)
        features = features + self.pad_embed[0] * nothing + self.pad_embed[1] * partly
        windows = self._windows(features)
        pooled = self.image_pooling_2d(windows.mean(1, keepdim=True), windows)
        return self.image_projector(pooled.squeeze(1).unflatten(0, (len(images), -1)))

    def _windows(self, features: Tensor) -> Tensor:
        """[crops, grid², width] → [crops · pooled², window, width], windows row-major."""
        high, wide = self.pool
        x = features.unflatten(1, (self.grid, self.grid))
        x = functional.pad(x, (0, 0, 0, -self.grid % wide, 0, -self.grid % high))
        x = x.unflatten(2, (-1, wide)).unflatten(1, (-1, high)).transpose(2, 3)
        return x.reshape(-1, high * wide, x.shape[-1])

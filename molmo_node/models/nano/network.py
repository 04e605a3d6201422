"""molmo-nano's network: patches → ViT → pooling connector → rotary decoder → pointer.

The shape is Molmo's (arXiv 2409.17146) at 1/2500 of its size. A point is chosen as MolmoPoint
does (arXiv 2603.28069): the decoder's state picks a patch by dot product, then a cell inside
the patch, then an offset inside the cell; a stop key stands beside the patches.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from molmo_node.models.nano import vocabulary
from molmo_node.models.nano.layers import Block, ConvPair, KeyValues, Norm, plane_rotation

CELL_PX = 7
PATCH_PX = 2 * CELL_PX
WINDOW = 6  # patches


@dataclass(frozen=True)
class NanoConfig:
    """Widths and depths; the defaults are the shipped model."""

    cell_width: int = 64
    vit_width: int = 128
    vit_depth: int = 3
    vit_heads: int = 4
    key_width: int = 192
    same_width: int = 32
    width: int = 224
    depth: int = 4
    heads: int = 7


@dataclass(frozen=True)
class Encoded:
    """Pictures the network has looked at.

    `patches` are fused features ``(batch, rows * columns, key_width)``, `cells` the finer map
    ``(batch, rows * columns, 4, cell_width)``, `past` the decoder's keys and values of the
    pooled image tokens, one pair a block. The picture is square: rows equals columns.
    """

    patches: Tensor
    cells: Tensor
    past: list[KeyValues]
    columns: int


class Nano(nn.Module):
    """See the module's text. Coordinates inside are patch and cell numbers, row by row."""

    def __init__(self, config: NanoConfig | None = None) -> None:
        super().__init__()
        self.config = cfg = config or NanoConfig()
        self.stem = nn.Conv2d(3, cfg.cell_width, 11, CELL_PX, padding=2)
        self.detail = nn.Sequential(ConvPair(cfg.cell_width), ConvPair(cfg.cell_width))
        self.merge = nn.Conv2d(cfg.cell_width, cfg.vit_width, 2, 2)
        self.mixers = nn.ModuleList(
            nn.Conv2d(cfg.vit_width, cfg.vit_width, 3, padding=1, groups=cfg.vit_width)
            for _ in range(cfg.vit_depth)
        )
        self.vit = nn.ModuleList(Block(cfg.vit_width, cfg.vit_heads) for _ in range(cfg.vit_depth))
        self.vit_norm = Norm(cfg.vit_width)
        self.pool_query = nn.Linear(cfg.vit_width, cfg.vit_width)
        self.pool_key = nn.Linear(cfg.vit_width, cfg.vit_width)
        self.projector = nn.Linear(4 * cfg.vit_width, cfg.width)
        self.pooled = nn.Linear(cfg.vit_width, cfg.width)
        self.decoder = nn.ModuleList(Block(cfg.width, cfg.heads) for _ in range(cfg.depth))
        self.decoder_norm = Norm(cfg.width)
        self.token = nn.Embedding(vocabulary.SIZE, cfg.width)
        self.step = nn.Embedding(vocabulary.MAX_POINTS, cfg.width)
        self._build_pointer(cfg)
        self._build_dense(cfg)

    def _build_pointer(self, cfg: NanoConfig) -> None:
        self.fuse_vit = nn.Linear(cfg.vit_width, cfg.key_width)
        self.fuse_context = nn.Linear(cfg.width, cfg.key_width)
        self.fuse_norm = Norm(cfg.key_width)
        self.seen = nn.Linear(cfg.key_width, cfg.width)
        self.query = nn.Linear(cfg.width, cfg.key_width)
        self.key = nn.Linear(cfg.key_width, cfg.key_width)
        self.stop = nn.Linear(cfg.width, 1)
        self.same = nn.Linear(cfg.key_width, cfg.same_width)
        self.same_terms = nn.Parameter(torch.tensor((1.0, -3.0, 3.0)))  # bias, fall, gain
        self.cell_norm = Norm(cfg.cell_width)
        self.cell_query = nn.Linear(cfg.width + cfg.key_width, cfg.cell_width)
        self.cell_key = nn.Linear(cfg.cell_width, cfg.cell_width)
        inner = cfg.width + cfg.key_width + cfg.cell_width
        self.offset = nn.Sequential(nn.Linear(inner, 96), nn.GELU(), nn.Linear(96, 2))

    def _build_dense(self, cfg: NanoConfig) -> None:
        """Heads that are only trained: what each patch shows. They teach the patches early."""
        nouns, colors = len(vocabulary.NOUNS) + 1, len(vocabulary.COLORS) + 1
        self.dense_sizes = (nouns, colors, 5)
        self.dense = nn.Linear(cfg.key_width, sum(self.dense_sizes))

    def encode(self, image: Tensor) -> Encoded:
        """Look at pictures.

        Args:
            image: ``(batch, 3, side, side) float`` in -1..1; side a multiple of 84 px.
        """
        cells = self.detail(self.stem(image.contiguous(memory_format=torch.channels_last)))
        x = self.merge(cells)
        batch, _, rows, columns = x.shape
        for mixer, block in zip(self.mixers, self.vit, strict=True):
            x = self._windowed(block, x + mixer(x))
        vit = self.vit_norm(x.permute(0, 2, 3, 1))
        quads = _quads(vit)
        tokens, past = self._image_tokens(quads, rows // 2)
        context = self.fuse_context(tokens).view(batch, rows // 2, columns // 2, -1)
        context = context.repeat_interleave(2, 1).repeat_interleave(2, 2)
        fused = self.fuse_norm(self.fuse_vit(vit) + context).flatten(1, 2)
        fine = self.cell_norm(cells.permute(0, 2, 3, 1))
        fine = fine.view(batch, rows, 2, columns, 2, -1).transpose(2, 3)
        return Encoded(fused, fine.reshape(batch, rows * columns, 4, -1), past, columns)

    def _windowed(self, block: nn.Module, x: Tensor) -> Tensor:
        """Attention inside windows of 6 × 6 patches."""
        batch, width, rows, columns = x.shape
        down, across = rows // WINDOW, columns // WINDOW
        split = x.permute(0, 2, 3, 1).reshape(batch, down, WINDOW, across, WINDOW, width)
        split = split.transpose(2, 3).reshape(-1, WINDOW * WINDOW, width)
        rotation = self._grid_rotation(WINDOW, 0.5, self.config.vit_width // self.config.vit_heads)
        mixed, _ = block(split, rotation)
        joined = mixed.view(batch, down, across, WINDOW, WINDOW, width).transpose(2, 3)
        grid: Tensor = joined.reshape(batch, rows, columns, width).permute(0, 3, 1, 2)
        return grid

    def _grid_rotation(self, side: int, pitch: float, head_width: int) -> Tensor:
        place = (torch.arange(side, device=self.stem.weight.device) + 0.5) * pitch
        xy = torch.stack(torch.meshgrid(place, place, indexing="xy"), -1)
        return plane_rotation(xy.view(1, side * side, 2), head_width)

    def _image_tokens(self, quads: Tensor, side: int) -> tuple[Tensor, list[KeyValues]]:
        """Pool 2 × 2 patches (their mean is the query), then let the decoder read them."""
        query = self.pool_query(quads.mean(2, keepdim=True))
        weight = (query * self.pool_key(quads)).sum(-1, keepdim=True) * query.shape[-1] ** -0.5
        pooled = (quads * weight.softmax(2)).sum(2)
        x = self.pooled(pooled) + self.projector(quads.flatten(2))
        rotation = self._grid_rotation(side, 1.0, self.config.width // self.config.heads)
        past = []
        for block in self.decoder:
            x, pair = block(x, rotation)
            past.append(pair)
        return self.decoder_norm(x), past

    def decode(
        self, seen: Encoded, past: list[KeyValues], text: Text
    ) -> tuple[Tensor, list[KeyValues]]:
        """Read text tokens after an image (and the text before, in `past`).

        Returns:
            States ``(batch, tokens, width)``, and keys and values that include these tokens.
        """
        x = self.token(text.ids)
        is_point = (text.ids == vocabulary.POINT).unsqueeze(-1)
        chosen = _gather(seen.patches, text.chosen.clamp(min=0))
        x = x + is_point * (self.seen(chosen) + self.step(text.steps))
        rotation = plane_rotation(
            self._places(text, seen.columns), x.shape[-1] // self.config.heads
        )
        now = []
        for block, pair in zip(self.decoder, past, strict=True):
            x, pair = block(x, rotation, text.mask, pair)
            now.append(pair)
        return self.decoder_norm(x), now

    def _places(self, text: Text, columns: int) -> Tensor:
        """Where each token stands in the plane: a point at its patch, a question in the middle."""
        column, row = text.chosen % columns, text.chosen // columns
        at_patch = torch.stack((column, row), -1).float() * 0.5 + 0.25
        middle = torch.full_like(at_patch, columns / 4)
        return torch.where((text.chosen >= 0).unsqueeze(-1), at_patch, middle)

    def belonging(self, seen: Encoded, chosen: Tensor) -> Tensor:
        """How much each patch belongs to the thing that a chosen patch shows, 0 to 1.

        Alike and near: two mugs look the same and stand apart.

        Args:
            chosen: ``(batch, n) int64``; the row of a negative one is meaningless.

        Returns:
            ``(batch, n, patches)``.
        """
        every = self.same(seen.patches)
        alike = _gather(every, chosen.clamp(min=0)) @ every.transpose(1, 2)
        place = torch.arange(every.shape[1], device=chosen.device)
        across = (chosen % seen.columns).unsqueeze(-1) - place % seen.columns
        down = (chosen // seen.columns).unsqueeze(-1) - place // seen.columns
        bias, fall, _ = self.same_terms.unbind()
        apart = (across.square() + down.square()).float() * nn.functional.softplus(fall)
        scores: Tensor = alike.float() / math.sqrt(self.config.same_width) + bias - apart
        return scores.sigmoid()

    def patch_logits(self, hidden: Tensor, patches: Tensor, named: Tensor) -> Tensor:
        """Scores of patches; what has been named already is held back.

        Args:
            hidden: ``(batch, tokens, width)``.
            patches: ``(batch, patches, key_width)``.
            named: ``(batch, tokens, patches)``, the sum of `belonging` over the points before.

        Returns:
            ``(batch, tokens, patches) float32``.
        """
        query, key = self.query(hidden), self.key(patches)
        scores: Tensor = (query @ key.transpose(1, 2)).float()
        return scores / math.sqrt(self.config.key_width) - self.same_terms[2] * named

    def stop_logit(self, hidden: Tensor, patch_logits: Tensor) -> Tensor:
        """How much more likely "no more points" is than all patches together: ``(...)``."""
        score: Tensor = self.stop(hidden)[..., 0].float()
        return score - patch_logits.float().logsumexp(-1)

    def cell_logits(self, hidden: Tensor, patch: Tensor, cells: Tensor) -> Tensor:
        """For n chosen patches: ``(n, width)``, ``(n, key_width)``, ``(n, 4, cell_width)`` →
        ``(n, 4)``."""
        query = self.cell_query(torch.cat((hidden, patch), -1))
        scores: Tensor = (self.cell_key(cells) @ query.unsqueeze(-1))[..., 0]
        return scores / math.sqrt(self.config.cell_width)

    def cell_offset(self, hidden: Tensor, patch: Tensor, cell: Tensor) -> Tensor:
        """Offset from a cell's middle in cells, ``(n, 2)``, x and y, within -1 to 1."""
        raw: Tensor = self.offset(torch.cat((hidden, patch, cell), -1))
        return raw.tanh()


@dataclass(frozen=True)
class Text:
    """Text tokens after a picture: `ids`, `steps` (a point's number) and `chosen` (its patch,
    -1 for words), each ``(batch, tokens) int64``, and who may see whom."""

    ids: Tensor
    steps: Tensor
    chosen: Tensor
    mask: Tensor | None


def _quads(grid: Tensor) -> Tensor:
    """``(batch, rows, columns, width)`` → ``(batch, rows * columns / 4, 4, width)``."""
    batch, rows, columns, width = grid.shape
    split = grid.reshape(batch, rows // 2, 2, columns // 2, 2, width).transpose(2, 3)
    return split.reshape(batch, rows * columns // 4, 4, width)


def _gather(rows: Tensor, index: Tensor) -> Tensor:
    """Pick rows ``(batch, n, width)`` by ``(batch, tokens)``."""
    return rows.gather(1, index.unsqueeze(-1).expand(-1, -1, rows.shape[-1]))

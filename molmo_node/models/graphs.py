"""Small forwards as CUDA graphs, with an eager fall-back that says so.

A graph is captured once for a number of rows and tokens and replayed for every forward of
that shape: the device then never waits for Python. Everything that changes between two
forwards is written into the graph's own tensors first.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from molmo_node.models.decoding import Language
from molmo_node.models.static_kv import Arena

log = logging.getLogger(__name__)

# Forwards are padded up to one of these lengths; a longer one (a question) runs eagerly.
_TOKENS = (1, 2, 4, 8, 16, 24)
_WARM_UP_RUNS = 2


@dataclass
class _Captured:
    graph: torch.cuda.CUDAGraph
    tokens: Tensor
    view: GraphView
    hidden: Tensor


class GraphView:
    """An arena as a graph sees it: all columns, with positions and mask as tensors of its own."""

    def __init__(self, arena: Arena, rows: int, tokens: int) -> None:
        device = arena.keys[0].device
        self.arena = arena
        self.rows = rows
        self.positions = torch.zeros(rows, tokens, dtype=torch.int64, device=device)
        self.mask = torch.zeros(rows, 1, tokens, arena.columns, dtype=torch.bool, device=device)
        self._row = torch.arange(rows, device=device)[:, None]
        self._column = torch.arange(arena.columns, device=device)

    def follow(self) -> None:
        """Take over what the arena's `place` announced. Padding tokens are written behind the
        last real one, where the next forward overwrites them."""
        given = self.arena.positions
        step = torch.arange(self.positions.shape[1], device=given.device)
        self.positions.copy_((given[:, :1] + step).clamp(max=self.arena.columns - 1))
        self.mask.copy_((self._column <= self.positions[..., None])[:, None])

    def put(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        keys, values = self.arena.keys[layer], self.arena.values[layer]
        keys[self._row, :, self.positions] = k.transpose(1, 2)
        values[self._row, :, self.positions] = v.transpose(1, 2)
        return keys[: self.rows], values[: self.rows]


class GraphedForward:
    """`Language.hidden`, replayed as a CUDA graph where that is possible.

    `state` is ``cuda graphs`` or ``eager (reason)``.
    """

    def __init__(self, language: Language, device: torch.device, *, is_wanted: bool = True) -> None:
        self.language = language
        self._captured: dict[tuple[int, int], _Captured] = {}
        self._pool: Any = None  # shared, because only one graph runs at a time
        if not is_wanted:
            self.state = "eager (switched off)"
        elif device.type != "cuda":
            self.state = f"eager (no CUDA graphs on {device.type})"
        elif not getattr(language, "is_graphable", False):
            self.state = "eager (this model's forward cannot be captured)"
        else:
            self.state = "cuda graphs"
        log.info("small forwards", extra={"execution": self.state})

    @property
    def is_graphed(self) -> bool:
        return self.state == "cuda graphs"

    def forget(self) -> None:
        """Drop all graphs: the arena they were captured on is gone."""
        self._captured.clear()

    @torch.inference_mode()
    def prepare(self, arena: Arena) -> None:
        """Capture the shapes of a single question ahead of the first one."""
        for length in _TOKENS if self.is_graphed else ():
            arena.place([0], length)
            self(torch.zeros(1, length, dtype=torch.int64, device=arena.keys[0].device), arena)

    def __call__(self, tokens: Tensor, arena: Arena) -> Tensor:
        length = next((size for size in _TOKENS if size >= tokens.shape[1]), None)
        if not self.is_graphed or length is None:
            return self.language.hidden(tokens, arena)
        try:
            captured = self._capture(len(tokens), length, arena)
        except RuntimeError as exc:
            self.state = "eager (capture failed)"
            self.forget()
            log.warning("no CUDA graphs", extra={"reason": str(exc).splitlines()[0]})
            return self.language.hidden(tokens, arena)
        captured.tokens.zero_()
        captured.tokens[:, : tokens.shape[1]] = tokens
        captured.view.follow()
        captured.graph.replay()
        return captured.hidden[:, : tokens.shape[1]]

    def _capture(self, rows: int, length: int, arena: Arena) -> _Captured:
        known = self._captured.get((rows, length))
        if known is not None and known.view.arena is arena:
            return known
        view = GraphView(arena, rows, length)
        tokens = torch.zeros(rows, length, dtype=torch.int64, device=arena.keys[0].device)
        view.follow()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(_WARM_UP_RUNS):
                self.language.hidden(tokens, view)
        torch.cuda.current_stream().wait_stream(side)
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            hidden = self.language.hidden(tokens, view)
        captured = _Captured(graph, tokens, view, hidden)
        self._captured[rows, length] = captured
        return captured

"""Muon for the blocks' matrices, AdamW for the rest, with a running average of the weights.

Muon (Jordan et al., kellerjordan.github.io/posts/muon) follows the gradient's momentum with all
singular values made nearly equal, by five Newton-Schulz steps. It is written here because
torch's own one works in bf16 always, which CPUs without a matrix unit emulate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

_COEFFICIENTS = (3.4445, -4.775, 2.0315)  # of the quintic in the Muon post
_ADAM_BETAS = (0.9, 0.98)
_MOMENTUM = 0.95


@dataclass(frozen=True)
class Rates:
    """Learning rates for one step."""

    muon: float
    adam: float
    decay: float = 0.05


def has_bf16_unit(device: torch.device) -> bool:
    """Whether bf16 is fast there (GPU, AMX); elsewhere it is emulated, four times slower."""
    return device.type == "cuda" or torch.cpu._is_amx_tile_supported()


def orthogonalized(matrices: Tensor) -> Tensor:
    """``(n, rows, columns)`` matrices with their singular values brought near 1."""
    is_tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.transpose(1, 2) if is_tall else matrices
    x = x / (x.flatten(1).norm(dim=1).view(-1, 1, 1) + 1e-7)
    x = x.bfloat16() if has_bf16_unit(x.device) else x
    first, second, third = _COEFFICIENTS
    for _ in range(5):
        gram = x @ x.transpose(1, 2)
        x = first * x + (second * gram + third * gram @ gram) @ x
    return (x.transpose(1, 2) if is_tall else x).to(matrices.dtype)


class Optimizer:
    """Holds its state as named tensors, so that a checkpoint is one flat table."""

    def __init__(self, model: nn.Module, uses_muon: bool = True) -> None:
        self.parameters = dict(model.named_parameters())
        self.matrices = [
            name
            for name, value in self.parameters.items()
            if uses_muon and value.ndim == 2 and name.startswith(("vit.", "decoder."))
        ]
        self.others = [name for name in self.parameters if name not in set(self.matrices)]
        zero = {name: torch.zeros_like(value) for name, value in self.parameters.items()}
        self.first = {name: value.clone() for name, value in zero.items()}
        self.second = {name: zero[name] for name in self.others}
        self.average = {name: value.detach().clone() for name, value in self.parameters.items()}

    def state(self) -> dict[str, Tensor]:
        """All tensors that a resumed run needs, by name."""
        tables = {"first": self.first, "second": self.second, "average": self.average}
        return {f"{table}/{name}": v for table, rows in tables.items() for name, v in rows.items()}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take over a state that `state` gave. Raises KeyError where one is missing."""
        for name, value in self.state().items():
            value.copy_(tensors[name])

    @torch.no_grad()
    def step(self, number: int, rates: Rates) -> None:
        """Follow the gradients once; `number` counts from 1."""
        torch.nn.utils.clip_grad_norm_(list(self.parameters.values()), 1.0)
        self._step_matrices(rates)
        self._step_others(number, rates)
        self._follow_average(number)
        for value in self.parameters.values():
            value.grad = None

    def _step_matrices(self, rates: Rates) -> None:
        by_shape: dict[torch.Size, list[str]] = {}
        for name in self.matrices:
            by_shape.setdefault(self.parameters[name].shape, []).append(name)
        for shape, names in by_shape.items():
            steps = []
            for name in names:
                gradient, momentum = self._gradient(name), self.first[name]
                momentum.mul_(_MOMENTUM).add_(gradient)
                steps.append(gradient + _MOMENTUM * momentum)
            scale = 0.2 * math.sqrt(max(shape))  # updates as large as Adam's usual ones
            for name, direction in zip(names, orthogonalized(torch.stack(steps)), strict=True):
                value = self.parameters[name]
                value.mul_(1 - rates.muon * rates.decay).add_(direction, alpha=-rates.muon * scale)

    def _step_others(self, number: int, rates: Rates) -> None:
        short, long = _ADAM_BETAS
        for name in self.others:
            value, gradient = self.parameters[name], self._gradient(name)
            self.first[name].lerp_(gradient, 1 - short)
            self.second[name].lerp_(gradient.square(), 1 - long)
            mean = self.first[name] / (1 - short**number)
            size = (self.second[name] / (1 - long**number)).sqrt_().add_(1e-8)
            if value.ndim > 1:
                value.mul_(1 - rates.adam * rates.decay)
            value.addcdiv_(mean, size, value=-rates.adam)

    def _gradient(self, name: str) -> Tensor:
        gradient = self.parameters[name].grad
        return torch.zeros_like(self.parameters[name]) if gradient is None else gradient

    def _follow_average(self, number: int) -> None:
        weight = 1 - min(0.999, (1 + number) / (10 + number))
        names = list(self.parameters)
        average = [self.average[name] for name in names]
        torch._foreach_lerp_(average, [self.parameters[n].detach() for n in names], weight)

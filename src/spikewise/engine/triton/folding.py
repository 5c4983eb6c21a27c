"""Weights of a layer as its product reads them: those stored, or with a batch normalisation folded in."""

import torch
from torch import Tensor

from spikewise.engine.parameters import folded
from spikewise.engine.triton.job import Job
from spikewise.engine.triton.kernels import matmul
from spikewise.graph import NamedLayer

__all__ = ["Folded"]


class Folded:
    """The weight and bias of a convolution, and where their gradients go.

    Args:
        norm: what is folded in, by what was seen in training; None is nothing.
    """

    def __init__(self, at: NamedLayer, norm: NamedLayer | None, job: Job) -> None:
        self.at, self.norm = at, norm
        layers = (at,) if norm is None else (at, norm)
        self._learns = {
            key: job.learns and any(job.wants(one, name) for one in layers for name in one.parameters())
            for key in ("weight", "bias")
        }
        own = {f"{one.name}.{key}": value for one in layers for key, value in job.own(one).items()}
        weight, bias = own[f"{at.name}.weight"], own.get(f"{at.name}.bias")
        if norm is None:
            self.weight, self.bias = weight.detach(), None if bias is None else bias.detach()
        else:
            # Their own leaves: what reaches them is handed on, not added to the caller's.
            self._leaves = {k: v.detach().requires_grad_(v.requires_grad) for k, v in own.items()}
            with torch.set_grad_enabled(job.learns):
                self._made = (
                    folded("weight", self._leaves[f"{at.name}.weight"], norm, self._leaves),
                    folded("bias", self._leaves.get(f"{at.name}.bias"), norm, self._leaves),
                )
            self.weight, self.bias = (made.detach() for made in self._made)
        if self.bias is not None:
            matmul.check(self.bias, job.flag(at.name if norm is None else norm.name))

    def teaches(self, job: Job) -> bool:
        """Whether any of the stored values asks for its gradient."""
        return job.teaches(self.at) or (self.norm is not None and job.teaches(self.norm))

    def wants(self, key: str) -> bool:
        """Whether the gradient of the weight or bias is of use."""
        return self._learns[key] and (key == "weight" or self.bias is not None)

    def teach(self, weight: Tensor | None, bias: Tensor | None, job: Job) -> None:
        """Hand gradients of the weight and bias on to what they were made of."""
        if self.norm is None:
            for key, found in (("weight", weight), ("bias", bias)):
                if found is not None and job.wants(self.at, key):
                    job.add(self.at, key, found)
            return
        pairs = [(m, g) for m, g in zip(self._made, (weight, bias), strict=True) if g is not None and m.requires_grad]
        wanted = {k: v for k, v in self._leaves.items() if v.requires_grad}
        if not pairs or not wanted:
            return
        gradients = torch.autograd.grad(
            [made for made, _ in pairs], list(wanted.values()), [g for _, g in pairs], allow_unused=True
        )
        for name, g in zip(wanted, gradients, strict=True):
            if g is not None:
                layer = self.at if name.startswith(f"{self.at.name}.") else self.norm
                job.add(layer, name.removeprefix(f"{layer.name}."), g)

"""Integrated gradients: how much each input adds to the logit of an answer, from nothing to the whole image.

        attribution_i = (x_i - b_i) * mean over a in (0, 1) of  d logit(b + a (x - b)) / d x_i

A spiking network's inputs are its encoded image. For the rate code they are the expected rates, fed as currents: the
pixels' intensities at every step, without chance; for a constant current they are that current; for other codes the
spikes themselves. The gradient passes spikes through the surrogate. The baseline b is a black image: no input at all,
or, where the current is standardised, the one that black is.
Source: Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks", ICML 2017, equation 1 and section 5.
"""

from typing import Final, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from spikewise import engine
from spikewise.evaluation.explanations.scoring import SeededNetwork
from spikewise.evaluation.prediction import Selection, batches_of, fitting_batch
from spikewise.graph import Graph
from spikewise.types import Draw

__all__ = ["PATH_STEPS", "Attribution", "input_kind", "integrated_gradients"]

PATH_STEPS: Final = 24
_ROOM_FOR_GRADIENTS: Final = 4


class Attribution(NamedTuple):
    """What each input adds to the logit of the answer, for N images."""

    maps: Float[np.ndarray, "N H W"]
    """By pixel: all steps and channels together."""
    over_time: Float[np.ndarray, "N T"]
    """By time step: all pixels together."""
    change: Float[np.ndarray, " N"]
    """The logit with the whole image minus the logit with none; the attributions of a smooth network add up to it."""


def input_kind(graph: Graph) -> Literal["expected rates", "currents", "spikes"]:
    """What integrated gradients take as the input of a network."""
    if graph.encoder.emits.carrier == "values":
        return "currents"
    return "expected rates" if graph.encoder.differentiable else "spikes"


def integrated_gradients(
    seeded: SeededNetwork,
    images: UInt8[np.ndarray, "N C H W"],
    index: Int[np.ndarray, " N"],
    answers: Int[np.ndarray, " N"],
    *,
    steps: int = PATH_STEPS,
) -> Attribution:
    """Attributions of the answers' logits.

    Args:
        index: key of each image's random numbers, where its code draws some.
        answers: class whose logit is explained.
        steps: midpoints of the path from black to the image.
    """
    network, parts = seeded.network, []
    for at, batch, draw in batches_of(
        network, Selection(images, index), seeded.seed, copies=steps * _ROOM_FOR_GRADIENTS
    ):
        wanted = torch.from_numpy(np.ascontiguousarray(answers[at], dtype=np.int64)).to(batch.device)
        parts.append(_along_the_path(seeded, batch, draw, wanted, steps))
    return Attribution(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _along_the_path(seeded: SeededNetwork, images: Tensor, draw: Draw, answers: Tensor, steps: int) -> Attribution:
    whole, black = _inputs(seeded, images, draw), _black(seeded, images)
    count = whole.shape[1]
    shares = (torch.arange(steps, dtype=whole.dtype, device=whole.device) + 0.5) / steps
    # Points of the path at once: all of them, unless those of a single image fill the memory.
    together = max(1, fitting_batch(seeded.network.graph, whole.device, copies=_ROOM_FOR_GRADIENTS) // count)
    sums = [_gradients(seeded, (black, whole), some, draw, answers) for some in torch.split(shares, together)]
    mean = torch.stack(sums).sum(0) / steps
    attribution = (mean * (whole - black)).sum(2)
    with torch.no_grad():
        ends = [_logits(seeded, x, draw).gather(1, answers[:, None])[:, 0] for x in (whole, black.expand_as(whole))]
    return Attribution(
        attribution.sum(0).cpu().double().numpy(),
        attribution.sum((2, 3)).T.cpu().double().numpy(),
        (ends[0] - ends[1]).cpu().double().numpy(),
    )


def _gradients(
    seeded: SeededNetwork, ends: tuple[Tensor, Tensor], shares: Tensor, draw: Draw, answers: Tensor
) -> Float[Tensor, "T B C H W"]:
    """Gradient of the answers' logits, summed over some points of the path between two inputs."""
    black, whole = ends
    time, count = whole.shape[:2]
    # [T, points, B, ...]: every point as one more image of the batch
    points = black[:, None] + (whole - black)[:, None] * shares.view(1, -1, *[1] * (whole.ndim - 1))
    path = points.flatten(1, 2).detach().requires_grad_()
    with torch.enable_grad():
        logits = _logits(seeded, path, draw._replace(index=draw.index.repeat(len(shares))))
        (gradient,) = torch.autograd.grad(logits.gather(1, answers.repeat(len(shares))[:, None]).sum(), path)
    return gradient.view(time, len(shares), count, *whole.shape[2:]).sum(1)


def _inputs(seeded: SeededNetwork, images: Tensor, draw: Draw) -> Float[Tensor, "T B C H W"]:
    graph = seeded.network.graph
    if graph.encoder.differentiable:
        return graph.encoder.expected(images)
    return seeded.network.encode(images, draw)


def _black(seeded: SeededNetwork, images: Tensor) -> Float[Tensor, "T one C H W"]:
    """What a network gets of a black image, [T, 1, C, H, W]."""
    graph = seeded.network.graph
    one = torch.zeros_like(images[:1])
    if graph.encoder.differentiable:
        return graph.encoder.expected(one)
    return torch.zeros_like(seeded.network.encode(one, Draw.first(1)))


def _logits(seeded: SeededNetwork, inputs: Tensor, draw: Draw) -> Tensor:
    network = seeded.network
    weights = {name: value.detach() for name, value in network.weights.items()}
    result = engine.run(network.graph, weights, inputs, draw, engine="reference")
    return network.graph.readout(result.trajectory)

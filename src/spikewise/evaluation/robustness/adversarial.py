"""Adversarial images: changed by at most eps in each pixel so that a network errs.

Gradients go through the surrogates of the neurons. Before that they have to pass the encoder: direct coding passes them
exactly; rate coding by expectation, as a pixel of intensity p spikes with probability p, so d E[spike] / dp = 1, summed
over the steps; latency, periodic and delta coding have no useful gradient, and such networks are attacked by search.
The attacker does not know the random numbers that the encoder will draw when the image is judged: attacks draw others,
new ones for each gradient.

A gradient that vanishes or misleads makes a network look robust ("gradient masking"), and surrogate gradients are
known for it: how well an attack on a spiking network works depends on the surrogate (N. Xu et al., "Attacking the
spike", arXiv 2209.03358). Hence three checks beside the attacks: images made against another network, a search that
needs no gradient, and random signs. If one of them does more harm than PGD, the gradient is masked.
"""

from typing import Final, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from spikewise.data.counter import uniform_at
from spikewise.errors import ConfigError
from spikewise.evaluation.prediction import fitting_batch
from spikewise.evaluation.robustness.candidates import Images
from spikewise.graph import Graph
from spikewise.network import Network
from spikewise.types import Draw

__all__ = ["EPSILONS", "AttackTarget", "fgsm", "passes_gradients", "pgd", "random_signs", "search", "zero_gradients"]

EPSILONS: Final = (4, 8, 16, 32)
"""Greatest change of a pixel, of 255."""
_STEPS: Final = 7
_STEP_SIZE: Final = 2.5
"""Times eps / steps: the end of the ball can be reached from anywhere in it (Madry et al.)."""
_QUERIES: Final = 30
_SHARE: Final = 0.5
"""Of the pixels that the first squares of the search cover; it shrinks from there."""
_START, _SIGNS, _STRIPES, _PLACE_Y, _PLACE_X, _COLOUR = range(300, 306)  # purposes of random numbers
_WHITE = 255
_KEPT_BY_BACKWARD: Final = 4
"""Times the memory of a pass without gradient."""
_JUDGE = 1  # epochs of the attacker's random numbers; 0 is evaluation
_FGSM = 2
_PGD = 3

Pixels = UInt8[Tensor, "N C H W"]
Values = Float[Tensor, "N C H W"]


class AttackTarget(NamedTuple):
    """A network under attack on some images."""

    network: Network
    images: Pixels
    labels: Int64[Tensor, " N"]
    index: Int64[Tensor, " N"]  # type: ignore[assignment]  # hides tuple.index, which nobody needs here
    seed: int

    @classmethod
    def of(cls, network: Network, images: Images, *, seed: int) -> "AttackTarget":
        """A network in evaluation mode, and the images on its device."""
        network.eval()
        arrays = (images.pixels, images.labels, images.index)
        pixels, labels, index = (torch.from_numpy(np.ascontiguousarray(one)).to(network.device) for one in arrays)
        return cls(network, pixels, labels, index, seed)

    def losses(self, pixels: Pixels, epoch: int = _JUDGE) -> Float[Tensor, " N"]:
        """Cross-entropy of each image, in nats."""
        with torch.no_grad():
            parts = [
                _losses(self.network(pixels[part], self._draw(part, epoch)).logits, self.labels[part])
                for part in self._parts()
            ]
        return torch.cat(parts)

    def gradient(self, pixels: Pixels, epoch: int) -> Values:
        """Gradient of each image's loss with respect to its pixels; 1 is white."""
        if not passes_gradients(self.network.graph):
            raise ConfigError(
                f"The encoder '{self.network.graph.encoder.label}' passes no useful gradient to images; use `search`."
            )
        parts = []
        for part in self._parts(copies=_KEPT_BY_BACKWARD):
            draw = self._draw(part, epoch)
            inputs = self.network.encode(pixels[part], draw).detach().clone().requires_grad_()
            loss = _losses(self.network.run(inputs, draw).logits, self.labels[part]).sum()
            gradient = torch.autograd.grad(loss, inputs)[0].sum(0)
            parts.append(self.network.graph.encoder.per_intensity(gradient))
        return torch.cat(parts)

    def _draw(self, part: slice, epoch: int) -> Draw:
        return Draw(self.seed, epoch, self.index[part])

    def _parts(self, copies: int = 1) -> list[slice]:
        several = fitting_batch(self.network.graph, self.network.device, copies=copies)
        return [slice(start, start + several) for start in range(0, len(self.images), several)]


def passes_gradients(graph: Graph) -> bool:
    """Whether the encoder passes a useful gradient from the spikes to the image."""
    return graph.encoder.differentiable


def fgsm(target: AttackTarget, eps: int, gradient: Values | None = None) -> Pixels:
    """One step of eps along the sign of the gradient.

    Source: Goodfellow, Shlens and Szegedy, "Explaining and harnessing adversarial examples", ICLR 2015, section 4.

    Args:
        gradient: that of the images, if it is at hand.
    """
    gradient = target.gradient(target.images, _FGSM) if gradient is None else gradient
    return _near(target.images + eps * gradient.sign(), target.images, eps)


def pgd(target: AttackTarget, eps: int, *, steps: int = _STEPS, also: Pixels | None = None) -> Pixels:
    """Several smaller steps from a random start, each projected back to within eps.

    Source: Madry et al., "Towards deep learning models resistant to adversarial attacks", ICLR 2018, section 2.1.

    Args:
        also: other images within eps, such as those of `fgsm`: of each image the one with the greater loss is kept.
    """
    start = _uniform_at(target.index, _START, target.images[0].numel()).view(target.images.shape)
    at = _kept(target.images + (2 * start - 1) * eps, target.images, eps)
    for step in range(steps):
        gradient = target.gradient(_bytes(at), _PGD + step)
        at = _kept(at + _STEP_SIZE * eps / steps * gradient.sign(), target.images, eps)
    last = _bytes(at)
    return last if also is None else _worse(target, last, also)


def search(target: AttackTarget, eps: int, *, queries: int = _QUERIES) -> Pixels:
    """Random vertical stripes, then random squares that stay where they raise the loss: needs answers, no gradient.

    Source: Andriushchenko et al., "Square attack", ECCV 2020, algorithms 1 and 2; here with few queries and the
    cross-entropy.
    """
    images, (channels, height, width) = target.images, target.images.shape[1:]
    stripes = _signs(target.index, _STRIPES, channels * width).view(-1, channels, 1, width)
    best = _near(images + eps * stripes, images, eps)
    greatest = target.losses(best)
    for query in range(queries):
        share = _SHARE * 0.5 ** (4 * query / queries)
        side = max(1, min(height, width, round((share * height * width) ** 0.5)))
        inside = (
            _run(target.index, _PLACE_Y, query, side, height)[:, None, :, None]
            & _run(target.index, _PLACE_X, query, side, width)[:, None, None, :]
        )
        sign = _signs(target.index, _COLOUR, channels, query).view(-1, channels, 1, 1)
        tried = torch.where(inside, _near(images + eps * sign, images, eps), best)
        losses = target.losses(tried)
        better = losses > greatest
        best = torch.where(better.view(-1, 1, 1, 1), tried, best)
        greatest = torch.where(better, losses, greatest)
    return best


def random_signs(images: Pixels, index: Int64[Tensor, " N"], eps: int) -> Pixels:
    """Each pixel up or down by eps at random: what the size of an attack does without its aim."""
    return _near(images + eps * _signs(index, _SIGNS, images[0].numel()).view(images.shape), images, eps)


def zero_gradients(gradient: Values) -> Bool[Tensor, " N"]:
    """Whether the gradient of an image is zero everywhere."""
    return (gradient == 0).flatten(1).all(1)


def _losses(logits: Float[Tensor, "B K"], labels: Int64[Tensor, " B"]) -> Float[Tensor, " B"]:
    return torch.nn.functional.cross_entropy(logits, labels, reduction="none")


def _worse(target: AttackTarget, a: Pixels, b: Pixels) -> Pixels:
    first = target.losses(a) >= target.losses(b)
    return torch.where(first.view(-1, 1, 1, 1), a, b)


def _kept(values: Values, images: Pixels, eps: int) -> Values:
    """The nearest values that lie within eps of the images, and in 0..255."""
    centre = images.float()
    return torch.clamp(values, centre - eps, centre + eps).clamp(0, _WHITE)


def _near(values: Values, images: Pixels, eps: int) -> Pixels:
    return _bytes(_kept(values, images, eps))


def _bytes(values: Values) -> Pixels:
    return values.round().to(torch.uint8)  # images and eps are whole, so rounding stays within eps


def _uniform_at(index: Int64[Tensor, " N"], purpose: int, count: int, query: int = 0) -> Float[Tensor, "N count"]:
    place = index.cpu()[:, None] * count + torch.arange(count)
    return uniform_at(place, purpose, query).float().to(index.device)


def _signs(index: Int64[Tensor, " N"], purpose: int, count: int, query: int = 0) -> Float[Tensor, "N count"]:
    return 1 - 2 * (_uniform_at(index, purpose, count, query) < 0.5).float()


def _run(index: Int64[Tensor, " N"], purpose: int, query: int, side: int, length: int) -> Bool[Tensor, "N length"]:
    start = (_uniform_at(index, purpose, 1, query) * (length - side + 1)).floor()
    place = torch.arange(length, device=index.device)[None]
    return (place >= start) & (place < start + side)

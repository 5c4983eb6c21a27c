"""Who is examined on which images, and what a network answers to given pixels."""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Int64, UInt8

from spikewise.errors import ShapeError
from spikewise.evaluation.prediction import Selection, batches_of
from spikewise.evaluation.ties import answers_of
from spikewise.graph import Graph
from spikewise.network import Network

__all__ = ["Images", "TrainedCandidate", "affordable", "correct_answers"]

_MOST_VALUES: Final = {"corruptions": 1 << 31, "attacks": 1 << 26}
"""Values of all layers and steps, for all images of one pass: an attack needs gradients, which cost much more."""
_LEAST: Final = 32


class Images(NamedTuple):
    """Test images of a set."""

    pixels: UInt8[np.ndarray, "N C H W"]
    labels: Int64[np.ndarray, " N"]
    index: Int64[np.ndarray, " N"]  # type: ignore[assignment]  # hides tuple.index, which nobody needs here
    """Positions in the set: they decide the random numbers of encoders and corruptions."""
    groups: Int64[np.ndarray, " N"] | None = None
    """Subject of each image, where subjects are known."""

    @property
    def chance(self) -> float:
        """Accuracy of the best constant answer."""
        return float(np.bincount(self.labels).max() / len(self.labels))

    def first(self, count: int) -> "Images":
        """The first `count` of them."""
        groups = None if self.groups is None else self.groups[:count]
        return Images(self.pixels[:count], self.labels[:count], self.index[:count], groups)


class TrainedCandidate(NamedTuple):
    """One side of a comparison: its trained networks."""

    name: str
    networks: Sequence[Network]
    """One for each seed."""
    seeds: Sequence[int]

    @property
    def graph(self) -> Graph:
        """What its networks have in common."""
        return self.networks[0].graph


def correct_answers(
    network: Network, images: Images, *, seed: int, pixels: UInt8[np.ndarray, "N C H W"] | None = None
) -> Bool[np.ndarray, " N"]:
    """Whether each answer is right; an encoder draws the same random numbers for changed pixels as for the images' own.

    Args:
        pixels: what the network sees instead of the images' own pixels.
    Raises:
        ShapeError: not as many as there are images.
    """
    pixels = images.pixels if pixels is None else pixels
    if pixels.shape != images.pixels.shape:
        raise ShapeError(f"Changed pixels keep the shape {images.pixels.shape} of the images; got {pixels.shape}.")
    network.eval()
    answers = []
    with torch.no_grad():
        for _, batch, draw in batches_of(network, Selection(pixels, images.index), seed):
            answers.append(answers_of(network(batch, draw), draw.index))
    return np.asarray(np.concatenate(answers) == images.labels)


def affordable(graphs: Sequence[Graph], images: int, purpose: str) -> int:
    """How many of `images` are used, so that large networks do not take for ever; at least 32 if there are so many.

    Args:
        purpose: "corruptions" or "attacks".
    """
    values = max(graph.steps * sum(math.prod(at.output) for at in graph.named) for graph in graphs)
    return min(images, max(_LEAST, _MOST_VALUES[purpose] // values))

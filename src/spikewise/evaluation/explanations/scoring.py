"""Probabilities of changed images, image by image, with the same random numbers for all changes of one image."""

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8

from spikewise.evaluation.prediction import Selection, batches_of
from spikewise.evaluation.ties import logits_without_ties
from spikewise.network import Network

__all__ = ["SeededNetwork", "probabilities"]


class SeededNetwork:
    """A network and the key of the random numbers by which it is asked."""

    def __init__(self, network: Network, seed: int) -> None:
        self.network, self.seed = network.eval(), seed


def probabilities(
    seeded: SeededNetwork,
    images: UInt8[np.ndarray, "N C H W"],
    index: Int[np.ndarray, " N"],
) -> Float[np.ndarray, "N K"]:
    """Softmax of the logits.

    Args:
        index: key of each image's random numbers: images with the same one differ in their pixels alone.
    """
    network, out = seeded.network, []
    with torch.no_grad():
        for _, batch, draw in batches_of(network, Selection(images, index), seeded.seed):
            out.append(logits_without_ties(network(batch, draw), draw.index).softmax(1).cpu().numpy())
    return np.concatenate(out)

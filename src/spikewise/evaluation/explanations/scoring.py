"""Probabilities of changed images, image by image, with the same random numbers for all changes of one image."""

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8

from spikewise.evaluation.prediction import fitting_batch
from spikewise.network import Network
from spikewise.types import Draw

__all__ = ["Subject", "probabilities"]


class Subject:
    """A network and the key of the random numbers by which it is asked."""

    def __init__(self, network: Network, seed: int) -> None:
        self.network, self.seed = network.eval(), seed


def probabilities(
    subject: Subject,
    images: UInt8[np.ndarray, "N C H W"],
    index: Int[np.ndarray, " N"],
) -> Float[np.ndarray, "N K"]:
    """Softmax of the logits.

    Args:
        index: key of each image's random numbers: images with the same one differ in their pixels alone.
    """
    network, out = subject.network, []
    size = fitting_batch(network.graph)
    with torch.no_grad():
        for start in range(0, len(images), size):
            part = slice(start, start + size)
            batch = torch.from_numpy(np.ascontiguousarray(images[part])).to(network.device)
            draw = Draw(subject.seed, 0, torch.from_numpy(np.ascontiguousarray(index[part], dtype=np.int64)))
            out.append(network(batch, draw).logits.float().softmax(1).cpu().numpy())
    return np.concatenate(out)

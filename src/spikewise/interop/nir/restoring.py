"""A NIR graph that was written here becomes the network that it was made of, to the bit."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from spikewise.errors import DataError
from spikewise.graph import Conv2d, Linear, NamedLayer, Neuron
from spikewise.interop.nir.notes import Notes
from spikewise.interop.nir.writing import recurrent_name
from spikewise.network import Network

if TYPE_CHECKING:
    import nir

__all__ = ["restored"]


def restored(graph: "nir.NIRGraph", notes: Notes) -> Network:
    """The network that a graph was made of, in evaluation mode.

    Raises:
        DataError: nodes are missing, or have other shapes than the metadata say.
    """
    network = Network(notes.parsed())
    weights = {f"{at.name}.{key}": _stored(graph, at, key) for at in network.graph.named for key in at.parameters()}
    for name, shape in network.graph.parameter_shapes().items():
        if weights[name].shape != shape:
            raise DataError(
                f"{name} has the shape {weights[name].shape} in this NIR file, and its metadata say {shape}."
            )
        if not np.isfinite(weights[name]).all():
            raise DataError(f"{name} of this NIR file holds what is no finite number.")
    network.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in weights.items()})
    return network.eval()


def _stored(graph: "nir.NIRGraph", at: NamedLayer, key: str) -> np.ndarray:
    own, back = graph.nodes.get(at.name), graph.nodes.get(recurrent_name(at.name))
    found: Any = None
    if isinstance(at.layer, Linear | Conv2d):
        found = getattr(own, key, None)
    elif isinstance(at.layer, Neuron) and key == "recurrent":
        found = getattr(back, "weight", None)
    elif isinstance(at.layer, Neuron) and own is not None:
        found = own.metadata.get(f"stored_{key}")
        found = np.array(found) if isinstance(found, float) else found  # one value of the layer
    if not isinstance(found, np.ndarray) or found.dtype.kind != "f":
        raise DataError(f"The metadata of this NIR file name a layer {at.name} with {key}, and it has none.")
    return found.astype(np.float32)

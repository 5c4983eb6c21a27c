"""`load`: a network of a finished run, ready to classify."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from PIL import Image

from spikewise.config import parse
from spikewise.data import decode_image
from spikewise.engine import RunOptions
from spikewise.errors import ConfigError, RunError, ShapeError
from spikewise.evaluation import Results
from spikewise.evaluation.prediction import Batch, Selection, batches_of
from spikewise.experiments import RunFolder
from spikewise.experiments.facts import resolve_device
from spikewise.graph import Graph
from spikewise.network import Network
from spikewise.training import load_weights
from spikewise.training.loop import WEIGHTS

__all__ = ["Answers", "Images", "Trained", "load"]

Source = str | Path | bytes | Image.Image
"""One image: a file, the bytes of one, or a picture in memory."""
Images = Source | Sequence[Source] | UInt8[np.ndarray, "N C H W"] | UInt8[np.ndarray, "N H W"]


class Answers(NamedTuple):
    """What a network says about N images, step by step."""

    probabilities: Float[np.ndarray, "N K"]
    """Softmax of the logits."""
    evidence: Float[np.ndarray, "N T K"]
    """The readout's sum up to each step."""
    spikes: Int[np.ndarray, "N K"] | None
    """Spikes of each output neuron; None where the outputs do not spike."""
    layer_spikes: dict[str, Int[np.ndarray, " N"]]
    """Spikes that all neurons of each spiking layer sent."""


@dataclass(frozen=True)
class Trained:
    """A trained network, ready to classify."""

    network: Network
    classes: tuple[str, ...]
    """Name of each class, in label order."""
    name: str
    seed: int

    def predict(self, images: Images) -> Int[np.ndarray, " N"]:
        """Label of the most probable class of each image; `classes[label]` is its name. See `predict_proba`."""
        return np.asarray(self.explain(images).probabilities.argmax(1))

    def predict_proba(self, images: Images) -> Float[np.ndarray, "N K"]:
        """Probability of each class.

        Args:
            images: uint8 arrays of the size the network reads, or files and pictures, which are brought to that size.
        Raises:
            ShapeError: an array is of another shape or type.
            DataError: a file is missing, damaged or no image.
        """
        return self.explain(images).probabilities

    def explain(self, images: Images) -> Answers:
        """Probabilities, and how the evidence for them grew; an image's answer does not depend on its companions."""
        pixels = self.pixels(images)
        # key 0 for all: the same image gets the same random spikes, alone or among others
        chosen = Selection(pixels, np.zeros(len(pixels), np.int64))
        layers = self.network.graph.spiking_layers
        self.network.eval()
        with torch.no_grad():
            parts = [self._explain(batch) for batch in batches_of(self.network, chosen, self.seed, record=layers)]
        counts = [part.spikes for part in parts if part.spikes is not None]
        return Answers(
            np.concatenate([part.probabilities for part in parts]),
            np.concatenate([part.evidence for part in parts]),
            np.concatenate(counts) if counts else None,
            {name: np.concatenate([part.layer_spikes[name] for part in parts]) for name in parts[0].layer_spikes},
        )

    def pixels(self, images: Images) -> UInt8[np.ndarray, "N C H W"]:
        """The images as the network reads them."""
        if isinstance(images, np.ndarray):
            batch = images[:, None] if images.ndim == 3 else images
        elif isinstance(images, str | Path | bytes | Image.Image):
            batch = self._decode(images)[None]
        else:
            batch = np.stack([self._decode(source) for source in images]) if images else np.empty((0,), np.uint8)
        if not len(batch):
            raise ShapeError("There are no images to classify.")
        return batch

    def _decode(self, source: Source) -> UInt8[np.ndarray, "C H W"]:
        channels, height, width = self.network.graph.image_shape
        return decode_image(_file(source), size=(height, width), grey=channels == 1)

    def _explain(self, batch: Batch) -> Answers:
        layers = frozenset(self.network.graph.spiking_layers)
        output = self.network(batch.pixels, batch.draw, RunOptions(record=layers))
        trajectory = output.trajectory
        evidence = self.network.graph.readout.evidence(trajectory).transpose(0, 1)
        spikes = None if trajectory.spikes is None else trajectory.spikes.sum(0).long().cpu().numpy()
        sent = {
            name: trace.spikes.flatten(2).sum((0, 2)).round().long().cpu().numpy()
            for name, trace in output.result.traces.items()
            if trace.spikes is not None
        }
        return Answers(output.logits.softmax(1).cpu().numpy(), evidence.cpu().numpy(), spikes, sent)


def load(run: str | Path, network: str = "snn", seed: int | None = None, *, device: str = "auto") -> Trained:
    """A network of a finished run.

    Args:
        run: The run folder.
        network: `snn`, `twin` or `cnn`.
        seed: Which of the run's seeds; None is the first.
        device: `auto`, `cpu`, `cuda` or `mps`.
    Raises:
        RunError: it is no run folder, or the run has not finished.
        ConfigError: the run has no such network or seed.
    """
    folder = RunFolder.open(Path(run))
    results = Results.load(folder.results)
    name, seeds = results.network(network).name, results.protocol.seeds
    seed = seeds[0] if seed is None else seed
    if seed not in seeds:
        raise ConfigError(f"{run} has no seed {seed}; it has {', '.join(map(str, seeds))}.")
    path = folder.training(name, seed) / WEIGHTS
    weights, notes = load_weights(path)
    built = Network(parse(Graph, notes["graph"]), engine_name=folder.experiment().engine)
    try:
        built.load_state_dict(weights)
    except RuntimeError as error:
        raise RunError(
            f"{path} holds the weights of another network, or is damaged. Remove it and run again."
        ) from error
    return Trained(built.to(resolve_device(device)).eval(), results.data.classes, name, seed)


def _file(source: Source) -> Path | bytes:
    """What `decode_image` reads; a picture in memory takes the same road as one in a file."""
    if isinstance(source, Image.Image):
        content = io.BytesIO()
        source.save(content, format="TIFF" if source.mode in ("F", "I", "CMYK", "YCbCr", "LAB") else "PNG")
        return content.getvalue()
    return Path(source) if isinstance(source, str) else source

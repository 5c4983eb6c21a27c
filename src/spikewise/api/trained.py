"""`load`: a network of a finished run, ready to classify."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from PIL import Image

from spikewise.api.seen import kept_seen
from spikewise.config import parse
from spikewise.conversion import Conversion
from spikewise.conversion.kept import kept_network
from spikewise.data import Layout, Reading
from spikewise.data.appearance import Appearance, unlike
from spikewise.data.likeness import DIMENSIONS, Likeness
from spikewise.data.seen import SeenImages
from spikewise.engine import RunOptions
from spikewise.errors import ConfigError, unknown_choice
from spikewise.evaluation import Results
from spikewise.evaluation.conversion import FILE
from spikewise.evaluation.metrics import softmax
from spikewise.evaluation.prediction import Batch, Selection, batches_of
from spikewise.evaluation.stored import NUMBERS, check_array, read_arrays
from spikewise.evaluation.ties import evidence_of
from spikewise.experiments import RunFolder, describe
from spikewise.experiments.devices import answering_device
from spikewise.graph import Graph
from spikewise.network import Network
from spikewise.reading import damaged
from spikewise.training import load_weights
from spikewise.training.checkpoint import damage_told
from spikewise.training.loop import WEIGHTS

__all__ = ["Answers", "Images", "Trained", "load", "networks_of", "run_of"]

Source = str | Path | bytes | Image.Image
"""One image: a file, the bytes of one, or a picture in memory."""
Images = Source | Sequence[Source] | Sequence[np.ndarray] | np.ndarray | torch.Tensor
"""Images in any form; arrays are [N, H, W], [N, C, H, W] or [N, H, W, C], or one image of those."""


class Answers(NamedTuple):
    """What a network says about N images, step by step."""

    probabilities: Float[np.ndarray, "N K"]
    """Softmax of the logits."""
    evidence: Float[np.ndarray, "N T K"]
    """The readout's sum up to each step; ties are broken (`spikewise.ties`), so its highest class is the answer."""
    spikes: Int[np.ndarray, "N K"] | None
    """Spikes of each output neuron; None where the outputs do not spike."""
    layer_spikes: dict[str, Int[np.ndarray, " N"]]
    """Spikes that all neurons of each spiking layer sent."""


@dataclass(frozen=True, repr=False)
class Trained:
    """A trained network, ready to classify."""

    network: Network
    classes: tuple[str, ...]
    """Name of each class, in label order."""
    name: str
    seed: int
    reading: Reading
    """How images are brought to the network's pixels."""
    typical: Appearance | None = None
    """Brightness and contrast of the images that it learned from; None where the run did not note them."""
    likeness: Likeness | None = None
    """What tells how far an image lies from those; None where the run did not keep it."""
    learned_grey: bool = False
    """Whether colours of the images that it learned from were dropped, too, because grey was asked for."""
    seen: SeenImages | None = None
    """What tells the images that it learned from; None where the run did not keep it."""

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.reading.shape))
        return (
            f"<{self.name}, seed {self.seed}: {describe(self.network.graph)}; {shape} -> {len(self.classes)} classes>"
        )

    def predict(self, images: Images, **how: Any) -> Int[np.ndarray, " N"]:
        """Label of the most probable class of each image; `classes[label]` is its name. See `predict_proba`."""
        return np.asarray(self.predict_proba(images, **how).argmax(1))

    def predict_proba(self, images: Images, **how: Any) -> Float[np.ndarray, "N K"]:
        """Probability of each class.

        Args:
            images: Arrays of the size the network reads, or files and pictures, which are brought to that size.
            how: `white` and `layout`, as in `pixels`.
        Raises:
            ShapeError: an array is of another shape, or its axes fit in both orders.
            DataError: a file is missing, damaged or no image, or numbers do not lie between black and white.
        """
        return self.answers(self.pixels(images, **how), layers=()).probabilities

    def explain(self, images: Images, **how: Any) -> Answers:
        """Probabilities, and how the evidence for them grew; an image's answer does not depend on its companions."""
        return self.answers(self.pixels(images, **how))

    def answers(self, pixels: UInt8[np.ndarray, "N C H W"], layers: Iterable[str] | None = None) -> Answers:
        """What `explain` says, of images that are the network's pixels already.

        Args:
            layers: Spiking layers whose spikes are counted; None is all.
        """
        record = frozenset(self.network.graph.spiking_layers if layers is None else layers)
        self.network.eval()
        with torch.no_grad():
            parts = [self._answers(batch, record) for batch in self.batches(pixels, record)]
        counts = [part.spikes for part in parts if part.spikes is not None]
        return Answers(
            np.concatenate([part.probabilities for part in parts]),
            np.concatenate([part.evidence for part in parts]),
            np.concatenate(counts) if counts else None,
            {name: np.concatenate([part.layer_spikes[name] for part in parts]) for name in parts[0].layer_spikes},
        )

    def batches(self, pixels: UInt8[np.ndarray, "N C H W"], record: Collection[str] = ()) -> Iterator[Batch]:
        """Images that are the network's pixels already, in batches that fit the memory, with their random keys.

        Args:
            record: Layers whose every step is to be kept.
        """
        # key 0 for all: the same image gets the same random spikes, alone or among others
        return batches_of(self.network, Selection(pixels, np.zeros(len(pixels), np.int64)), self.seed, record=record)

    def spikes(
        self, images: Images, layers: Iterable[str] | None = None, **how: Any
    ) -> dict[str, Float[torch.Tensor, "T N *F"]]:
        """What the neurons of each spiking layer send at each step, as 0.0 and 1.0 (more where several go at once).

        Args:
            images: As for `predict_proba`.
            layers: Names of spiking layers, as `network.graph.spiking_layers` has them; None is all.
            how: `white` and `layout`, as in `pixels`.
        Raises:
            ConfigError: there is no such spiking layer.
        """
        known = self.network.graph.spiking_layers
        names = tuple(known if layers is None else layers)
        for name in names:
            if name not in known:
                raise unknown_choice("spiking layer", name, known)
        pixels = self.pixels(images, **how)
        self.network.eval()
        found: dict[str, list[torch.Tensor]] = {name: [] for name in names}
        with torch.no_grad():
            for batch in self.batches(pixels, names):
                traces = self.network(batch.pixels, batch.draw, RunOptions(record=frozenset(names))).result.traces
                for name in names:
                    sent = traces[name].spikes
                    assert sent is not None
                    found[name].append(sent.cpu())
        return {name: torch.cat(parts, dim=1) for name, parts in found.items()}

    def pixels(
        self, images: Images, *, white: float | None = None, layout: Layout | None = None
    ) -> UInt8[np.ndarray, "N C H W"]:
        """The images as the network reads them.

        Args:
            white: The number that means white in them; None: as in the images that the network learned from.
            layout: "NCHW" or "NHWC", for arrays whose axes fit in both orders.
        Raises:
            ShapeError, DataError: as `predict_proba`.
        """
        return self.reading.pixels(images, white=white, layout=layout)

    def unlike(self, pixels: UInt8[np.ndarray, "N C H W"]) -> list[str | None]:
        """For each image, what sets it apart from those that the network learned from; None where nothing does.

        Looked at are brightness and contrast, colour, grain (the difference of neighbouring pixels), and the distance
        to the nearest training image, in 32 random directions of a thumbnail of 8 x 8 pixels: beyond 1.5 times that of
        99 of 100 training images to their nearest other one, an image is far from all. Some 2,000 training images,
        evenly spaced, stand for all. Of new images of the same kind, about 1 in 1,000 is named by mistake.
        """
        out = [None] * len(pixels) if self.typical is None else unlike(pixels, self.typical)
        far = [None] * len(pixels) if self.likeness is None else self.likeness.unlike(pixels)
        return [first or second for first, second in zip(out, far, strict=True)]

    def learned_from(self, pixels: UInt8[np.ndarray, "N C H W"]) -> list[bool]:
        """Whether each image is, pixel for pixel, one that the run's networks were trained on or chosen by; false, too,
        where the run kept nothing that tells it.
        """
        none = [False] * len(pixels)
        return none if self.seen is None else self.seen.learned_from(pixels, np.arange(len(pixels))).tolist()

    def drops_colour(self, source: Source) -> bool:
        """Whether a picture has colours that the network does not see, and did not see in training either."""
        return not self.learned_grey and self.reading.drops_colour(source)

    def _answers(self, batch: Batch, layers: frozenset[str]) -> Answers:
        output = self.network(batch.pixels, batch.draw, RunOptions(record=layers))
        trajectory = output.trajectory
        evidence = evidence_of(self.network.graph.readout, output, batch.draw.index)
        spikes = None if trajectory.spikes is None else trajectory.spikes.sum(0).long().cpu().numpy()
        sent = {
            name: trace.spikes.flatten(2).sum((0, 2)).round().long().cpu().numpy()
            for name, trace in output.result.traces.items()
            if trace.spikes is not None
        }
        grown = evidence.cpu().numpy()
        return Answers(softmax(grown[-1]), grown.swapaxes(0, 1), spikes, sent)


def load(  # one argument per thing a person may ask for
    run: str | PathLike[str],
    network: str = "snn",
    seed: int | None = None,
    *,
    device: str = "auto",
    steps: int | None = None,
    waits: bool = False,
) -> Trained:
    """A network of a finished run, or one that `convert` made of it.

    Args:
        run: The run folder, or a folder in its `conversions`.
        network: `snn`, `twin` or `cnn`; of a conversion there is but one.
        seed: Which of the run's seeds; None is the first.
        steps: Of a converted network: in how many a layer's spikes say its activations.
        waits: Of a converted network: the one whose layers fire only when all of their input has come.
        device: `cpu`, `cuda` or `mps`; `auto` takes the faster one by a short trial that is kept in the cache.
    Raises:
        RunError: it is no run folder, or the run has not finished.
        ConfigError: the run has no such network or seed.
    """
    run = Path(run)
    if (run / FILE).is_file():
        return _converted(run, network, seed, (steps, waits), device)
    if steps is not None or waits:
        raise ConfigError(f"{run} is no conversion, so that its networks have the steps that they were trained with.")
    folder = RunFolder.open(run)
    results = Results.load(folder.results)
    folder.must_hold_networks()
    name, seeds = results.network(network).name, results.protocol.seeds
    seed = seeds[0] if seed is None else seed
    if seed not in seeds:
        raise ConfigError(f"{run} has no seed {seed!r}; it has {', '.join(map(str, seeds))}.")
    path = folder.path / "networks" / name / f"seed-{seed}" / WEIGHTS  # whoever reads makes no folders
    weights, notes = load_weights(path)
    built = Network(_graph(path, notes, results), engine_name=folder.experiment().engine)
    with damage_told(path):
        built.load_state_dict(weights)
    return _ready(folder, results, built, name, seed, device)


def networks_of(run: str | PathLike[str]) -> tuple[str, ...]:
    """Names of the networks of a finished run that `load` takes; none of a conversion, which has but one."""
    if (Path(run) / FILE).is_file():
        return ()
    return tuple(one.name for one in Results.load(RunFolder.open(Path(run)).results).networks)


def run_of(path: Path) -> RunFolder:
    """A run folder, or the one that a folder in its `conversions` belongs to.

    Raises:
        RunError: it is neither.
    """
    return RunFolder.open(path.resolve().parent.parent if (path / FILE).is_file() else path)


def _converted(place: Path, network: str, seed: int | None, form: tuple[int | None, bool], device: str) -> Trained:
    """A converted network, with what the run that it comes from knows of the images."""
    found = Conversion.load(place / FILE)
    if network not in ("snn", found.network):
        raise unknown_choice("network", network, [found.network])
    folder = run_of(place)
    results = Results.load(folder.results)
    seed = found.seeds[0] if seed is None else seed
    steps, waits = form
    built = kept_network(place, seed, steps, waits=waits)
    shape, classes = tuple(results.data.image_shape), len(results.data.classes)
    if (tuple(built.graph.image_shape), built.graph.classes) != (shape, classes):
        raise damaged(place, f"its network does not read images {shape} of {classes} classes, as the run has them")
    return _ready(folder, results, built, f"{found.network} as spikes", seed, device)


def _ready(folder: RunFolder, results: Results, built: Network, name: str, seed: int, device: str) -> Trained:
    ground = folder.experiment().data.background or "black"
    reading = Reading(built.graph.image_shape, results.data.whites, ground, results.data.aspect)
    return Trained(
        built.to(answering_device(device, built).device).eval(),
        results.data.classes,
        name,
        seed,
        reading,
        _typical(results),
        _likeness(folder.path / "likeness.npz"),
        bool(folder.experiment().data.grey),
        kept_seen(folder.path),
    )


def _likeness(path: Path) -> Likeness | None:
    if not path.exists():  # as in runs of earlier versions
        return None
    arrays = read_arrays(path)
    references = check_array(path, arrays, "references", "f", 2)
    numbers = (float(check_array(path, arrays, name, NUMBERS, 0)) for name in ("far", "colour", "smooth", "grainy"))
    kept = Likeness(references.astype(np.float32), *numbers)
    if references.shape[1:] != (DIMENSIONS,) or not len(references) or kept.far < 0:
        raise damaged(path, f"its references are {references.shape}")
    return kept


def _typical(results: Results) -> Appearance | None:
    noted = results.data.appearance
    return None if noted is None else Appearance(**noted.model_dump())


def _graph(path: Path, notes: dict[str, Any], results: Results) -> Graph:
    """The graph beside the weights, if it is one that reads this run's images and answers with its classes."""
    try:
        graph = parse(Graph, notes.get("graph", {}))
    except ConfigError as error:
        raise damaged(path, error) from None
    told = next(network for network in results.networks if network.name == path.parent.parent.name)
    found = (tuple(graph.image_shape), graph.classes, graph.steps)
    expected = (tuple(results.data.image_shape), len(results.data.classes), told.steps)
    if found != expected:
        raise damaged(path, f"its graph has images, classes and steps {found}; the run has {expected}")
    return graph

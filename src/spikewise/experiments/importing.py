"""A network that was made elsewhere as the spiking side of a comparison: its twin is trained here, it is not."""

import hashlib
from pathlib import Path

import numpy as np

from spikewise.data import ImageSet, Progress, Split, load_data, split
from spikewise.errors import ConfigError
from spikewise.evaluation.prediction import Predictions, predict
from spikewise.evaluation.results import EpochRecord
from spikewise.experiments.devices import resolve_automatic
from spikewise.experiments.experiment import Experiment
from spikewise.experiments.noted_images import NotedImages
from spikewise.experiments.run import Finished, run_experiment
from spikewise.experiments.run_folder import RunFolder
from spikewise.files import write_json
from spikewise.models import Layers
from spikewise.network import Network
from spikewise.training import FitResult, Listener
from spikewise.training.checkpoint import save_weights
from spikewise.training.loop import FIT, WEIGHTS

__all__ = ["imported_experiment", "run_imported"]

_SIDE = "snn"
_SEEN = 2000
"""Training images on which its loss is told."""


def imported_experiment(experiment: Experiment, network: Network) -> Experiment:
    """An experiment whose spiking network is one that was made elsewhere.

    Args:
        experiment: says which images, which split, and how the other sides are trained.
    Raises:
        ConfigError: the network does not spike, or the experiment has settings that an imported network decides.
    """
    graph = network.graph
    if not graph.spiking_layers:
        raise ConfigError("The network has no spiking layer; what is judged here is a spiking network.")
    sides = experiment.sides if _SIDE in experiment.sides else (_SIDE, *experiment.sides)
    looked_for = sides if experiment.train.learning_rate == "auto" else ()
    tuned = looked_for if experiment.tuned == "auto" else experiment.tuned
    return experiment.replace(
        model=Layers(sequence=graph.layers),
        encoder=graph.encoder,
        readout=graph.readout,
        standardise=False,
        sides=sides,
        tuned=tuple(side for side in tuned if side != _SIDE),
        seeds=experiment.seeds[:1],
        imported=_digest(network),
    )


def run_imported(  # noqa: PLR0913  # as `run_experiment`
    network: Network,
    experiment: Experiment,
    tool: str,
    *,
    out: Path = Path("runs"),
    data_dir: Path | None = None,
    listener: Listener | None = None,
    decoding: Progress | None = None,
    thorough: bool = False,
) -> Finished:
    """Compare an imported network with sides that are trained here; a killed run is resumed by the same call.

    Args:
        experiment: made by `imported_experiment`.
        tool: where the network comes from, for the record.
    Raises:
        SpikewiseError: with one clear message.
    """
    images = load_data(experiment.data, data_dir=data_dir, progress=decoding)
    parts = split(images, experiment.split)
    if network.graph.image_shape != images.image_shape or network.graph.classes != len(images.classes):
        raise ConfigError(_unfit(network, images))
    experiment = resolve_automatic(experiment, "compare", images, parts, out=out)
    path = out / experiment.folder_name("compare", images.name)
    folder = RunFolder.create(path, experiment, "compare", NotedImages.of(images))
    with folder.lock():
        for seed in experiment.seeds:
            _put(folder, network, tool, images, parts, seed)
    return run_experiment(
        experiment, out=out, data_dir=data_dir, listener=listener, decoding=decoding, thorough=thorough
    )


def _put(folder: RunFolder, network: Network, tool: str, images: ImageSet, parts: Split, seed: int) -> None:
    """The network as if it had been trained here, with what it knows as its only epoch."""
    place = folder.training(_SIDE, seed)
    if (place / FIT).exists():
        return
    save_weights(place / WEIGHTS, network, {"imported": tool})
    seen = parts.train[:: max(1, len(parts.train) // _SEEN)]
    train, validation = (predict(network, images, index, seed=seed) for index in (seen, parts.validation))
    record = EpochRecord(
        epoch=1,
        train_loss=train.loss,
        train_accuracy=_accuracy(train),
        validation_loss=validation.loss,
        validation_accuracy=_accuracy(validation),
        learning_rate=0.0,
        seconds=0.0,
        images_per_second=0.0,
        spike_rates={name: float(rate.mean()) for name, rate in validation.rates.items()},
    )
    write_json(place / FIT, FitResult(history=[record], best_epoch=1).notes())


def _accuracy(predictions: Predictions) -> float:
    return float(np.mean(predictions.predicted == predictions.labels))


def _digest(network: Network) -> str:
    """SHA-256 over the network's weights."""
    digest = hashlib.sha256()
    for name, value in sorted(network.weights.items()):
        digest.update(name.encode() + value.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


def _unfit(network: Network, images: ImageSet) -> str:
    graph = network.graph
    wanted, found = ("x".join(map(str, shape)) for shape in (graph.image_shape, images.image_shape))
    told, remedy = [], "Take the images that it was made for."
    if graph.image_shape != images.image_shape:
        told.append(f"it reads images of {wanted} (channels, height, width), and these are {found}")
        settings = _bringing(graph.image_shape, images.image_shape)
        if graph.classes == len(images.classes) and settings:
            remedy = f"{remedy[:-1]}, or bring these to its shape ({', '.join(f'--set {one}' for one in settings)})."
    if graph.classes != len(images.classes):
        ways = f"{graph.classes:,} class{'es' * (graph.classes != 1)}"
        told.append(f"it answers with {ways}, and these have {len(images.classes):,}")
    return f"The network does not fit {images.name}: {'; '.join(told)}. {remedy}"


def _bringing(wanted: tuple[int, int, int], found: tuple[int, int, int]) -> list[str]:
    """Settings that bring images of one shape [channels, height, width] to another; none where no setting can."""
    if not {wanted[0], found[0]} <= {1, 3}:
        return []
    grey = [f"data.grey={'true' if wanted[0] == 1 else 'false'}"] * (wanted[0] != found[0])
    return grey + ["data.size=" + "x".join(map(str, wanted[1:]))] * (wanted[1:] != found[1:])

"""`explain` and `explanations`: which pixels made the networks of a run answer as they do."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from spikewise import viz
from spikewise.api.sections import section
from spikewise.api.trained import Images, load
from spikewise.data import Progress
from spikewise.evaluation import Results
from spikewise.evaluation.explanations import (
    Pictures,
    SeededNetwork,
    deletion,
    maps_of,
    order_of,
    probabilities,
    without_a_map,
)
from spikewise.evaluation.sections.explanations import Explanations, Method
from spikewise.experiments import RunFolder
from spikewise.files import make_folder, write_npz

__all__ = ["ImageExplanation", "explain", "explanations", "save_explanations"]


class ImageExplanation(NamedTuple):
    """Why one network answered one image as it did."""

    network: str
    seed: int
    position: int
    """Which of the given images."""
    image: UInt8[np.ndarray, "C H W"]
    """As the network reads it."""
    answer: str
    probability: float
    maps: dict[Method, Float[np.ndarray, "H W"]]
    """Occlusion: fall of the probability. Integrated gradients: what a pixel adds to the logit."""
    over_time: Float[np.ndarray, " T"]
    """What the input of each time step adds to the logit."""
    areas: dict[str, float]
    """Area under the deletion curve for each map, and for "random" and "brightest": lower is better."""


def explanations(
    run: str | PathLike[str], *, again: bool = False, data_dir: Path | None = None, decoding: Progress | None = None
) -> Explanations:
    """The run's section on explanations, made if it is not there; see `section`."""
    found = section(run, "explanations", again=again, data_dir=data_dir, decoding=decoding).explanations
    assert found is not None
    return found


def explain(
    run: str | PathLike[str],
    images: Images,
    *,
    networks: Sequence[str] | None = None,
    seed: int | None = None,
    device: str = "auto",
) -> list[ImageExplanation]:
    """Occlusion and integrated gradients of some images, and whether the pixels they name matter to the answer.

    Args:
        images: as for `load(run).predict`: files, pictures or arrays.
        networks: names; None is the spiking network and its twin.
        seed: which of the run's seeds; None is the first.
        device: `auto`, `cpu`, `cuda` or `mps`.
    Returns:
        One for each image and network, image by image.
    Raises:
        RunError: it is no finished run.
        ConfigError: the run has no such network or seed.
        DataError: an image is missing, damaged or no image.
    """
    results = Results.load(RunFolder.open(Path(run)).results)
    names = networks or [one.name for one in results.networks if one.role != "baseline"] or [results.networks[0].name]
    models = [load(run, name, seed, device=device) for name in names]
    pixels = models[0].pixels(images)
    # The same key for all: an image gets the same random spikes alone or among others, as in `predict`.
    pictures = Pictures(pixels, np.zeros(len(pixels), dtype=np.int64))
    found = [
        _explain(model.name, SeededNetwork(model.network, model.seed), pictures, model.classes) for model in models
    ]
    return [one for image in zip(*found, strict=True) for one in image]


def _explain(name: str, seeded: SeededNetwork, pictures: Pictures, classes: Sequence[str]) -> list[ImageExplanation]:
    images, index, _ = pictures
    said = probabilities(seeded, images, index)
    answers = said.argmax(1)
    maps, attribution = maps_of(seeded, pictures, answers)
    areas = {
        method: deletion(seeded, images, index, answers, order_of(values)).areas for method, values in maps.items()
    } | {order: curve.areas for order, curve in without_a_map(seeded, images, index, answers).items()}
    return [
        ImageExplanation(
            network=name,
            seed=seeded.seed,
            position=at,
            image=images[at],
            answer=classes[answers[at]],
            probability=float(said[at, answers[at]]),
            maps={method: values[at] for method, values in maps.items()},
            over_time=attribution.over_time[at],
            areas={order: float(values[at]) for order, values in areas.items()},
        )
        for at in range(len(images))
    ]


def save_explanations(
    found: Sequence[ImageExplanation], names: Sequence[str], folder: Path, *, suffix: str = "png"
) -> list[Path]:
    """For each image a picture of it beside its maps, and all maps as `maps.npz` (NETWORK.METHOD, [images, H, W]).

    Args:
        names: of the images, in their order; files are called by their stems.
        suffix: png, svg or pdf.
    Raises:
        StorageError: the folder cannot be written.
    """
    make_folder(folder)
    written = []
    for position, name in enumerate(names):
        own = [one for one in found if one.position == position]
        maps = {
            f"{one.network}: {one.answer}, {method.replace('_', ' ').removeprefix('integrated ')}": values
            for one in own
            for method, values in one.maps.items()
        }
        path = folder / f"{position}-{Path(name).stem or 'image'}.{suffix}"
        viz.save_figure(viz.attributions(own[0].image, maps), path)
        written.append(path)
    stacks: dict[str, list[np.ndarray]] = {}
    for one in found:
        for method, values in one.maps.items():
            stacks.setdefault(f"{one.network}.{method}", []).append(values)
    write_npz(folder / "maps.npz", **{key: np.stack(values) for key, values in stacks.items()})
    return [*written, folder / "maps.npz"]

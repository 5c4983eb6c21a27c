"""`python -m benchmarks.defaults OUT [SET ...]`: the default networks before and after they suited the images.

Before: fully connected, rate code over 25 steps, images as they are, weights as drawn, learning rate 1e-3. After: the
defaults. For each set the test accuracy of each side over seeds, and of the trained spiking network, on validation
images, the largest shares of a layer's neurons that are silent or saturated. Real sets are found in the folder that
`SPIKEWISE_DATA` names; the photos are made in OUT. Runs are kept in OUT, so that a call that was stopped goes on.

    --seeds N     trainings of each side (3)
    --set KEY=V   a setting of all runs, such as split.limit=5000; may be given several times
    --sides A,B   snn,twin,cnn
    --device D    where they train (cpu)
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.photos import SETS as PHOTOS
from benchmarks.photos import make
from spikewise.data import split
from spikewise.errors import SpikewiseError
from spikewise.evaluation import Results
from spikewise.evaluation.diagnosis.activity import dead_share, saturated_share
from spikewise.evaluation.prediction import predict
from spikewise.experiments import RunFolder, resolve, run_experiment
from spikewise.experiments.candidates import candidates_of
from spikewise.experiments.setting import Setting

BEFORE = (
    "model.kind=mlp",
    "encoder.kind=rate",
    "standardise=false",
    "train.initial=drawn",
    "train.learning_rate=0.001",
)
REAL = {
    "digits": (),
    "mnist": (),
    "fashion-mnist": (),
    "pneumoniamnist": (),
    "chest-xray": ("data.size=64", "data.grey=true"),
    "socofing": (),
}


class Health(NamedTuple):
    """The largest shares of a layer's neurons, over layers and seeds."""

    silent: float
    saturated: float


def health(folder: RunFolder) -> Health:
    """Of the trained spiking networks of a run, on its validation images."""
    experiment, images = folder.experiment(), folder.images()
    setting = Setting(experiment, images, split(images, experiment.split), folder, torch.device("cpu"))
    silent, saturated = [0.0], [0.0]
    for side in candidates_of(experiment, images):
        for seed in experiment.seeds if side.role == "spiking" else ():
            found = predict(setting.trained(side, seed), images, setting.split.validation, seed=seed)
            silent += [dead_share(rate) for rate in found.rates.values()]
            saturated += [saturated_share(rate) for rate in found.rates.values()]
    return Health(max(silent), max(saturated))


def rows(name: str, source: str, settings: tuple[str, ...], given: argparse.Namespace) -> Iterator[str]:
    """A line for the set before, and one after."""
    for when, more in (("before", BEFORE), ("after", ())):
        overrides = [*settings, *more, *given.set, f"sides=[{', '.join(repr(side) for side in given.sides)}]"]
        experiment = resolve(source, overrides=overrides, seeds=given.seeds, device=given.device)
        experiment = experiment.replace(sections=())
        run = run_experiment(experiment, out=given.out / "runs")
        yield f"| {name} | {when} | {_figures(run.results, RunFolder.open(run.folder))} |"


def _figures(results: Results, folder: RunFolder) -> str:
    cells = []
    for network in results.networks:
        accuracies = [100 * one.test["accuracy"] for one in network.runs]
        each = ", ".join(f"{accuracy:.1f}" for accuracy in accuracies)
        cells.append(f"{network.name} {np.mean(accuracies):.1f} ({each})")
    of = health(folder)
    return f"{'; '.join(cells)} | {100 * of.silent:.0f} | {100 * of.saturated:.0f}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.defaults", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"of {', '.join([*REAL, *PHOTOS])}; all of them")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--sides", type=lambda text: text.split(","), default=["snn", "twin", "cnn"])
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    unknown = set(given.sets) - {*REAL, *PHOTOS}
    if unknown:
        parser.error(f"unknown sets: {', '.join(sorted(unknown))}")
    return given


def _main() -> None:
    given = _arguments()
    asked = given.sets or [*REAL, *PHOTOS]
    photos = given.out / "photos"
    if set(asked) & set(PHOTOS) and not photos.exists():
        make(photos)
    print(
        "| set | network | test accuracy, % (each seed) | silent, % | saturated, % |\n|---|---|---|---|---|", flush=True
    )
    for name in asked:
        source, settings = (name, REAL[name]) if name in REAL else (str(photos / name), ())
        try:
            for row in rows(name, source, settings, given):
                print(row, flush=True)
        except SpikewiseError as error:
            print(f"| {name} | not run: {error} | | | |", flush=True)


if __name__ == "__main__":
    _main()

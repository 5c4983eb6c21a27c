"""`convert`: a conventional network of a run as a spiking one, tested beside the original and the directly trained."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Final

import numpy as np

from spikewise import __version__
from spikewise.api.sections import study
from spikewise.api.trained import Trained, load
from spikewise.conversion import (
    Beside,
    Conversion,
    ConversionWish,
    Examination,
    Method,
    Subject,
    examine,
)
from spikewise.conversion.examination import DEFAULT_STEPS, Progress
from spikewise.conversion.kept import keep_networks
from spikewise.conversion.page import conversion_page
from spikewise.evaluation import Results
from spikewise.evaluation.anytime import TOLERANCE
from spikewise.evaluation.conversion import FILE
from spikewise.evaluation.results import NetworkResult
from spikewise.experiments import RunFolder
from spikewise.experiments.sections import Study
from spikewise.files import make_folder, must_take_files, write_text
from spikewise.report import write_report
from spikewise.report.sections.conversions import PAGE

__all__ = ["Converted", "convert"]

_WHY: Final = "convert"


@dataclass(frozen=True, repr=False)
class Converted:
    """A network that was converted and tested; printed, it says what was found."""

    folder: Path
    found: Conversion

    @property
    def page(self) -> Path:
        """The page to read."""
        return self.folder / PAGE

    def load(self, steps: int | None = None, seed: int | None = None, *, waits: bool = False) -> Trained:
        """One of the converted networks, ready to classify.

        Args:
            steps: In which a layer's spikes say its activations; None is the most that were tried. A network that
                waits has those that were tested.
        """
        return load(self.folder, seed=seed, steps=steps, waits=waits)

    def __repr__(self) -> str:
        from spikewise.report.conversion import headline, rows, sentences  # noqa: PLC0415  # brings the report

        table = rows(self.found)
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table
        ]
        return "\n".join([*lines, headline(self.found), *sentences(self.found), str(self.page)])


def convert(  # noqa: PLR0913  # one argument per option of the command
    run: str | PathLike[str],
    *,
    network: str = "twin",
    steps: int | Sequence[int] = DEFAULT_STEPS,
    method: Method | None = None,
    percentile: float = 99.9,
    waits: bool = False,
    data_dir: Path | None = None,
    progress: Progress | None = None,
) -> Converted:
    """Make a conventional network of a finished run spike, and test it after each of several numbers of steps.

    Its activations become integrate-and-fire neurons, its weights are rescaled, and the image is a constant current.
    What was found stands in RUN/conversions/NETWORK-METHOD: convert.json, convert.html and the networks, which `load`
    and `predict` take like any other. The run records that its test images were opened again.

    Args:
        network: One without spikes: `twin`, `twin-qcfs`, `cnn`.
        steps: In how many steps the spikes of a layer say its activations.
        method: `balance` sets thresholds by the activations' percentile, `qcfs` takes those that quantised activations
            have learned; None is what suits the network.
        percentile: Of each channel's activations on training images, which a spike at every step stands for.
        waits: Test the waiting network at every number of steps, too: each layer fires only when all of its input has
            come, so that it loses nothing but what clipping and whole spikes lose.
        data_dir: Where known sets are looked for first.
        progress: Told what is done.
    Raises:
        RunError: no finished run, or its images have changed since.
        ConfigError: the network cannot be converted; the message names the layer and says what to do.
    """
    wish = ConversionWish((steps,) if isinstance(steps, int) else tuple(steps), method, percentile, waits)
    wish.check()
    folder = RunFolder.open(Path(run))
    results = Results.load(folder.results)
    told = results.network(network)
    must_take_files(folder.path)
    looked = study(folder, data_dir=data_dir, decoding=progress)
    subject = _subject(looked, told.name, results.protocol.seeds)
    made = examine(subject, wish, progress, before_test=lambda seed: _note(folder, told.name, seed))
    found = _conversion(made, wish, subject, results, folder.path.resolve().name)
    place = make_folder(folder.path / "conversions" / f"{told.name}-{made.method}")
    with folder.lock():
        keep_networks(place, made.converted)
        found.save(place / FILE)
        write_text(place / PAGE, conversion_page(found))
        if (folder.path / "report.html").exists():
            write_report(folder.path)
    return Converted(place, found)


def _note(folder: RunFolder, name: str, seed: int) -> None:
    with folder.lock():
        folder.note_opening(name, seed, _WHY)


def _subject(looked: Study, name: str, seeds: Sequence[int]) -> Subject:
    setting = looked.setting
    candidate = next(one for one in looked.candidates if one.name == name)
    answers = [looked.test(candidate, seed) for seed in seeds]
    return Subject(
        name,
        {seed: setting.trained(candidate, seed).to("cpu").eval() for seed in seeds},
        setting.images,
        setting.split,
        np.stack([one.probabilities.argmax(1) == one.labels for one in answers]),
    )


def _conversion(made: Examination, wish: ConversionWish, subject: Subject, results: Results, run: str) -> Conversion:
    direct = next((one for one in results.networks if one.role == "spiking"), None)
    return Conversion(
        spikewise_version=__version__,
        run=run,
        data=results.data.name,
        network=subject.name,
        method=made.method,
        percentile=wish.percentile if made.method == "balance" else None,
        levels=made.levels,
        calibration_images=made.calibration_images,
        seeds=tuple(subject.networks),
        test_images=len(subject.split.test),
        original=_beside(results.network(subject.name)),
        direct=None if direct is None else _beside(direct),
        original_validation=made.validation,
        tolerance=TOLERANCE,
        rows=made.rows,
        checks=made.checks,
    )


def _beside(network: NetworkResult) -> Beside:
    return Beside(
        network=network.name,
        steps=network.steps,
        accuracy=network.metrics["accuracy"],
        macs=network.cost.macs,
        synaptic_operations=network.cost.synaptic_operations or 0.0,
        energy_nanojoule=network.cost.energy_nanojoule,
    )

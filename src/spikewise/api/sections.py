"""Sections of a finished run: read back, or made when they are asked for."""

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from spikewise.data import Progress, split
from spikewise.evaluation import Results
from spikewise.evaluation.sections import SectionName
from spikewise.evaluation.sections.anytime import Anytime
from spikewise.evaluation.sections.calibration import Calibration
from spikewise.experiments import RunFolder
from spikewise.experiments.candidates import candidates_of
from spikewise.experiments.facts import nearest_device
from spikewise.experiments.sections import Study, run_analyses
from spikewise.experiments.setting import Setting
from spikewise.report import write_report

if TYPE_CHECKING:
    from spikewise.evaluation.sections import Sections

__all__ = ["answer_of", "anytime", "calibrate", "less_than_usual", "section", "study"]


def anytime(run: str | PathLike[str], *, again: bool = False, data_dir: Path | None = None) -> Anytime:
    """What a run's networks are worth after each time step, and when they can stop; see `section`."""
    found = section(run, "anytime", again=again, data_dir=data_dir).anytime
    assert found is not None
    return found


def calibrate(run: str | PathLike[str], *, again: bool = False, data_dir: Path | None = None) -> Calibration:
    """How far the confidence of a run's networks can be trusted; see `section`."""
    found = section(run, "calibration", again=again, data_dir=data_dir).calibration
    assert found is not None
    return found


def section(
    run: str | PathLike[str],
    name: SectionName,
    *,
    again: bool = False,
    data_dir: Path | None = None,
    decoding: Progress | None = None,
) -> "Sections":
    """The sections of a finished run, with the named one made if it was switched off; the report shows it then.

    Args:
        again: make it also if it is there.
        data_dir: where known sets are looked for first.
    Raises:
        RunError: no finished run, or its images have changed since.
    """
    folder = RunFolder.open(Path(run))
    there = Results.load(folder.results).sections
    if getattr(there, name) is not None and not again:
        return there
    with folder.lock():
        run_analyses(study(folder, data_dir=data_dir, decoding=decoding), [name], again=True)
        write_report(folder.path)
    return Results.load(folder.results).sections


def less_than_usual(run: str | PathLike[str], name: SectionName) -> str:
    """What a section of a run was made with less of, as a sentence with the way to make it whole; else empty.

    Raises:
        RunError: the run's results are damaged.
    """
    path = RunFolder(Path(run)).results
    less = Results.load(path).sections.less.get(name, "") if path.exists() else ""
    return f"Less than usual: {less}. --again makes it whole." if less else ""


def answer_of(run: str | PathLike[str]) -> str:
    """The headline of a run's verdict; empty where it has no results.

    Raises:
        RunError: they are damaged.
    """
    path = RunFolder(Path(run)).results
    return Results.load(path).verdict.headline if path.exists() else ""


def study(folder: RunFolder, *, data_dir: Path | None = None, decoding: Progress | None = None) -> Study:
    """The trained networks of a finished run with their images.

    Raises:
        RunError: the run has not finished, has no networks of its own, or its images have changed since.
    """
    Results.load(folder.results)
    folder.must_hold_networks()
    experiment = folder.experiment()
    images = folder.images(data_dir, decoding)
    parts = split(images, experiment.split)
    device = nearest_device(experiment.device)
    return Study(Setting(experiment, images, parts, folder, device, data_dir), candidates_of(experiment, images))

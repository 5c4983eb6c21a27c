"""Robustness of a finished run's networks: read back, or made when it is asked for."""

from collections.abc import Iterable
from os import PathLike
from pathlib import Path

from spikewise.api.sections import study
from spikewise.evaluation import Results
from spikewise.evaluation.robustness import RobustnessScope, parse_families, selected
from spikewise.evaluation.sections.robustness import FAMILIES, Robustness
from spikewise.experiments import RunFolder
from spikewise.experiments.sections import arrays_file
from spikewise.experiments.sections.robustness import remake
from spikewise.report import write_report

__all__ = ["robustness"]


def robustness(
    run: str | PathLike[str],
    *,
    images: int | None = None,
    families: Iterable[str] = FAMILIES,
    again: bool = False,
    data_dir: Path | None = None,
) -> Robustness:
    """What is left of the accuracy of a run's networks when images, spikes, weights or neurons are disturbed.

    Families that the run does not have are made; its report shows them then, beside those it has.

    Args:
        images: make the families again with that many test images.
        families: some of "corruptions", "spikes", "weights", "neurons", "attacks".
        again: make them also if they are there.
        data_dir: where known sets are looked for first.
    Raises:
        RunError: no finished run, or its images have changed since.
        ConfigError: there is no such family, or fewer than 2 images.
    """
    asked = parse_families(families)
    scope = RobustnessScope(images=images, families=asked)
    folder = RunFolder.open(Path(run))
    there = Results.load(folder.results).sections.robustness
    known = {one.family for one in there.families} if there else set()
    missing = asked if again or images is not None else tuple(one for one in asked if one not in known)
    if missing:
        with folder.lock():
            remake(
                study(folder, data_dir=data_dir),
                scope.replace(families=missing),
                arrays_file(folder.path, "robustness"),
            )
            write_report(folder.path)
        there = Results.load(folder.results).sections.robustness
    assert there is not None
    return selected(there, asked)

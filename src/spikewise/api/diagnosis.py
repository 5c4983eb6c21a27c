"""`diagnose`: what is wrong inside the networks of a run, finished or not."""

from os import PathLike
from pathlib import Path

from spikewise.api.sections import section
from spikewise.data import Progress, split
from spikewise.evaluation.sections.diagnosis import Diagnosis
from spikewise.experiments import RunFolder
from spikewise.experiments.candidates import candidates_of
from spikewise.experiments.facts import nearest_device
from spikewise.experiments.sections import Study
from spikewise.experiments.setting import Setting

__all__ = ["diagnose"]


def diagnose(
    run: str | PathLike[str], *, again: bool = False, data_dir: Path | None = None, decoding: Progress | None = None
) -> Diagnosis:
    """What is wrong inside the networks of a run, with the settings that mend it.

    Of a finished run the diagnosis is kept and shown in its report; of one that was stopped, or that diverged, what
    has been trained so far is looked at, and nothing is kept.

    Args:
        again: make it also if the run has it.
        data_dir: where known sets are looked for first.
    Raises:
        RunError: it is no run folder, or its images have changed since.
    """
    folder = RunFolder.open(Path(run))
    if folder.results.exists():
        found = section(run, "diagnosis", again=again, data_dir=data_dir, decoding=decoding).diagnosis
        assert found is not None
        return found
    from spikewise.experiments.sections.diagnosis import diagnose as look  # noqa: PLC0415  # loaded when it is made

    folder.must_hold_networks()
    experiment = folder.experiment()
    images = folder.images(data_dir, decoding)
    setting = Setting(experiment, images, split(images, experiment.split), folder, nearest_device(experiment.device))
    return look(Study(setting, candidates_of(experiment, images)))

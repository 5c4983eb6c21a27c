"""The section on calibration."""

from spikewise.evaluation.calibration import BINS, SplitLogits, calibrate
from spikewise.evaluation.sections.calibration import Calibration, NetworkCalibration
from spikewise.experiments.candidates import Candidate
from spikewise.experiments.sections.study import SectionResult, Study

__all__ = ["make"]


def make(study: Study) -> SectionResult:
    """How far the confidence of every network can be trusted, before and after temperature scaling."""
    networks = tuple(_network(study, candidate) for candidate in study.candidates)
    return SectionResult(Calibration(networks=networks, bins=BINS), less=study.fewer_seeds)


def _network(study: Study, candidate: Candidate) -> NetworkCalibration:
    seeds, everyone = study.seeds, study.setting.images.groups
    validation = [study.validation(candidate, seed) for seed in seeds]
    test = [study.test(candidate, seed) for seed in seeds]
    return calibrate(
        candidate.name,
        [SplitLogits(one.labels, one.logits) for one in validation],
        [SplitLogits(one.labels, one.logits) for one in test],
        None if everyone is None else everyone[study.setting.split.test],
    )

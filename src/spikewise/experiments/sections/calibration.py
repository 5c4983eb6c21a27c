"""The section on calibration."""

from spikewise.evaluation.calibration import BINS, Answers, calibrate
from spikewise.evaluation.sections.calibration import Calibration, NetworkCalibration
from spikewise.experiments.sections.study import Made, Study
from spikewise.experiments.sides import Contestant

__all__ = ["make"]


def make(study: Study) -> Made:
    """How far the confidence of every network can be trusted, before and after temperature scaling."""
    networks = tuple(_network(study, contestant) for contestant in study.contestants)
    return Made(Calibration(networks=networks, bins=BINS), less=study.fewer_seeds)


def _network(study: Study, contestant: Contestant) -> NetworkCalibration:
    seeds, everyone = study.seeds, study.setting.images.groups
    validation = [study.validation(contestant, seed) for seed in seeds]
    test = [study.test(contestant, seed) for seed in seeds]
    return calibrate(
        contestant.name,
        [Answers(one.labels, one.logits) for one in validation],
        [Answers(one.labels, one.logits) for one in test],
        None if everyone is None else everyone[study.setting.split.test],
    )

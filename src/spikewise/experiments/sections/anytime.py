"""The section on answers before the last step."""

from spikewise.evaluation import Results
from spikewise.evaluation.anytime import (
    TOLERANCE,
    TOLERANCES,
    Followed,
    choose_thresholds,
    exit_steps,
    options,
    over_time,
)
from spikewise.evaluation.anytime_runs import Counter, ImageSample, follow, measure_latency
from spikewise.evaluation.cost import ENERGY_MODELS
from spikewise.evaluation.sections.anytime import Anytime, NetworkAnytime
from spikewise.evaluation.statistics import Groups
from spikewise.experiments.candidates import Candidate
from spikewise.experiments.sections.study import SectionResult, Study

__all__ = ["make"]


def make(study: Study) -> SectionResult:
    """What every network with time steps is worth after each of them, beside the networks without time."""
    networks = tuple(_network(study, one) for one in study.candidates if one.graph.steps > 1)
    # The first model twice: with multiplications by zero, and without them.
    models = [model.name for model in ENERGY_MODELS if model.name.startswith(ENERGY_MODELS[0].name)]
    results = Results.load(study.setting.folder.results)
    found = options(networks, results.networks, models)
    record = Anytime(networks=networks, options=found, tolerance=TOLERANCE, energy_model=models[0])
    return SectionResult(record, less=study.fewer_seeds)


def _network(study: Study, candidate: Candidate) -> NetworkAnytime:
    setting = study.setting
    seeds = study.seeds
    first = ImageSample(setting.images, setting.split.test, seeds[0])
    latency = measure_latency(setting.trained(candidate, seeds[0]), first)
    return over_time(candidate.name, [_followed(study, candidate, seed) for seed in seeds], latency, _groups(study))


def _followed(study: Study, candidate: Candidate, seed: int) -> Followed:
    setting = study.setting
    network = setting.trained(candidate, seed)
    validation, _ = follow(network, ImageSample(setting.images, setting.split.validation, seed), measure=False)
    sample = ImageSample(setting.images, setting.split.test, seed)
    test, events = follow(network, sample)
    # The stored answers stand: another run on a GPU may round differently.
    test = test.ending(study.test(candidate, seed).logits)
    thresholds = choose_thresholds(validation, TOLERANCES)
    counter = Counter(network, sample, events)
    early = [counter.spent_until(exit_steps(test.confidence, one)) for one in thresholds]
    return Followed(test, counter.spent(), thresholds, early, len(counter.chosen))


def _groups(study: Study) -> Groups:
    groups = study.setting.images.groups
    return None if groups is None else groups[study.setting.split.test]

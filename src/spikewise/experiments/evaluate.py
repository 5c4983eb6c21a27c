"""After training: open the test set once, count the cost, compare, and write the verdict."""

from typing import Literal, NamedTuple

import numpy as np
import torch

from spikewise import __version__
from spikewise.data import batches
from spikewise.data.likeness import likeness
from spikewise.data.seen import SeenImages
from spikewise.evaluation import (
    CandidatePredictions,
    Cost,
    NetworkResult,
    Protocol,
    Results,
    SeedResult,
    classification_metrics,
    compare_all,
    confusion,
    draw_metrics,
    estimate_metrics,
    seeds_only,
    thresholded,
    write_verdict,
)
from spikewise.evaluation.assess import CostMeasures, assess_cost, break_even, quantised_twin
from spikewise.evaluation.collapse import collapsed_runs
from spikewise.evaluation.cost import carried_bits
from spikewise.evaluation.opponents import main_pair
from spikewise.evaluation.prediction import Predictions, predict
from spikewise.evaluation.quantised import quantised_accuracy, widths
from spikewise.evaluation.results import CollapsedRun, QuantisedTwin, WithoutCollapsed
from spikewise.evaluation.speed import Speed, measure_speed, peak_memory_mb
from spikewise.evaluation.untrained import place_of
from spikewise.experiments.candidates import Candidate, describe
from spikewise.experiments.collect import collect
from spikewise.experiments.facts import data_facts, environment
from spikewise.experiments.run_folder import SEEN
from spikewise.experiments.setting import Setting
from spikewise.files import write_npz
from spikewise.losses import Target
from spikewise.network import Network
from spikewise.report.artifacts import Artifacts
from spikewise.types import Draw

__all__ = ["evaluate_candidates"]

NOT_KNOWN = (
    "The spiking network was made elsewhere: its figures hold if it learned from the training part of this split "
    "alone, which is not known here."
)
_MEMORY_STEPS = 3
_WHY = "end of the run"


class _Tested(NamedTuple):
    """One side after the test."""

    candidate: Candidate
    test: list[Predictions]
    """Per seed."""
    predictions: CandidatePredictions
    result: NetworkResult


def evaluate_candidates(
    setting: Setting, candidates: list[Candidate], kind: Literal["compare", "train"]
) -> tuple[Artifacts, Results]:
    """Test all candidates and put everything together."""
    tested = _beside_twin([_test(setting, candidate) for candidate in candidates], setting.steps)
    labels, main = tested[0].test[0].labels, main_pair([one.result for one in tested])
    comparisons = compare_all([one.predictions for one in tested], labels, _groups(setting), main=main)
    audit = setting.audit() if "audit" in setting.experiment.sections else None
    facts = data_facts(setting.images, setting.split, setting.experiment, audit)
    experiment = setting.experiment
    if experiment.imported is not None:
        facts = facts.model_copy(update={"cautions": (*facts.cautions, NOT_KNOWN)})
    networks = tuple(one.result for one in tested)
    changed = experiment.augment.model_dump(exclude_defaults=True)
    protocol = Protocol(
        seeds=experiment.seeds,
        epochs=max(run.epochs_run for network in networks for run in network.runs),
        test_opened=len(setting.folder.openings()),
        opened_elsewhere=setting.folder.openings_beside(setting.images.fingerprint),
        selection=f"validation {experiment.train.monitor}" if experiment.train.keep == "best" else "last epoch",
        batch_size=experiment.train.batch_size,
        augmentation=", ".join(f"{k} {v:g}" for k, v in changed.items()) or None,
        quick=experiment.quick,
        whole=experiment.whole,
    )
    collapsed = _without_collapsed(setting, tested)
    results = Results(
        kind=kind,
        spikewise_version=__version__,
        environment=environment(setting.device),
        data=facts,
        protocol=protocol,
        networks=networks,
        comparisons=comparisons,
        without_collapsed=collapsed,
        verdict=write_verdict(
            networks,
            comparisons,
            facts,
            protocol,
            examined=(),
            planned=experiment.sections,
            collapsed=collapsed,
            place=place_of(kind, setting.folder.path),
        ),
        seconds=0.0,
    )
    _keep_known(setting)
    return _artifacts(setting, tested), results


def _keep_known(setting: Setting) -> None:
    """For `predict` and `evaluate`: what tells images from those that these networks learned from, and what is one."""
    found = likeness(setting.images.images, setting.split.train)
    if found is not None:
        write_npz(setting.folder.path / "likeness.npz", **found._asdict())
    write_npz(setting.folder.path / SEEN, **SeenImages.of(setting.images, setting.split)._asdict())


def _without_collapsed(setting: Setting, tested: list[_Tested]) -> WithoutCollapsed | None:
    """The same figures without the runs that learned nothing, if there are such."""
    found = collapsed_runs([one.result for one in tested])
    if not found:
        return None
    out, labels = {(one.network, one.seed) for one in found}, tested[0].test[0].labels
    main = main_pair([one.result for one in tested])
    left = []
    for said in (one.predictions for one in tested):
        kept = [k for k, seed in enumerate(said.seeds) if (said.name, seed) not in out]
        if kept:
            seeds = tuple(said.seeds[k] for k in kept)
            left.append(CandidatePredictions(said.name, seeds, said.probabilities[kept]))
    classes, groups, positive = setting.images.classes, _groups(setting), setting.images.positive
    return WithoutCollapsed(
        runs=tuple(
            CollapsedRun(
                network=one.network,
                seed=one.seed,
                answer=classes[one.answer],
                share=one.share,
                balanced_accuracy=one.recall,
            )
            for one in found
        ),
        metrics={one.name: estimate_metrics(labels, one.probabilities, groups, positive=positive) for one in left},
        comparisons=compare_all(left, labels, groups, main=main, positive=positive) if len(left) > 1 else (),
    )


def _test(setting: Setting, candidate: Candidate) -> _Tested:
    seeds = setting.experiment.seeds
    test, runs = [], []
    for seed in seeds:
        network = setting.trained(candidate, seed)
        validation = predict(network, setting.images, setting.split.validation, seed=seed)
        test.append(_open_test(setting, candidate, network, seed))
        runs.append(_seed_result(setting, candidate, seed, validation, test[-1]))
    labels = test[0].labels
    probabilities = np.stack([one.probabilities for one in test])
    drawn = draw_metrics(labels, probabilities, _groups(setting), positive=setting.images.positive)
    network = setting.trained(candidate, seeds[0])
    speed = measure_speed(network, setting.images.images[setting.split.test[:256]])
    result = NetworkResult(
        name=candidate.name,
        role=candidate.role,
        description=describe(candidate.graph),
        engine=setting.fit(candidate, seeds[0]).engine or setting.training_engine(candidate),
        test_engine=test[0].engine,
        speed_engine=speed.engine,
        parameters=network.count_parameters(),
        steps=candidate.graph.steps,
        tuning=None if setting.made_elsewhere(candidate) else setting.tuning(candidate),
        runs=tuple(runs),
        metrics=estimate_metrics(labels, probabilities, _groups(setting), drawn=drawn),
        cost=_cost(setting, candidate, network, test, speed),
    )
    return _Tested(candidate, test, CandidatePredictions(candidate.name, seeds, probabilities, drawn), result)


def _beside_twin(tested: list[_Tested], steps: int) -> list[_Tested]:
    """Spiking networks with the spike rates at which they would cost what the twin of the run was measured to cost."""
    twin = next(((one.candidate.graph, one.test) for one in tested if one.candidate.role == "twin"), None)
    if twin is None:
        return tested
    out = []
    for one in tested:
        cost = one.result.cost
        if one.candidate.role == "spiking":
            rates = break_even(one.candidate.graph, one.test, twin, steps=steps)
            cost = cost.model_copy(update={"break_even_spikes_per_synapse_and_step": rates})
        out.append(one._replace(result=one.result.model_copy(update={"cost": cost})))
    return out


def _open_test(setting: Setting, candidate: Candidate, network: Network, seed: int) -> Predictions:
    opened = [(one["network"], one["seed"], one["why"]) for one in setting.folder.openings()]
    if (candidate.name, seed, _WHY) not in opened:  # a resumed run repeats itself: same weights, same answers
        setting.folder.note_opening(candidate.name, seed, _WHY)
    test = predict(network, setting.images, setting.split.test, seed=seed)
    path = setting.folder.training(candidate.name, seed) / "test.npz"
    write_npz(path, index=test.index, labels=test.labels, logits=test.logits)
    return test


def _seed_result(
    setting: Setting, candidate: Candidate, seed: int, validation: Predictions, test: Predictions
) -> SeedResult:
    fit, positive = setting.fit(candidate, seed), setting.images.positive
    matrix = confusion(test.labels, test.predicted, len(setting.images.classes))
    elsewhere = setting.made_elsewhere(candidate)
    return SeedResult(
        seed=seed,
        best_epoch=0 if elsewhere else fit.best_epoch,
        epochs_run=0 if elsewhere else len(fit.history),
        stopped_early=fit.stopped_early,
        validation=classification_metrics(validation.labels, validation.probabilities, positive=positive),
        test=classification_metrics(test.labels, test.probabilities, positive=positive),
        confusion=tuple(tuple(int(n) for n in row) for row in matrix),
        history=tuple(fit.history),
        spike_rates={layer: rate.mean().item() for layer, rate in test.rates.items()},
        warnings=fit.warnings,
        ties=test.ties,
        thresholded=thresholded(
            (validation.labels, validation.probabilities), (test.labels, test.probabilities), positive
        ),
        train_seconds=fit.seconds,
    )


def _cost(setting: Setting, candidate: Candidate, network: Network, test: list[Predictions], speed: Speed) -> Cost:
    fits = [setting.fit(candidate, seed) for seed in setting.experiment.seeds]
    spent = None if setting.made_elsewhere(candidate) else [fit.seconds / len(fit.history) for fit in fits]
    measured = CostMeasures(
        train_seconds_per_epoch=None if spent is None else seeds_only(spent),
        speed=speed,
        peak_memory_mb=_training_memory(setting, candidate),
    )
    cost = assess_cost(network, test, measured, steps=setting.steps)
    return cost.model_copy(update={"quantised": _quantised(setting, candidate, test)})


def _quantised(setting: Setting, candidate: Candidate, test: list[Predictions]) -> tuple[QuantisedTwin, ...]:
    """What the twin still knows at few bits: the opponent that the integer model prices, measured."""
    steps, graph = setting.steps, candidate.graph
    if candidate.role != "twin" or steps == 1 or any(at.layer.state_variables for at in graph.named):
        return ()
    parts = setting.split.train, setting.split.test
    accuracies = {
        bits: [
            quantised_accuracy(setting.trained(candidate, seed), setting.images, parts, bits)
            for seed in setting.experiment.seeds
        ]
        for bits in widths(carried_bits(steps))
    }
    return quantised_twin(graph, test, accuracies)


def _training_memory(setting: Setting, candidate: Candidate) -> float | None:
    """Memory that a few training steps of a throw-away network need."""
    train, images = setting.experiment.train, setting.images
    index = next(iter(batches(setting.split.train, train.batch_size, seed=0, epoch=1)))
    batch = torch.from_numpy(np.ascontiguousarray(images.images[index])).to(setting.device)
    target = Target.of(torch.from_numpy(images.labels[index]).to(setting.device), len(images.classes))

    def work() -> None:
        network = setting.network(candidate, 0)
        optimizer = train.build_optimizer([p for p in network.parameters() if p.requires_grad])
        for _ in range(_MEMORY_STEPS):
            optimizer.zero_grad()
            output = network(batch, Draw(0, 1, torch.from_numpy(index)))
            torch.autograd.backward(candidate.loss(output.logits, output.trajectory, target))
            optimizer.step()

    return peak_memory_mb(work)


def _groups(setting: Setting) -> np.ndarray | None:
    groups = setting.images.groups
    return None if groups is None else groups[setting.split.test]


def _artifacts(setting: Setting, tested: list[_Tested]) -> Artifacts:
    seed = setting.experiment.seeds[0]
    spiking = [one for one in tested if one.candidate.role == "spiking"]
    traced = None
    if spiking:
        first = spiking[0].candidate
        traced = (first.name, setting.trained(first, seed), seed)
    pair = None
    if len(tested) > 1:
        a, b = tested[:2]
        pair = ((a.candidate.name, a.test[0]), (b.candidate.name, b.test[0]), seed)
    return collect(setting.images, setting.split, traced, pair)

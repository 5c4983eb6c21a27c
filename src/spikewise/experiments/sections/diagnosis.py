"""The section on diagnosis."""

from collections import Counter
from typing import Final

import numpy as np
import torch

from spikewise.evaluation import EpochRecord
from spikewise.evaluation.diagnosis import (
    ExaminedBatch,
    Facts,
    Objective,
    Symptom,
    examine,
    find_symptoms,
    linear_accuracy,
    weight_change,
)
from spikewise.evaluation.prediction import predict
from spikewise.evaluation.sections.diagnosis import Diagnosis, NetworkDiagnosis, NetworkFinding, SeedDiagnosis
from spikewise.experiments.candidates import Candidate
from spikewise.experiments.remedies import find_cause, finding_of
from spikewise.experiments.sections.study import SectionResult, Study
from spikewise.experiments.setting import Setting
from spikewise.experiments.trials import SettingTrials
from spikewise.graph import Graph, Neuron
from spikewise.losses import CountMSE, CrossEntropy, Loss, StepCrossEntropy
from spikewise.network import Network
from spikewise.readouts import SpikeCount
from spikewise.training import FitResult
from spikewise.training.loop import CHECKPOINT, FIT, WEIGHTS, result_so_far
from spikewise.types import Draw

__all__ = ["diagnose", "make"]

_IMAGES: Final = 64
_MOST_VALUES: Final = 1 << 24
"""Of one layer for the batch, all steps together: 64 MiB, of which the gradient needs several."""
_ORDER: Final = ("serious", "warning", "note")
_AS_MEANT: Final = (
    "The network was made elsewhere: see whether its file is read as it was meant (--dialect, --reset, --dt), and "
    "whether images enter and answers are read as they were there (--set encoder.kind=..., --set readout.kind=...)."
)


def make(study: Study) -> SectionResult:
    """What is wrong inside the networks of a run, and what to change."""
    return SectionResult(diagnose(study), less=study.fewer_seeds)


def diagnose(study: Study) -> Diagnosis:
    """As `make`; the run need not have finished: what has been trained so far is looked at."""
    setting = study.setting
    parts, images = setting.split, setting.images
    truth = images.labels[parts.validation]
    shares = np.bincount(truth, minlength=len(images.classes)) / max(len(truth), 1)
    linear = linear_accuracy(
        images.images[parts.train], images.labels[parts.train], images.images[parts.validation], truth
    )
    context = _Context(setting, float(shares.max()), _entropy(shares), linear)
    networks, findings, most = [], [], 0
    for candidate in study.candidates:
        network, found, size = _network(context, candidate, study.seeds)
        networks.append(network)
        findings += found
        most = max(most, size)
    findings.sort(key=lambda one: _ORDER.index(one.severity))
    return Diagnosis(
        findings=tuple(findings),
        networks=tuple(networks),
        images=most,
        chance=context.chance,
        linear_accuracy=linear,
    )


class _Context:
    """What is the same for every network."""

    def __init__(self, setting: Setting, chance: float, chance_loss: float, linear: float) -> None:
        self.setting, self.chance, self.chance_loss, self.linear = setting, chance, chance_loss, linear

    def batch(self, graph: Graph, seed: int) -> ExaminedBatch:
        """Validation images, evenly spread, as many as fit."""
        part = self.setting.split.validation
        values = graph.steps * max(int(np.prod(at.output)) for at in graph.named)
        size = max(1, min(_IMAGES, len(part), _MOST_VALUES // values))
        index = part[np.linspace(0, len(part) - 1, size).round().astype(np.int64)]
        images = torch.from_numpy(np.ascontiguousarray(self.setting.images.images[index]))
        labels = torch.from_numpy(self.setting.images.labels[index])
        device = self.setting.device
        return ExaminedBatch(images.to(device), labels.to(device), Draw(seed, 0, torch.from_numpy(index).to(device)))


def _network(
    context: _Context, candidate: Candidate, chosen: tuple[int, ...]
) -> tuple[NetworkDiagnosis, list[NetworkFinding], int]:
    seeds: list[SeedDiagnosis] = []
    noticed: dict[tuple[str, str | None], list[tuple[int, Symptom]]] = {}
    for seed in chosen:
        facts = _facts(context, candidate, seed)
        seeds.append(facts.seed)
        for symptom in find_symptoms(facts):
            noticed.setdefault((symptom.code, symptom.layer), []).append((seed, symptom))
    findings = [_finding(context, candidate, found) for found in noticed.values()]
    record = NetworkDiagnosis(network=candidate.name, steps=candidate.graph.steps, seeds=tuple(seeds))
    return record, findings, len(context.batch(candidate.graph, 0).labels)


def _finding(context: _Context, candidate: Candidate, found: list[tuple[int, Symptom]]) -> NetworkFinding:
    """One finding for what several seeds have, told by the gravest."""
    seed, symptom = min(found, key=lambda one: _ORDER.index(one[1].severity))
    if context.setting.made_elsewhere(candidate):
        return finding_of(symptom, candidate.name, [one for one, _ in found], _AS_MEANT)
    trials = SettingTrials(context.setting, candidate, seed, context.batch(candidate.graph, seed))
    return find_cause(symptom, trials, [one for one, _ in found])


def _facts(context: _Context, candidate: Candidate, seed: int) -> Facts:
    setting = context.setting
    fit = _progress(setting, candidate, seed)
    start = setting.started(candidate, seed)
    network = _so_far(setting, candidate, seed)
    said = predict(network, setting.images, setting.split.validation, seed=seed)
    seen = examine(network, context.batch(candidate.graph, seed), candidate.loss, said, start)
    kept = _kept(fit)
    epochs, elsewhere = setting.experiment.train.epochs, setting.made_elsewhere(candidate)
    assert epochs != "auto"
    layers = seen.layers
    if elsewhere:  # it never had the weights that a training here would begin with
        layers = tuple(one.model_copy(update={"rate_before_training": None}) for one in layers)
    record = SeedDiagnosis(
        seed=seed,
        epochs_run=0 if elsewhere else len(fit.history),
        epochs=0 if elsewhere else epochs,
        validation_accuracy=None if kept is None else kept.validation_accuracy,
        train_accuracy=None if kept is None else kept.train_accuracy,
        input=seen.input,
        layers=layers,
        weight_change={} if elsewhere else weight_change(network, start),
        answers=len(Counter(said.predicted.tolist())),
    )
    last = candidate.graph.named[-1]
    spikes = isinstance(last.layer, Neuron) and last.layer.spikes
    counted = isinstance(candidate.graph.readout, SpikeCount) or _counts_spikes(candidate.loss)
    return Facts(
        network=candidate.name,
        seed=record,
        history=fit.history,
        stopped_early=fit.stopped_early,
        validation_images=len(said.labels),
        updates=-(-len(setting.split.train) // setting.experiment.train.batch_size),
        chance=context.chance,
        chance_loss=context.chance_loss,
        linear=context.linear,
        output=last.name if spikes and counted else None,
        unread=last.name if spikes and not counted else None,
        objective=_objective(setting, candidate),
        elsewhere=elsewhere,
    )


def _objective(setting: Setting, candidate: Candidate) -> Objective:
    loss, experiment = candidate.loss, setting.experiment
    if not isinstance(loss, CrossEntropy):
        return "other"
    penalised = experiment.rate_penalty is not None and bool(candidate.graph.spiking_layers)
    changed = loss.label_smoothing > 0 or experiment.train.class_weights or penalised
    return "changed" if changed else "cross_entropy"


def _counts_spikes(loss: Loss) -> bool:
    return isinstance(loss, CountMSE) or (isinstance(loss, StepCrossEntropy) and loss.on == "spikes")


def _progress(setting: Setting, candidate: Candidate, seed: int) -> FitResult:
    """How a training went so far."""
    folder = setting.folder.path / "networks" / candidate.name / f"seed-{seed}"
    if (folder / FIT).exists():
        return FitResult.load(folder / FIT)
    if (folder / CHECKPOINT).exists():
        return result_so_far(folder)
    return FitResult()


def _so_far(setting: Setting, candidate: Candidate, seed: int) -> Network:
    """The kept weights of a training, those at its start where it has kept none yet."""
    folder = setting.folder.path / "networks" / candidate.name / f"seed-{seed}"
    there = (folder / WEIGHTS).exists()
    return setting.trained(candidate, seed) if there else setting.started(candidate, seed)


def _kept(fit: FitResult) -> EpochRecord | None:
    return next((one for one in fit.history if one.epoch == fit.best_epoch), None)


def _entropy(shares: np.ndarray) -> float:
    """In nats: the cross-entropy of always answering with these shares."""
    there = shares[shares > 0]
    return float(-(there * np.log(there)).sum())

"""Networks that were trained elsewhere under the protocol: the same split, the test opened once, the same figures."""

import hashlib
import json
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import nn

from spikewise import __version__
from spikewise.data import ImageSet, Split
from spikewise.data.counter import permutation
from spikewise.errors import ConfigError, ShapeError
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
    thresholded,
    write_verdict,
)
from spikewise.evaluation.calibration import BINS, SplitLogits, calibrate
from spikewise.evaluation.cost import ENERGY_MODELS, carried_bits, energies
from spikewise.evaluation.metrics import correct, softmax
from spikewise.evaluation.modules import Caller, Seen, repeatable, scores_of, work_of
from spikewise.evaluation.prediction import Predictions
from spikewise.evaluation.robustness import CORRUPTIONS, Images, RobustnessTrial, RobustnessTrials, summarise
from spikewise.evaluation.sections import Sections
from spikewise.evaluation.sections.calibration import Calibration
from spikewise.evaluation.sections.robustness import Robustness
from spikewise.evaluation.speed import measure_speed_of
from spikewise.evaluation.verdict import main_pair
from spikewise.experiments.collect import disagreements, sample_of_each_class
from spikewise.experiments.experiment import Experiment
from spikewise.experiments.facts import data_facts, environment
from spikewise.experiments.noted_images import NotedImages
from spikewise.experiments.run_folder import RunFolder
from spikewise.experiments.sections.yardsticks import yardsticks_of
from spikewise.files import must_take_files, write_npz
from spikewise.report import Artifacts, write_report

__all__ = ["SECTIONS", "JudgedNetwork", "JudgedSection", "judge_modules"]

JudgedSection = Literal["audit", "yardsticks", "calibration", "robustness"]
SECTIONS: tuple[JudgedSection, ...] = ("audit", "yardsticks", "calibration", "robustness")
"""What can be looked into of a network whose inside is not known."""
_MOST_CORRUPTED, _CHOICE, _SHOWN = 500, 207, 4
_NOT_KNOWN = (
    "Which images these networks learned from is not known here: figures hold if it was the training part alone."
)


@dataclass(frozen=True)
class JudgedNetwork:
    """One network, trained once or with several seeds."""

    name: str
    role: Literal["spiking", "twin", "baseline"]
    modules: Sequence[nn.Module]
    caller: Caller


class _Heard(NamedTuple):
    """What one candidate said of the validation images, and what is to be said of it."""

    judged: JudgedNetwork
    seen: Seen
    validation: list[Float[np.ndarray, "V K"]]
    notes: list[str]


class _Asked(NamedTuple):
    """What one candidate said."""

    judged: JudgedNetwork
    seen: Seen
    validation: list[Float[np.ndarray, "V K"]]
    notes: list[str]
    test: list[Float[np.ndarray, "N K"]]


@dataclass(frozen=True)
class _Setting:
    experiment: Experiment
    images: ImageSet
    split: Split
    folder: RunFolder

    @property
    def groups(self) -> Int64[np.ndarray, " N"] | None:
        return None if self.images.groups is None else self.images.groups[self.split.test]


def judge_modules(
    networks: Sequence[JudgedNetwork],
    experiment: Experiment,
    images: ImageSet,
    parts: Split,
    *,
    out: Path,
    sections: Collection[JudgedSection] = SECTIONS,
) -> RunFolder:
    """Test networks on the test part of a split, and write results and report into `OUT/judge-DATA-IDENTITY`.

    Args:
        experiment: says which images, which split and which seeds; the rest of it plays no part.
        sections: what is looked into besides.
    Raises:
        ConfigError: sides of different numbers of seeds, or a module that cannot answer these images.
    """
    started = time.perf_counter()
    counts = {len(judged.modules) for judged in networks}
    if counts != {len(experiment.seeds)}:
        found = ", ".join(f"{judged.name} {len(judged.modules)}" for judged in networks)
        raise ConfigError(f"Every network is given as often as there are seeds; got {found}. Give lists of one length.")
    path = out / f"judge-{Path(images.name).name}-{_identity(networks, experiment)}"
    must_take_files(path)
    # Before anything is kept: a network that cannot answer leaves no folder, and opens no test.
    heard = [_hear(judged, images, parts, experiment.seeds) for judged in networks]
    folder = RunFolder.create(path, experiment, "judge", NotedImages.of(images))
    with folder.lock():
        setting = _Setting(experiment, images, parts, folder)
        asked = [_Asked(*one, _ask(setting, one.judged)) for one in heard]
        results = _results(setting, asked, frozenset(sections))
        results = results.model_copy(update={"seconds": time.perf_counter() - started})
        _artifacts(setting, asked).save(path / "artifacts.npz")
        results.save(folder.results)
        write_report(path)
    return folder


def _hear(judged: JudgedNetwork, images: ImageSet, parts: Split, seeds: Sequence[int]) -> _Heard:
    classes, pixels = len(images.classes), images.images[parts.validation]
    notes, first = [], judged.modules[0]
    if not repeatable(first, pixels, judged.caller, classes):
        notes.append(
            f"{judged.name} answers the same images differently when it is asked again: it draws random numbers, or "
            "keeps state between batches (reset=... clears it)."
        )
    seen = work_of(first, pixels, judged.caller, classes=classes)
    if seen.unknown:
        notes.append(
            f"The cost of {judged.name} is not counted: its layers {', '.join(seen.unknown[:5])} are neither linear "
            "nor convolutional."
        )
    elif seen.spiking and not any(layer.state_updates for layer in seen.layers):
        notes.append(
            f"Membrane updates of {judged.name} are not counted, and its energy leaves them out: no module of it makes "
            "spikes of what is none. They are seen where neurons are a torch.nn.Module of their own."
        )
    validation = [
        scores_of(module, pixels, judged.caller, classes=classes, seed=seed)
        for seed, module in zip(seeds, judged.modules, strict=True)
    ]
    return _Heard(judged, seen, validation, notes)


def _ask(setting: _Setting, judged: JudgedNetwork) -> list[Float[np.ndarray, "N K"]]:
    images, index, test = setting.images, setting.split.test, []
    for seed, module in zip(setting.experiment.seeds, judged.modules, strict=True):
        setting.folder.note_opening(judged.name, seed, "judge")
        test.append(scores_of(module, images.images[index], judged.caller, classes=len(images.classes), seed=seed))
        path = setting.folder.training(judged.name, seed) / "test.npz"
        write_npz(path, index=index, labels=images.labels[index], logits=test[-1])
    return test


def _results(setting: _Setting, asked: list[_Asked], sections: frozenset[JudgedSection]) -> Results:
    images, labels = setting.images, setting.images.labels[setting.split.test]
    steps = max(one.seen.steps for one in asked)
    networks = tuple(_network(setting, one, steps) for one in asked)
    candidates = [
        CandidatePredictions(one.judged.name, setting.experiment.seeds, np.stack([softmax(run) for run in one.test]))
        for one in asked
    ]
    comparisons = compare_all(candidates, labels, setting.groups, main=main_pair(networks)) if len(asked) > 1 else ()
    facts = data_facts(images, setting.split, setting.experiment)
    notes = [note for one in asked for note in one.notes] + _unlike(asked)
    facts = facts.model_copy(update={"cautions": (*facts.cautions, _NOT_KNOWN, *notes)})
    protocol = Protocol(
        seeds=setting.experiment.seeds,
        epochs=0,
        test_opened=len(setting.folder.openings()),
        opened_elsewhere=setting.folder.openings_beside(images.fingerprint),
        selection="made elsewhere",
    )
    made = _sections(setting, asked, sections)
    return Results(
        kind="judge",
        spikewise_version=__version__,
        environment=environment(torch.device("cpu")),
        data=facts,
        protocol=protocol,
        networks=networks,
        comparisons=comparisons,
        verdict=write_verdict(networks, comparisons, facts, protocol, sections=made),
        sections=made,
        seconds=0.0,
    )


def _unlike(asked: list[_Asked]) -> list[str]:
    """Said where what was given as the twin cannot be the same network without spikes."""
    by_role = {one.judged.role: one.judged for one in reversed(asked)}
    if not {"spiking", "twin"} <= by_role.keys():
        return []
    ours, theirs = (
        sum(one.numel() for one in by_role[role].modules[0].parameters() if one.dim() > 1)
        for role in ("spiking", "twin")
    )
    if ours == theirs:
        return []
    return [
        f"The twin that was given has {theirs:,} weights and the spiking network {ours:,}: it is not the same network "
        "without spikes, as it is called here."
    ]


def _network(setting: _Setting, asked: _Asked, steps: int) -> NetworkResult:
    judged, labels = asked.judged, setting.images.labels
    probabilities = np.stack([softmax(run) for run in asked.test])
    truth, positive = labels[setting.split.test], setting.images.positive
    drawn = draw_metrics(truth, probabilities, setting.groups, positive=positive)
    role = "baseline" if judged.role == "spiking" and not asked.seen.spiking else judged.role
    cost = _cost(setting, asked, steps)
    return NetworkResult(
        name=judged.name,
        role=role,
        description=f"{type(judged.modules[0]).__name__}, a PyTorch module made elsewhere",
        engine="its own",
        parameters=cost.parameters,
        steps=asked.seen.steps,
        runs=tuple(_run(setting, asked, at) for at in range(len(judged.modules))),
        metrics=estimate_metrics(truth, probabilities, setting.groups, drawn=drawn),
        cost=cost,
    )


def _run(setting: _Setting, asked: _Asked, at: int) -> SeedResult:
    images, parts = setting.images, setting.split
    said = {
        part: (images.labels[getattr(parts, part)], softmax(scores[at]))
        for part, scores in (("validation", asked.validation), ("test", asked.test))
    }
    truth, probabilities = said["test"]
    matrix = confusion(truth, probabilities.argmax(1), len(images.classes))
    return SeedResult(
        seed=setting.experiment.seeds[at],
        best_epoch=0,
        epochs_run=0,
        stopped_early=False,
        validation=classification_metrics(*said["validation"], positive=images.positive),
        test=classification_metrics(*said["test"], positive=images.positive),
        confusion=tuple(tuple(int(n) for n in row) for row in matrix),
        thresholded=thresholded(said["validation"], said["test"], images.positive),
        train_seconds=0.0,
    )


def _cost(setting: _Setting, asked: _Asked, steps: int) -> Cost:
    """What one image costs; a network without time gets the bits that the spiking one's `steps` carry."""
    judged, work, module = asked.judged, asked.seen.layers, asked.judged.modules[0]
    known = not asked.seen.unknown
    tensors = [*module.parameters(), *module.buffers()]
    classes, some = len(setting.images.classes), setting.images.images[setting.split.validation[:256]]
    speed = measure_speed_of(lambda x: scores_of(module, x, judged.caller, classes=classes, seed=0), some, "its own")
    return Cost(
        macs=sum(layer.macs for layer in work),
        synaptic_operations=sum(layer.synaptic_operations for layer in work) if asked.seen.spiking else None,
        state_updates=sum(layer.state_updates for layer in work),
        effective_macs=sum(layer.effective_macs for layer in work),
        dense_operations=sum(layer.dense_operations for layer in work),
        parameters=sum(one.numel() for one in module.parameters() if one.requires_grad),
        bytes=sum(one.numel() * one.element_size() for one in tensors),
        energy_nanojoule=energies(work, carried_bits(steps) if steps > 1 else None, accesses=False) if known else {},
        constants={f"{name}_pj": value for model in ENERGY_MODELS for name, value in model.constants.items()},
        source="; ".join(f"{model.name}: {model.source}" for model in ENERGY_MODELS if not model.memory),
        throughput_images_per_second=speed.throughput,
        latency_ms=speed.latency_ms,
        latency_p99_ms=speed.latency_p99_ms,
    )


def _sections(setting: _Setting, asked: list[_Asked], wanted: frozenset[JudgedSection]) -> Sections:
    images, parts = setting.images, setting.split
    sections = Sections()
    if "audit" in wanted:
        from spikewise.data.audit import audit, folder_of  # noqa: PLC0415  # its classifiers take long to load

        found = audit(images, parts, root=folder_of(setting.experiment.data, None))
        sections = sections.model_copy(update={"audit": found})
    if "yardsticks" in wanted:
        truth = images.labels[parts.test]
        right = {one.judged.name: np.stack([correct(truth, softmax(run)) for run in one.test]) for one in asked}
        sections = sections.model_copy(update={"yardsticks": yardsticks_of(images, parts, right)})
    if "calibration" in wanted:
        sections = sections.model_copy(update={"calibration": _calibration(setting, asked)})
    if "robustness" in wanted:
        sections = sections.model_copy(update={"robustness": _robustness(setting, asked)})
    return sections


def _calibration(setting: _Setting, asked: list[_Asked]) -> Calibration:
    labels = setting.images.labels
    networks = tuple(
        calibrate(
            one.judged.name,
            [SplitLogits(labels[setting.split.validation], run) for run in one.validation],
            [SplitLogits(labels[setting.split.test], run) for run in one.test],
            setting.groups,
        )
        for one in asked
    )
    return Calibration(networks=networks, bins=BINS)


def _robustness(setting: _Setting, asked: list[_Asked]) -> Robustness:
    """Corruptions alone: spikes, weights and gradients of a module are its own affair."""
    images, test = setting.images, setting.split.test
    index = test[permutation(len(test), 0, _CHOICE)][:_MOST_CORRUPTED]
    groups = None if images.groups is None else images.groups[index]
    some = Images(np.ascontiguousarray(images.images[index]), images.labels[index], index, groups)

    def right(one: _Asked, pixels: np.ndarray) -> np.ndarray:
        pairs = zip(setting.experiment.seeds, one.judged.modules, strict=True)
        caller, classes = one.judged.caller, len(images.classes)
        said = [scores_of(module, pixels, caller, classes=classes, seed=seed) for seed, module in pairs]
        return np.stack([run.argmax(1) == some.labels for run in said])

    trials = []
    for corruption in CORRUPTIONS:
        rows: Mapping[str, list[np.ndarray]] = {one.judged.name: [] for one in asked}
        for strength in corruption.strengths:
            pixels = corruption(some.pixels, some.index, strength)
            for one in asked:
                rows[one.judged.name].append(right(one, pixels))
        stacked = {name: np.stack(found) for name, found in rows.items()}
        trials.append(
            RobustnessTrial(corruption.name, "corruptions", corruption.parameter, corruption.strengths, stacked)
        )
    clean = {one.judged.name: right(one, some.pixels)[None] for one in asked}
    record, curves = summarise("corruptions", RobustnessTrials(trials), clean, some, against=asked[0].judged.name)
    return Robustness(families=(record,), disturbances=curves)


def _artifacts(setting: _Setting, asked: list[_Asked]) -> Artifacts:
    images, test, labels = setting.images, setting.split.test, setting.images.labels[setting.split.test]
    grid = sample_of_each_class(images, setting.split.train, _SHOWN)
    pair = None
    if len(asked) > 1:
        a, b = ((one.judged.name, Predictions(test, labels, one.test[0], {}, {}, {}, None)) for one in asked[:2])
        pair = disagreements(images, a, b, setting.experiment.seeds[0])
    made = Artifacts(images.images[grid], images.labels[grid], None, pair)
    return made if images.publishable else made.without_images()


def _identity(networks: Sequence[JudgedNetwork], experiment: Experiment) -> str:
    """Eight hexadecimal digits over the networks' weights, the images and the split."""
    digest = hashlib.sha256(json.dumps(experiment.model_dump(mode="json"), sort_keys=True).encode())
    for judged in networks:
        for module in judged.modules:
            digest.update(f"{judged.name}:{module}".encode())
            for name, tensor in module.state_dict().items():
                if not isinstance(tensor, torch.Tensor):
                    raise ShapeError(f"The state of {judged.name} holds {name}, which is no tensor.")
                digest.update(name.encode() + tensor.detach().cpu().contiguous().view(-1).numpy().tobytes())
    return digest.hexdigest()[:8]

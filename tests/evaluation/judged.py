"""Results that were never measured: networks, pairs and sections with the figures that a test asks for."""

from pathlib import Path

from spikewise.data.audit.records import Audit, Nearness, Probe
from spikewise.evaluation import write_verdict
from spikewise.evaluation.data_facts import DataFacts, Part
from spikewise.evaluation.record import Estimate
from spikewise.evaluation.results import (
    Cost,
    NetworkResult,
    PairComparison,
    SeedResult,
    Verdict,
)
from spikewise.evaluation.sections.anytime import Anytime, EarlyExit, NetworkAnytime
from spikewise.evaluation.sections.diagnosis import Diagnosis, NetworkFinding
from spikewise.evaluation.sections.yardsticks import Yardstick, YardstickDifference, Yardsticks
from spikewise.evaluation.tuning import Tuning
from spikewise.evaluation.untrained import RunPlace

ROLES = {"snn": "spiking", "twin": "twin", "cnn": "baseline"}
DENSE, SKIPPED = "45 nm arithmetic", "45 nm arithmetic, zeros skipped"
PLACE = RunPlace("compare", Path("runs/compare-toy-1"))


def estimate(mean, half=None, **rest):
    ends = {} if half is None else {"low": mean - half, "high": mean + half}
    return Estimate(mean=mean, method="", **ends, **rest)


def network(name, accuracy, energy=100.0, *, seeds=3, confusion=((45, 5), (5, 45)), balanced=None, tuned=None):
    energies = energy if isinstance(energy, dict) else {DENSE: energy}
    runs = [
        SeedResult(
            seed=seed,
            best_epoch=1,
            epochs_run=1,
            stopped_early=False,
            validation={},
            test={},
            confusion=confusion[seed] if isinstance(confusion, list) else confusion,
            train_seconds=1.0,
        )
        for seed in range(seeds)
    ]
    return NetworkResult(
        name=name,
        role=ROLES.get(name, "baseline"),
        description=name,
        engine="reference",
        parameters=1,
        steps=25 if name == "snn" else 1,
        tuning=None if tuned is None else Tuning(tuned=tuned, learning_rate=0.001),
        runs=tuple(runs),
        metrics={"accuracy": estimate(accuracy, 0.01), "balanced_accuracy": estimate(balanced or accuracy, 0.01)},
        cost=Cost(macs=1.0, parameters=1, bytes=4, energy_nanojoule=energies),
    )


def pair(a, b, half=0.01, *, significant="by the interval", family=1):
    mean = a.metrics["accuracy"].mean - b.metrics["accuracy"].mean
    sure = abs(mean) > half if significant == "by the interval" else significant
    return PairComparison(
        a=a.name,
        b=b.name,
        metric="accuracy",
        difference=estimate(mean, half),
        p=0.001,
        p_adjusted=0.001 if sure else 0.4,
        family=family,
        detectable=None if significant is None else 0.03,
        images=100,
        units=100,
        significant=sure,
        sentence=f"{a.name} and {b.name}.",
    )


def data(**changes):
    part = Part(images=100, per_class=(50, 50))
    base = {"name": "toy", "fingerprint": "0", "source": "made up", "classes": ("a", "b"), "image_shape": (1, 2, 2)}
    return DataFacts(**{**base, "train": part, "validation": part, "test": part, **changes})


def run(*networks, half=0.01, sections=None, significant="by the interval", **rest) -> Verdict:
    """The verdict on these networks, every pair of which has an interval of this half-width."""
    pairs = [pair(a, b, half, significant=significant) for at, a in enumerate(networks) for b in networks[at + 1 :]]
    return write_verdict(networks, pairs, rest.pop("data", data()), sections=sections, place=PLACE, **rest)


def early(energy, *, lost=0.0, steps=8.0):
    exit_ = EarlyExit(
        tolerance=0.005,
        thresholds=(0.9,),
        accuracy=estimate(0.9),
        difference=estimate(-lost, 0.001),
        steps=estimate(steps),
        exits=(1.0,),
        macs=0.0,
        synaptic_operations=1.0,
        state_updates=1.0,
        energy_nanojoule=energy if isinstance(energy, dict) else {DENSE: energy},
    )
    one = NetworkAnytime(network="snn", counted_images=1, stream_step_ms=0.1, curve=(), early_exit=(exit_,))
    return Anytime(networks=(one,), options=(), tolerance=0.005, energy_model=DENSE)


def yardsticks(accuracy, snn, half=0.01, others=()):
    models = [
        Yardstick(name=name, setting="C = 10", validation_accuracy=0.9, accuracy=estimate(mean, 0.01))
        for name, mean in (("guessing", 0.5), ("logistic regression", 0.6), ("SVM (RBF)", accuracy))
    ]
    differences = [
        YardstickDifference(network="snn", yardstick=name, difference=estimate(snn - mean, half))
        for name, mean in (("guessing", 0.5), ("logistic regression", 0.6), ("SVM (RBF)", accuracy))
    ]
    return Yardsticks(
        models=tuple(models), differences=tuple(differences), train_images=9, of_train_images=9, features=4
    )


def fault(name="snn", severity="serious", settings=("train.learning_rate=0.0003",), code="learning_rate_too_high"):
    return NetworkFinding(
        code=code,
        severity=severity,
        network=name,
        seeds=(0,),
        text="It rose.",
        evidence={},
        advice="Lower it.",
        settings=settings,
    )


def diagnosed(*findings):
    return Diagnosis(findings=findings, images=1, chance=0.5)


def audited(score, *, low=None, clue="4 x 4 pixels", grave=()):
    probe = Probe(target="label", clue=clue, score=score, chance=0.5, p=0.0, images=100, low=low, high=None)
    near = Nearness(ratio=0.5, neighbour=None, candidates=0, pairs=0)
    return Audit(
        name="toy",
        fingerprint="0",
        images=100,
        parts=None,
        subjects=None,
        verdict="",
        findings=grave,
        probes=(probe,),
        nearness=near,
        near_across=0,
        seconds=0.0,
        spikewise_version="0",
    )

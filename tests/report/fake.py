"""A made-up run with plausible numbers: what a report is built from, without training anything."""

import functools
import math

import numpy as np

from spikewise.evaluation import (
    CandidatePredictions,
    Cost,
    DataFacts,
    Environment,
    EpochRecord,
    Estimate,
    NetworkResult,
    Overlap,
    Part,
    Protocol,
    Resampling,
    Results,
    SeedResult,
    classification_metrics,
    compare_networks,
    confusion,
    estimate_metrics,
    write_verdict,
)
from spikewise.report import Artifacts, Disagreements, Traces

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ROLES = (("snn", "spiking", 2.4, 25), ("twin", "twin", 2.6, 1), ("cnn", "baseline", 3.0, 1))


def _answers(labels, K, strength, rng):
    logits = rng.normal(size=(len(labels), K))
    logits[np.arange(len(labels)), labels] += strength
    e = np.exp(1.6 * logits)
    return e / e.sum(1, keepdims=True)


def _history(name, epochs, rng):
    return tuple(
        EpochRecord(
            epoch=e,
            train_loss=1.9 * math.exp(-e / 4) + 0.2 + rng.normal() * 0.02,
            train_accuracy=1 - 0.8 * math.exp(-e / 3),
            validation_loss=1.9 * math.exp(-e / 4) + 0.3 + rng.normal() * 0.03,
            validation_accuracy=float(np.clip(0.93 - 0.7 * math.exp(-e / 3) + rng.normal() * 0.01, 0, 1)),
            learning_rate=1e-3,
            seconds=3.2,
            images_per_second=18_000.0,
            spike_rates={"lif1": 0.12} if name == "snn" else {},
        )
        for e in range(1, epochs + 1)
    )


def _run(network, seed, labels, probabilities, *, K, rng, epochs):
    metrics = classification_metrics(labels, probabilities)
    spiking = network == "snn"
    return SeedResult(
        seed=seed,
        best_epoch=epochs,
        epochs_run=epochs,
        stopped_early=False,
        validation=metrics,
        test=metrics,
        confusion=tuple(tuple(map(int, row)) for row in confusion(labels, probabilities.argmax(1), K)),
        history=_history(network, epochs - seed % 2, rng),
        spike_rates={"lif1": 0.11 + 0.01 * seed, "lif2": 0.06 + 0.004 * seed} if spiking else {},
        warnings=("lif2: 31 of 512 neurons never spike",) if spiking and seed == 0 else (),
        train_seconds=48.2 + seed,
    )


def _cost(name):
    spiking = name == "snn"
    macs = {"snn": 0.0, "twin": 1_195_008.0, "cnn": 4_241_152.0}[name]
    ops = 2_911_204.0 if spiking else None
    return Cost(
        macs=macs,
        synaptic_operations=ops,
        state_updates=25_850 if spiking else 0,
        parameters=407_050 if name != "cnn" else 421_642,
        bytes=1_628_200,
        energy_nanojoule={
            "arithmetic": macs * 4.6e-3 + (ops or 0) * 0.9e-3,
            "with memory": macs * 6e-3 + (ops or 0) * 3e-3,
        },
        constants={"mac_32bit_float": 4.6, "add_32bit_float": 0.9, "sram_32bit_8kb": 5.0},
        source="Horowitz, Computing's energy problem, ISSCC 2014, 45 nm",
        train_seconds_per_epoch=Estimate(mean=3.2 if spiking else 0.7, sd=0.05, low=3.1, high=3.3, method="seeds"),
        throughput_images_per_second=8_400 if spiking else 61_000,
        latency_ms=0.42 if spiking else 0.051,
        peak_memory_mb=412.0,
    )


def _part(images, K):
    return Part(images=images * K, per_class=(images,) * K)


@functools.cache
def made(**kind):
    """`results`, made once for each kind."""
    return results(**kind)


def results(classes=DIGITS, *, seeds=(0, 1, 2), networks=ROLES, test=40, steps=25, data=None, protocol=None, epochs=12):
    rng, K = np.random.default_rng(7), len(classes)
    labels = np.repeat(np.arange(K), test)
    made, candidates = [], []
    for name, role, strength, _ in networks:
        answers = np.stack([_answers(labels, K, strength + 0.5 * (K > 20), rng) for _ in seeds])
        runs = tuple(_run(name, s, labels, p, K=K, rng=rng, epochs=epochs) for s, p in zip(seeds, answers, strict=True))
        metrics = estimate_metrics(labels, answers, resampling=Resampling(samples=200))
        made.append(
            NetworkResult(
                name=name,
                role=role,
                description={"snn": "784-512-10, LIF, rate-coded"}.get(name, "784-512-10, ReLU"),
                engine="native",
                parameters=407_050,
                steps=steps if role == "spiking" else 1,
                runs=runs,
                metrics=metrics,
                cost=_cost(name),
            )
        )
        candidates.append(CandidatePredictions(name, tuple(seeds), answers))
    pairs = tuple(
        compare_networks(candidates[0], other, labels, resampling=Resampling(samples=200)) for other in candidates[1:]
    )
    facts = {
        "name": "fake-digits",
        "fingerprint": "9f" * 32,
        "source": "https://example.org/a set",
        "classes": tuple(classes),
        "image_shape": (1, 28, 28),
        "train": _part(5400, K),
        "validation": _part(600, K),
        "test": _part(test, K),
        "overlap": Overlap(duplicates=0, near_duplicates=0),
    }
    told = DataFacts(**{**facts, **(data or {})})
    rules = {"seeds": tuple(seeds), "epochs": epochs, "test_opened": len(networks) * len(seeds), "batch_size": 128}
    kept = Protocol(**{**rules, **(protocol or {})})
    return Results(
        kind="compare" if len(networks) > 1 else "train",
        created="2025-03-02T10:20:30+00:00",
        spikewise_version="0.1.0",
        environment=Environment(
            python="3.11.7", torch="2.6.0", numpy="2.0.0", platform="Linux", cpu="a processor", cores=2, threads=2
        ),
        data=told,
        protocol=kept,
        networks=tuple(made),
        comparisons=pairs,
        verdict=write_verdict(made, pairs, told, kept),
        seconds=512.0,
    )


def blobs(labels, K, *, channels=1, size=28, rng=None):
    """Smooth images that differ by class."""
    rng = rng or np.random.default_rng(3)
    y, x = np.mgrid[0:size, 0:size] / size
    angle = 2 * np.pi * np.asarray(labels)[:, None, None] / K
    cx, cy = 0.5 + 0.22 * np.cos(angle), 0.5 + 0.22 * np.sin(angle)
    image = 255 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 0.02)
    tint = rng.uniform(0.4, 1, (len(labels), channels, 1, 1))
    return (image[:, None] * (tint if channels > 1 else 1)).astype(np.uint8)


def traces(images, labels, K, *, steps=25, spiking_output=True):
    rng, S = np.random.default_rng(5), len(labels)
    encoded = (rng.uniform(0, 255, (S, steps, *images.shape[1:])) < images[:, None]).astype(np.uint8)
    layers = {
        name: (rng.random((S, steps, F)) < rate).astype(np.uint8)
        for name, F, rate in (("lif1", 128, 0.12), ("lif2", 64, 0.07))
    }
    drive = rng.normal(0.12, 0.1, (S, steps, K)) + 0.3 * np.eye(K)[labels][:, None]
    membrane, spikes, v = np.zeros((S, steps, K)), np.zeros((S, steps, K), np.uint8), np.zeros((S, K))
    for t in range(steps):
        v = 0.9 * v + drive[:, t]
        membrane[:, t], spikes[:, t] = v, v > 1
        v = v - (v > 1)
    evidence = spikes.cumsum(1).astype(np.float64) if spiking_output else membrane
    return Traces(
        network="snn",
        seed=0,
        images=images,
        labels=labels,
        predicted=evidence[:, -1].argmax(1),
        encoded=encoded,
        layers=layers,
        membrane=membrane,
        evidence=evidence,
        spikes=spikes if spiking_output else None,
        threshold=1.0 if spiking_output else None,
        neurons=(4608, 64),
    )


def artifacts(classes=DIGITS, *, channels=1, size=28, steps=25, spiking_output=True, traced=3, make=blobs):
    rng, K = np.random.default_rng(11), len(classes)
    grid, each = np.repeat(np.arange(K), 6), np.arange(min(K, traced))
    disputed = rng.integers(0, K, 18)
    wrong = (disputed + 1 + rng.integers(0, K - 1, 18)) % K
    flip = rng.random(18) < 0.5
    return Artifacts(
        grid_images=make(grid, K, channels=channels, size=size),
        grid_labels=grid,
        traces=traces(make(each, K, channels=channels, size=size), each, K, steps=steps, spiking_output=spiking_output),
        disagreements=Disagreements(
            a="snn",
            b="twin",
            seed=0,
            images=make(disputed, K, channels=channels, size=size),
            index=rng.integers(0, 10_000, 18),
            labels=disputed,
            predicted_a=np.where(flip, disputed, wrong),
            predicted_b=np.where(flip, wrong, disputed),
            probability_a=rng.uniform(0.3, 1, 18),
            probability_b=rng.uniform(0.3, 1, 18),
            both_right=361,
            only_a=8,
            only_b=12,
            both_wrong=19,
        ),
    )

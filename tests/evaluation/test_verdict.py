"""The verdict says what the figures say, and nothing stronger."""

import numpy as np
import pytest

from spikewise.errors import ConfigError, ShapeError
from spikewise.evaluation import Contender, compare_networks, write_verdict
from spikewise.evaluation.results import (
    Cost,
    DataFacts,
    Estimate,
    NetworkResult,
    Part,
    Protocol,
    SeedResult,
    Straddling,
)
from spikewise.evaluation.statistics import Resampling, bootstrap_seeds_and_images

QUICK = Resampling(samples=400)


def contender(rng, name, labels, accuracy, *, seeds=3, between=0.0):
    level = accuracy + between * rng.standard_normal((seeds, 1))
    return answering(name, labels, rng.random((seeds, labels.size)) < level)


def answering(name, labels, right):
    """A contender that is right where `right` says, of two classes."""
    said = np.where(right, labels, 1 - labels)
    return Contender(name, tuple(range(len(right))), np.eye(2)[said] * 0.8 + 0.1)


def network(name, role, side, labels, *, energy=100.0, spikes=None, epoch_seconds=2.0):
    right = side.probabilities.argmax(2) == labels
    run = {"best_epoch": 1, "epochs_run": 1, "stopped_early": False, "validation": {}, "test": {}, "confusion": []}
    return NetworkResult(
        name=name,
        role=role,
        description=name,
        engine="reference",
        parameters=10,
        steps=1,
        runs=tuple(SeedResult(seed=seed, train_seconds=1.0, **run) for seed in side.seeds),
        metrics={"accuracy": bootstrap_seeds_and_images(right, resampling=QUICK)},
        cost=Cost(
            macs=1000.0,
            synaptic_operations=spikes,
            parameters=10,
            bytes=40,
            energy_nanojoule={"horowitz-45nm": energy},
            train_seconds_per_epoch=Estimate(mean=epoch_seconds, method="one run"),
        ),
    )


def facts(images, **changes):
    part = Part(images=images, per_class=(images, 0))
    base = {"name": "toy", "fingerprint": "0", "source": "made up", "classes": ("a", "b"), "image_shape": (1, 2, 2)}
    return DataFacts(**{**base, "train": part, "validation": part, "test": part, **changes})


def judged(rng, spiking, twin, *, images=1000, swapped=False, data=None, protocol=None, **sides):
    labels = rng.integers(0, 2, images)
    snn, other = contender(rng, "snn", labels, spiking, **sides), contender(rng, "twin", labels, twin, **sides)
    networks = [
        network("snn", "spiking", snn, labels, energy=25.0, spikes=400.0),
        network("twin", "twin", other, labels),
    ]
    pair = compare_networks(*((other, snn) if swapped else (snn, other)), labels, resampling=QUICK)
    return write_verdict(networks, [pair], data or facts(images), protocol), pair


@pytest.mark.parametrize("swapped", [False, True], ids=["snn - twin", "twin - snn"])
@pytest.mark.parametrize(
    ("spiking", "twin", "outcome", "words"),
    [
        (0.95, 0.80, "spiking_better", "snn is more accurate than twin by"),
        (0.80, 0.95, "spiking_worse", "snn is less accurate than twin by"),
        (0.90, 0.90, "no_difference", "No significant difference in accuracy between snn and twin; this test set could have shown one of"),
    ],
)
def test_the_outcome_follows_the_truth_whichever_side_comes_first(rng, spiking, twin, outcome, words, swapped):
    verdict, pair = judged(rng, spiking, twin, swapped=swapped)
    assert verdict.outcome == outcome
    assert words in verdict.headline
    assert pair.sentence in verdict.sentences
    assert verdict.paragraph == " ".join(verdict.sentences)


def test_no_significant_difference_is_said_in_words_and_is_not_called_equality(rng):
    verdict, pair = judged(rng, 0.9, 0.9)
    assert pair.significant is False
    assert "no significant difference in accuracy between snn and twin" in verdict.paragraph
    assert "no proof of equality" in verdict.paragraph
    assert "more accurate" not in verdict.paragraph


def test_one_seed_cannot_tell_however_large_the_difference(rng):
    verdict, pair = judged(rng, 0.99, 0.60, seeds=1)
    assert pair.significant is None
    assert verdict.outcome == "cannot_tell"
    assert "one seed cannot tell" in verdict.paragraph
    assert "more accurate" not in verdict.headline + verdict.paragraph


def test_a_difference_that_the_seeds_do_not_share_is_not_significant(rng):
    """Images alone would call it: three good seeds against two good ones and a failed one."""
    labels = rng.integers(0, 2, 2000)
    good = rng.random((3, 2000)) < 0.95
    mixed = np.concatenate([good[:2], rng.random((1, 2000)) < 0.6])
    pair = compare_networks(answering("a", labels, good), answering("b", labels, mixed), labels, resampling=QUICK)
    assert pair.p < 1e-6
    assert pair.significant is False
    assert "the seeds vary too much to say so of others" in pair.sentence


def test_five_images_are_no_proof_even_when_all_seeds_agree():
    """Five discordant images on one side: exact p = 1/16."""
    labels = np.zeros(20, dtype=int)
    a, b = np.ones((3, 20), dtype=bool), np.tile(np.arange(20) >= 5, (3, 1))
    pair = compare_networks(answering("a", labels, a), answering("b", labels, b), labels, resampling=QUICK)
    assert pair.p == pytest.approx(1 / 16)
    assert pair.significant is False
    assert pair.difference.low > 0
    assert "too few images tell the two apart" in pair.sentence


def test_equal_networks_are_rarely_called_different(rng):
    """200 repetitions at 5 %: more than 21 alarms would come about once in 1000."""
    alarms = 0
    for _ in range(200):
        labels = rng.integers(0, 2, 300)
        sides = [contender(rng, name, labels, 0.85, between=0.02) for name in ("a", "b")]
        alarms += compare_networks(*sides, labels, resampling=QUICK).significant is True
    assert alarms <= 21


def test_subjects_are_the_unit_where_they_are_known(rng):
    labels = rng.integers(0, 2, 300)
    sides = [contender(rng, name, labels, accuracy) for name, accuracy in (("a", 0.9), ("b", 0.8))]
    pair = compare_networks(*sides, labels, np.arange(300) // 10, resampling=QUICK)
    assert (pair.images, pair.units) == (300, 30)
    assert "30 units" in pair.difference.method


def test_each_shared_seed_has_its_own_mcnemar_test(rng):
    labels = rng.integers(0, 2, 100)
    a, b = contender(rng, "a", labels, 0.9), contender(rng, "b", labels, 0.9, seeds=2)
    pair = compare_networks(a, b._replace(seeds=(2, 7)), labels, resampling=QUICK)
    assert [test.seed for test in pair.per_seed] == [2]


def test_costs_are_given_under_the_named_model_and_not_as_measured(rng):
    verdict, _ = judged(rng, 0.9, 0.9)
    assert (
        "Under the cost model 'horowitz-45nm' one image costs snn 25 nJ and twin 100 nJ, 4 times less"
        in verdict.paragraph
    )
    assert "computed from operation counts, not measured" in verdict.paragraph
    assert "snn does 400 additions for spikes" in verdict.paragraph
    assert "An epoch of training took snn 2 s and twin 2 s, about the same." in verdict.paragraph


def test_leaks_are_said_plainly(rng):
    leaky = facts(1000, straddling=Straddling(duplicates=1, near_duplicates=2, subjects=12), subjects=40)
    verdict, _ = judged(rng, 0.95, 0.80, data=leaky)
    assert (
        "The split leaks: 1 group of identical images, 2 groups of nearly identical images, 12 subjects"
        in verdict.paragraph
    )
    assert verdict.headline.endswith(", with reservations.")


def test_known_subjects_that_were_not_kept_apart_are_a_reservation(rng):
    verdict, _ = judged(rng, 0.95, 0.80, data=facts(1000, subjects=40))
    assert "does not keep subjects apart" in verdict.paragraph


def test_a_tiny_test_set_is_a_reservation(rng):
    verdict, _ = judged(rng, 0.9, 0.9, images=30)
    assert "The test set is small (30 images)" in verdict.paragraph


def test_opening_the_test_set_too_often_is_a_reservation(rng):
    verdict, _ = judged(rng, 0.9, 0.9, protocol=Protocol(seeds=(0, 1, 2), epochs=1, test_opened=9))
    assert "opened 9 times for 6 runs" in verdict.paragraph
    verdict, _ = judged(rng, 0.9, 0.9, protocol=Protocol(seeds=(0, 1, 2), epochs=1, test_opened=6))
    assert "opened" not in verdict.paragraph


def test_a_network_alone_is_not_judged(rng):
    labels = rng.integers(0, 2, 500)
    alone = network("snn", "spiking", contender(rng, "snn", labels, 0.9), labels)
    verdict = write_verdict([alone], [], facts(500))
    assert verdict.outcome == "cannot_tell"
    assert "Nothing to compare with" in verdict.headline
    assert "3 seeds" in verdict.paragraph


def test_without_a_twin_the_first_baseline_decides(rng):
    labels = rng.integers(0, 2, 1000)
    snn, cnn = contender(rng, "snn", labels, 0.8), contender(rng, "cnn", labels, 0.95)
    networks = [network("snn", "spiking", snn, labels), network("cnn", "baseline", cnn, labels)]
    verdict = write_verdict(networks, [compare_networks(snn, cnn, labels, resampling=QUICK)], facts(1000))
    assert verdict.outcome == "spiking_worse"


def test_bad_input_is_refused_in_words(rng):
    labels = rng.integers(0, 2, 10)
    side = contender(rng, "snn", labels, 0.9)
    with pytest.raises(ShapeError, match="'snn' has 1 seeds"):
        compare_networks(side._replace(seeds=(0,)), side, labels)
    with pytest.raises(ConfigError, match="softmax"):
        compare_networks(side._replace(probabilities=side.probabilities * 3), side, labels)


def test_a_leak_that_spares_the_test_part_flatters_no_accuracy(rng):
    leaky = facts(1000, straddling=Straddling(duplicates=8, reaches_test=False))
    verdict, _ = judged(rng, 0.95, 0.80, data=leaky)
    assert "8 groups of identical images in more than one part, none in the test part" in verdict.paragraph
    assert "flattered" not in verdict.paragraph

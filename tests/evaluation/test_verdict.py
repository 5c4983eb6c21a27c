"""The verdict says what the figures say, and nothing stronger."""

import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simulated import images, probabilities, scores

from spikewise.errors import ConfigError, ShapeError
from spikewise.evaluation import CandidatePredictions, compare_all, compare_networks, write_verdict
from spikewise.evaluation.caveats import caveats
from spikewise.evaluation.data_facts import DataFacts, Overlap, Part
from spikewise.evaluation.results import (
    Cost,
    Estimate,
    NetworkResult,
    Protocol,
    SeedResult,
)
from spikewise.evaluation.statistics import Resampling, bootstrap_seeds_and_images

QUICK = Resampling(samples=400)


def candidate(rng, name, labels, accuracy, *, seeds=3, between=0.0):
    level = accuracy + between * rng.standard_normal((seeds, 1))
    return answering(name, labels, rng.random((seeds, labels.size)) < level)


def answering(name, labels, right):
    """A candidate that is right where `right` says, of two classes."""
    said = np.where(right, labels, 1 - labels)
    return CandidatePredictions(name, tuple(range(len(right))), np.eye(2)[said] * 0.8 + 0.1)


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
    snn, other = candidate(rng, "snn", labels, spiking, **sides), candidate(rng, "twin", labels, twin, **sides)
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
        (0.95, 0.80, "spiking_better", "Yes. The spiking network is"),
        (0.80, 0.95, "spiking_worse", "Cheaper but worse: 1"),
        (0.90, 0.90, "no_difference", "and cheaper: a quarter of its energy."),
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
    assert "no significant difference in accuracy between the spiking network and the same network" in verdict.paragraph
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
    """100 repetitions at 5 %: more than 13 alarms would come about once in 1000."""
    alarms = 0
    for _ in range(100):
        labels = rng.integers(0, 2, 300)
        sides = [candidate(rng, name, labels, 0.85, between=0.02) for name in ("a", "b")]
        alarms += compare_networks(*sides, labels, resampling=QUICK).significant is True
    assert alarms <= 13


def test_subjects_are_the_unit_where_they_are_known(rng):
    labels = rng.integers(0, 2, 300)
    sides = [candidate(rng, name, labels, accuracy) for name, accuracy in (("a", 0.9), ("b", 0.8))]
    pair = compare_networks(*sides, labels, np.arange(300) // 10, resampling=QUICK)
    assert (pair.images, pair.units) == (300, 30)
    assert "30 units" in pair.difference.method


def test_each_shared_seed_has_its_own_mcnemar_test(rng):
    labels = rng.integers(0, 2, 100)
    a, b = candidate(rng, "a", labels, 0.9), candidate(rng, "b", labels, 0.9, seeds=2)
    pair = compare_networks(a, b._replace(seeds=(2, 7)), labels, resampling=QUICK)
    assert [test.seed for test in pair.per_seed] == [2]


def test_costs_are_given_under_the_named_model_and_not_as_measured(rng):
    verdict, _ = judged(rng, 0.9, 0.9)
    assert (
        "The energy of one image, the spiking network and the same network without spikes: 25 nJ and 100 nJ by "
        "'horowitz-45nm', 4 times less." in verdict.paragraph
    )
    assert "computed from operation counts, not measured" in verdict.paragraph
    assert "The spiking network does 400 additions for spikes" in verdict.paragraph
    assert "took the spiking network 2 s and the same network without spikes 2 s, about the same." in verdict.paragraph


def test_leaks_are_said_plainly(rng):
    leaky = facts(1000, overlap=Overlap(duplicates=1, near_duplicates=2, subjects=12), subjects=40)
    verdict, _ = judged(rng, 0.95, 0.80, data=leaky)
    assert (
        "1 group of identical images, 2 groups of nearly identical images and 12 subjects are in more than one part of "
        "the split, which can flatter every accuracy." in verdict.paragraph
    )
    assert verdict.headline.endswith("; with reservations.")


def test_known_subjects_that_were_not_kept_apart_are_a_reservation(rng):
    verdict, _ = judged(rng, 0.95, 0.80, data=facts(1000, subjects=40))
    assert "does not keep subjects apart" in verdict.paragraph


RULE = "the number after 'person' in file names"


@pytest.mark.parametrize("found", [{}, {"overlap": Overlap(subjects=12)}], ids=["not kept apart", "overlap"])
@pytest.mark.parametrize(
    ("trust", "words"),
    [
        ("doubtful", f" These subjects are doubtful: they were read by {RULE}, and may be none."),
        ("likely", f" The subjects were read by {RULE}."),
        ("stated", ""),
        (None, ""),
    ],
)
def test_a_reservation_about_subjects_says_how_they_were_told(rng, trust, words, found):
    data = facts(1000, subjects=40, subjects_rule=RULE, subjects_trust=trust, **found)
    sentences = judged(rng, 0.95, 0.80, data=data)[0].sentences
    plain = judged(rng, 0.95, 0.80, data=facts(1000, subjects=40, **found))[0].sentences
    said = next(sentence for sentence in sentences if "subjects" in sentence)
    assert said.endswith(words)
    if trust == "doubtful":
        assert "known" not in said
        assert not found or "if they are subjects." in said
    else:
        assert said == next(sentence for sentence in plain if "subjects" in sentence) + words


def test_doubtful_subjects_flatter_accuracy_only_if_they_are_subjects_and_copies_do_in_any_case(rng):
    doubtful = {"subjects": 40, "subjects_rule": RULE, "subjects_trust": "doubtful"}
    alone = judged(rng, 0.95, 0.80, data=facts(1000, overlap=Overlap(subjects=12), **doubtful))[0]
    assert "12 subjects are in more than one part of the split, which can flatter every accuracy if they are" in (
        alone.paragraph
    )
    both = judged(rng, 0.95, 0.80, data=facts(1000, overlap=Overlap(duplicates=3, subjects=12), **doubtful))[0]
    assert (
        "3 groups of identical images and 12 subjects are in more than one part of the split, which can flatter every "
        "accuracy. " in both.paragraph
    )
    assert "and may be none" in both.paragraph


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
    alone = network("snn", "spiking", candidate(rng, "snn", labels, 0.9), labels)
    verdict = write_verdict([alone], [], facts(500))
    assert verdict.outcome == "cannot_tell"
    assert "no other network to compare it with" in verdict.headline
    assert "3 seeds" in verdict.paragraph


def test_without_a_twin_the_first_baseline_decides(rng):
    labels = rng.integers(0, 2, 1000)
    snn, cnn = candidate(rng, "snn", labels, 0.8), candidate(rng, "cnn", labels, 0.95)
    networks = [network("snn", "spiking", snn, labels), network("cnn", "baseline", cnn, labels)]
    verdict = write_verdict(networks, [compare_networks(snn, cnn, labels, resampling=QUICK)], facts(1000))
    assert verdict.outcome == "spiking_worse"


def test_bad_input_is_refused_in_words(rng):
    labels = rng.integers(0, 2, 10)
    side = candidate(rng, "snn", labels, 0.9)
    with pytest.raises(ShapeError, match="'snn' has 1 seeds"):
        compare_networks(side._replace(seeds=(0,)), side, labels)
    with pytest.raises(ConfigError, match="softmax"):
        compare_networks(side._replace(probabilities=side.probabilities * 3), side, labels)


def test_a_leak_that_spares_the_test_part_flatters_no_accuracy(rng):
    leaky = facts(1000, overlap=Overlap(duplicates=8, reaches_test=False))
    verdict, _ = judged(rng, 0.95, 0.80, data=leaky)
    assert (
        "8 groups of identical images are in more than one part of the split, none in the test part"
        in verdict.paragraph
    )
    assert "flattered" not in verdict.paragraph


@pytest.mark.parametrize(
    ("near_reaches_test", "said"),
    [
        (True, "in more than one part of the split, which can flatter every accuracy."),
        (False, "in more than one part of the split, none in the test part: only choices suffer."),
        (None, "in more than one part of the split."),
    ],
    ids=str,
)
def test_near_copies_are_said_to_spare_the_test_part_only_where_they_do(rng, near_reaches_test, said):
    overlap = Overlap(duplicates=0, near_duplicates=12, reaches_test=False, near_reaches_test=near_reaches_test)
    verdict, _ = judged(rng, 0.95, 0.80, data=facts(1000, overlap=overlap))
    assert f"12 groups of nearly identical images are {said}" in verdict.paragraph


CLAIMS = ("more accurate", "less accurate", "better", "worse", "beats", "superior", "favours")


def three(seed, count, seeds, accuracies, *, spread=0.0, main=None):
    """Networks, pairs and verdict of three simulated candidates."""
    rng = np.random.default_rng(seed)
    shown = images(rng, count)
    sides = [
        CandidatePredictions(
            name, tuple(range(seeds)), probabilities(scores(rng, shown, accuracy, seeds=seeds, between=spread))
        )
        for name, accuracy in zip(("snn", "twin", "cnn"), accuracies, strict=True)
    ]
    roles = ("spiking", "twin", "baseline")
    networks = [network(side.name, role, side, shown.labels) for side, role in zip(sides, roles, strict=True)]
    pairs = compare_all(sides, shown.labels, main=main, resampling=Resampling(samples=100))
    return pairs, write_verdict(networks, pairs, facts(count))


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10_000),
    count=st.integers(6, 150),
    seeds=st.integers(1, 4),
    accuracies=st.tuples(*[st.floats(0.5, 0.999)] * 3),
    spread=st.sampled_from([0.0, 0.1, 0.5]),
)
def test_nothing_is_called_better_unless_the_interval_and_the_corrected_p_both_say_so(
    seed, count, seeds, accuracies, spread
):
    pairs, verdict = three(seed, count, seeds, accuracies, spread=spread)
    proven = [
        pair
        for pair in pairs
        if seeds > 1 and pair.p_adjusted < 0.05 and not pair.difference.low <= 0 <= pair.difference.high
    ]
    for pair in pairs:
        assert pair.p_adjusted >= max(pair.p, pair.p_interval or 1.0)
        assert (pair.significant is True) == (pair in proven)
        assert any(claim in pair.sentence for claim in CLAIMS) == (pair in proven)
    assert (verdict.answer in ("no", "cheaper_but_worse")) == any(
        "snn" in (pair.a, pair.b) and (pair.difference.mean < 0) == (pair.a == "snn") for pair in proven
    )
    assert verdict.answer not in ("yes", "better_but_dearer") or {("snn", "twin"), ("snn", "cnn")} <= {
        (pair.a, pair.b) for pair in proven if pair.difference.mean > 0
    }
    spoken = verdict.paragraph
    for pair in proven:
        spoken = spoken.replace(pair.sentence, "")
    main = next(pair for pair in pairs if (pair.a, pair.b) == ("snn", "twin"))
    if main not in proven:
        assert not any(claim in spoken for claim in CLAIMS)
        assert verdict.outcome in ("no_difference", "cannot_tell")
    assert not re.search(r"(?<!\w)-\d", spoken)  # a hyphen is no minus sign


def test_of_three_equal_networks_any_two_are_rarely_called_different():
    """40 repetitions at 5 % for all three pairs together: more than 7 alarms would come about once in 1000."""
    alarms = sum(any(pair.significant for pair in three(seed, 120, 3, (0.85,) * 3)[0]) for seed in range(40))
    assert alarms <= 7


def test_pairs_of_three_networks_are_corrected_for_each_other():
    pairs, verdict = three(1, 400, 3, (0.9, 0.9, 0.6))
    assert {pair.family for pair in pairs} == {3}
    raw = sorted(max(pair.p, pair.p_interval) for pair in pairs)
    assert sorted(pair.p_adjusted for pair in pairs)[0] == pytest.approx(min(1.0, 3 * raw[0]))
    assert all("corrected for 3 such comparisons" in pair.sentence for pair in pairs)
    assert verdict.outcome == "no_difference"
    alone = three(1, 400, 3, (0.9, 0.9, 0.6))[0][0]
    assert alone.detectable > 0


def test_the_main_pair_does_not_pay_for_the_others_nor_they_for_it():
    pairs, _ = three(1, 400, 3, (0.9, 0.9, 0.65), main=("snn", "twin"))
    main, *others = pairs
    assert [(pair.main, pair.family) for pair in pairs] == [(True, 1), (False, 2), (False, 2)]
    assert main.p_adjusted == max(main.p, main.p_interval)
    assert "corrected" not in main.sentence
    assert min(pair.p_adjusted for pair in others) == pytest.approx(2 * min(max(p.p, p.p_interval) for p in others))
    # A main pair that tells nothing must not silence 25 points between the others.
    assert not main.significant
    assert all(pair.significant for pair in others)


def test_what_could_have_shown_shrinks_with_more_images_and_is_said():
    small, large = (three(2, count, 3, (0.9, 0.9, 0.9))[0][0] for count in (100, 1600))
    assert small.detectable > 1.5 * large.detectable
    found = f"this test set could have shown one of {100 * large.detectable:.2f} points or more"
    assert found in large.sentence
    assert any(found in ground for ground in three(2, 1600, 3, (0.9, 0.9, 0.9))[1].grounds)


def test_one_seed_promises_nothing_it_could_have_shown():
    pairs, verdict = three(3, 300, 1, (0.95, 0.7, 0.7))
    assert all(pair.detectable is None for pair in pairs)
    assert "There is one seed" in verdict.paragraph
    assert "one seed cannot tell that from luck" in verdict.headline


def rare_class(answers):
    """Two networks on 900 images of class 0 and 100 of class 1, from each one's share right in either class."""
    labels = np.repeat([0, 1], [900, 100])
    rng = np.random.default_rng(8)
    right = {
        name: np.stack([rng.random(1000) < np.where(labels == 0, *shares) for _ in range(3)])
        for name, shares in answers.items()
    }
    sides = [answering(name, labels, hits) for name, hits in right.items()]
    networks = [network("snn", "spiking", sides[0], labels), network("twin", "twin", sides[1], labels)]
    pair = compare_networks(*sides, labels, resampling=QUICK)
    return pair, write_verdict(networks, [pair], facts(1000))


def test_a_reversal_is_told_and_is_a_reservation():
    """The twin says "0" nearly always: more accurate on these classes, and nearly blind to the rare one."""
    pair, verdict = rare_class({"snn": (0.83, 0.90), "twin": (0.999, 0.10)})
    assert pair.difference.mean * pair.others["balanced_accuracy"].difference.mean < 0
    assert "Not every figure points the same way" in verdict.paragraph
    assert "the other way go balanced accuracy by" in verdict.paragraph
    assert "points for the spiking network (p < 0.001)" in verdict.paragraph
    assert verdict.answer == "no"
    assert verdict.headline.endswith("; with reservations.")


def test_a_difference_that_accuracy_hides_is_told():
    pair, verdict = rare_class({"snn": (0.90, 0.90), "twin": (0.99, 0.10)})
    assert pair.significant is False
    assert "these figures do if each is taken alone: balanced accuracy by" in verdict.paragraph


def test_where_every_figure_agrees_no_reversal_is_told():
    _, verdict = rare_class({"snn": (0.99, 0.95), "twin": (0.90, 0.60)})
    assert "Not every figure" not in verdict.paragraph
    assert "reservations" not in verdict.headline


def test_a_lead_that_changes_with_the_seed_is_told():
    labels = np.zeros(300, dtype=int)
    order = np.arange(300)
    a = np.stack([order >= 30, order >= 20, order >= 25])
    b = np.stack([order < 280, order < 260, order < 275])
    sides = answering("snn", labels, a), answering("twin", labels, b)
    pair = compare_networks(*sides, labels, resampling=QUICK)
    networks = [network("snn", "spiking", sides[0], labels), network("twin", "twin", sides[1], labels)]
    verdict = write_verdict(networks, [pair], facts(300))
    assert (
        "The lead changes with the seed: the spiking network is ahead with seed 1, the same network without spikes is "
        "ahead with seed 0 and seed 2 ties."
    ) in verdict.paragraph


def test_identical_answers_are_a_tie_and_not_a_proof():
    labels = np.arange(400) % 2
    right = np.random.default_rng(0).random((3, 400)) < 0.9
    sides = answering("snn", labels, right), answering("twin", labels, right)
    pair = compare_networks(*sides, labels, resampling=QUICK)
    assert (pair.difference.mean, pair.p_adjusted, pair.significant) == (0, 1, False)
    assert pair.detectable > 0
    assert "the spiking network \u2212 the same network without spikes: 0.00," in pair.sentence
    assert "no proof of equality" in pair.sentence


def test_sentences_carry_the_true_minus_sign(rng):
    verdict, pair = judged(rng, 0.80, 0.95)
    assert "\u2212" in pair.sentence
    assert "(the spiking network \u2212 the same network without spikes: \u2212" in pair.sentence
    assert pair.difference.mean < 0  # a number stays a number
    assert " -" not in verdict.paragraph


def test_sections_that_were_not_looked_at_are_named(rng):
    labels = rng.integers(0, 2, 500)
    alone = network("snn", "spiking", candidate(rng, "snn", labels, 0.9), labels)
    nothing, half, everything, unasked = (
        write_verdict([alone], [], facts(500), examined=names).paragraph
        for names in ([], ["anytime"], ["anytime", "robustness"], None)
    )
    assert "did not look at how accuracy grows with the time steps and how noise" in nothing
    assert "did not look at how noise and other damage to the images change it" in half
    assert "did not look" not in everything + unasked


@pytest.mark.parametrize(
    ("validation", "test", "images", "told"),
    [
        (0.95, 0.80, 600, True),
        (0.95, 0.80, 50, False),  # 2.3 standard errors
        (0.95, 0.91, 100_000, False),  # 4 points
        (0.80, 0.95, 600, False),
        (None, 0.80, 600, False),
    ],
)
def test_validation_far_above_the_test_is_a_reservation(rng, validation, test, images, told):
    labels = rng.integers(0, 2, 40)
    networks = [
        made.model_copy(update={"runs": tuple(_with_recall(run, validation, test) for run in made.runs)})
        for made in (network(name, "spiking", candidate(rng, name, labels, 0.9), labels) for name in ("snn", "twin"))
    ]
    found = [one for one in caveats(networks, [], facts(images), None) if one.title.startswith("Test images unlike")]
    assert [one.level for one in found] == ["care"] * told
    assert all("95.00 against 80.00 %" in one.text for one in found)


def _with_recall(run, validation, test):
    return run.model_copy(update={"validation": {"balanced_accuracy": validation}, "test": {"balanced_accuracy": test}})

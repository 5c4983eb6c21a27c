"""Whether a spiking network is worth it, on simulated results: never stronger than intervals, p and prices."""

import itertools
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged import (
    DENSE,
    ROLES,
    SKIPPED,
    audited,
    data,
    diagnosed,
    early,
    fault,
    network,
    pair,
    run,
    yardsticks,
)

from spikewise.data.audit.records import AuditFinding as Found
from spikewise.evaluation.answer import ANSWER_WORDS, OPEN, judge
from spikewise.evaluation.answer_words import ALIKE
from spikewise.evaluation.data_facts import Overlap
from spikewise.evaluation.opponents import opponents_of
from spikewise.evaluation.results import Protocol, Verdict
from spikewise.evaluation.sections import Sections
from spikewise.evaluation.untrained import RunPlace, place_of


@pytest.mark.parametrize(
    ("snn", "twin", "cnn", "energies", "answer", "words"),
    [
        (0.95, 0.90, 0.85, (25, 100, 100), "yes", "5.0 points more accurate than the same network without spikes"),
        (0.95, 0.85, 0.90, (25, 100, 100), "yes", "(95.0 against 90.0 %), whose learning rate was not tuned for it, "
         "and needs a quarter of its energy."),
        (0.95, 0.90, 0.85, (180, 100, 100), "better_but_dearer", "needs 1.8 times its energy."),
        (0.95, 0.90, 0.85, (50, 100, 20), "better_but_dearer", "half its energy, but 2.5 times the energy of the "
         "small CNN."),
        (0.90, 0.95, 0.85, (200, 100, 100), "no", "No. The same network without spikes is 5.0 points more accurate"),
        (0.90, 0.85, 0.95, (200, 100, 100), "no", "No. The small CNN is 5.0 points more accurate (95.0 against 90.0 %) "
         "and costs half the energy."),
        (0.85, 0.90, 0.95, (50, 100, 100), "cheaper_but_worse", "10.0 points less accurate than the small CNN (85.0 "
         "against 95.0 %), for half its energy."),
        (0.85, 0.90, 0.95, (50, 20, 100), "no", "and the same network without spikes is 5.0 points more accurate and "
         "costs 0.4 times the energy."),
        (0.85, 0.85, 0.95, (50, 20, 100), "no", "and the same network without spikes, not shown to differ from it in "
         "accuracy, costs 0.4 times the energy."),
        (0.90, 0.90, 0.80, (180, 100, 100), "as_good_but_dearer", "As accurate as the same network without spikes "
         "(difference between −1.0 and +1.0 points) but dearer: 1.8 times its energy."),
        (0.90, 0.90, 0.90, (180, 200, 100), "as_good_but_dearer", "As accurate as the small CNN"),
        (0.90, 0.90, 0.89, (33, 100, 100), "as_good_and_cheaper", "and cheaper: a third of its energy."),
        (0.90, 0.90, 0.90, (100, 100, 200), "as_good_as_dear", "points) at about the same energy."),
    ],
)  # fmt: skip
def test_every_order_of_accuracy_and_energy_has_its_answer(snn, twin, cnn, energies, answer, words):
    sides = [network(*one) for one in zip(ROLES, (snn, twin, cnn), map(float, energies), strict=True)]
    verdict = run(*sides)
    assert verdict.answer == answer, verdict.headline
    assert words in verdict.headline
    swapped = run(*reversed(sides))
    assert (swapped.answer, swapped.headline) == (verdict.answer, verdict.headline)


ACCURACY = {"better": 0.85, "level": 0.9, "worse": 0.95}
PRICES = {
    "cheaper": {DENSE: 400.0, SKIPPED: 200.0},
    "dearer": {DENSE: 50.0, SKIPPED: 25.0},
    "mixed": {DENSE: 200.0, SKIPPED: 50.0},
    "alike": {DENSE: 100.0, SKIPPED: 101.0},
}
"""Of an opponent, where the spiking network needs 100 by either model."""


def by_the_table(stands: dict[str, tuple[str, str]]) -> str:
    """The answer as docs/statistics.md has it, from accuracy and price against each opponent."""
    worse, level = ([price for how, price in stands.values() if how == which] for which in ("worse", "level"))
    if {"dearer", "alike"} & set(worse) or (worse and "dearer" in level):
        return "no"
    if worse:
        return "depends" if "mixed" in worse else "cheaper_but_worse"
    prices = level or [price for _, price in stands.values()]
    if "dearer" in prices:
        return "as_good_but_dearer" if level else "better_but_dearer"
    if "mixed" in prices:
        return "depends"
    return "yes" if not level else "as_good_as_dear" if "alike" in prices else "as_good_and_cheaper"


@pytest.mark.parametrize("twin", list(itertools.product(ACCURACY, PRICES)), ids="-".join)
@pytest.mark.parametrize("cnn", list(itertools.product(ACCURACY, PRICES)), ids="-".join)
def test_all_orders_of_three_networks_follow_the_table(twin, cnn):
    snn = network("snn", 0.9, {DENSE: 100.0, SKIPPED: 100.0})
    stands = {"twin": twin, "cnn": cnn}
    others = [network(name, ACCURACY[how], PRICES[price]) for name, (how, price) in stands.items()]
    found = judge([snn, *others], [pair(snn, other) for other in others], data(), tuned=True)
    assert found.answer == by_the_table(stands), found.headline
    assert found.against.name in stands
    assert (found.answer == "no") == found.headline.startswith("No. ")


@pytest.mark.parametrize(
    ("accuracy", "answer"), [(0.95, "no"), (0.9, "as_good_but_dearer"), (0.85, "better_but_dearer")]
)
def test_without_a_twin_the_cnn_is_the_opponent(accuracy, answer):
    verdict = run(network("snn", 0.9, 200.0), network("cnn", accuracy))
    assert verdict.answer == answer
    assert "he small CNN" in verdict.headline


def test_an_interval_that_leaves_much_open_tells_nothing():
    sides = network("snn", 0.90, 25.0), network("twin", 0.905)
    assert run(*sides, half=0.012).headline.startswith("As accurate as the same network without spikes")
    assert run(*sides, half=0.03).headline.startswith("No significant difference in accuracy from the same network")
    verdict = run(*sides, half=0.2)
    assert verdict.answer == "cannot_tell"
    assert verdict.headline == (
        "Cannot tell: the difference in accuracy from the same network without spikes may lie anywhere between −20.5 "
        "and +19.5 points. The spiking network needs a quarter of the energy of the same network without spikes."
    )


def test_an_opponent_that_tells_nothing_does_not_hide_one_that_is_as_good_for_less():
    sides = network("snn", 0.90, 180.0), network("twin", 0.90), network("cnn", 0.95, 100.0)
    pairs = [pair(sides[0], sides[1], 0.02), pair(sides[0], sides[2], 0.4)]
    found = judge(sides, pairs, data())
    assert found.answer == "as_good_but_dearer"
    assert found.against.name == "twin"
    cheap = network("snn", 0.90, 25.0)
    pairs = [pair(cheap, sides[1], 0.02), pair(cheap, sides[2], 0.4)]
    assert judge((cheap, *sides[1:]), pairs, data()).headline.startswith(
        "Cannot tell: the difference in accuracy from the small CNN may lie anywhere between −45.0 and +35.0 points."
    )


def test_an_interval_may_be_wide_on_the_side_that_changes_nothing():
    def held(energy, low, high):
        sides = network("snn", 0.90, energy), network("twin", 0.90)
        one = pair(*sides)
        wide = one.difference.model_copy(update={"low": low, "high": high})
        return judge(sides, [one.model_copy(update={"difference": wide, "significant": False})], data()).answer

    assert held(25.0, -0.02, 0.09) == "as_good_and_cheaper"
    assert held(25.0, -0.09, 0.02) == "cannot_tell"
    assert held(400.0, -0.09, 0.02) == "as_good_but_dearer"
    assert held(400.0, -0.02, 0.09) == "cannot_tell"


def test_one_seed_cannot_tell_but_says_who_is_ahead():
    verdict = run(network("snn", 0.9, 50.0, seeds=1), network("twin", 0.95, seeds=1), significant=None)
    assert (verdict.answer, verdict.outcome) == ("cannot_tell", "cannot_tell")
    assert verdict.headline == (
        "Cannot tell: the same network without spikes is 5.0 points ahead of the spiking network (95.0 against 90.0 "
        "%), but one seed cannot tell that from luck. The spiking network needs half the energy of the same network "
        "without spikes."
    )


def test_two_seeds_and_too_few_images_are_not_called_one_seed():
    verdict = run(network("snn", 0.9, seeds=2), network("twin", 0.9, seeds=2), significant=None)
    assert "have the same accuracy (90.0 %), but too few test images" in verdict.headline


def test_one_network_has_nobody_to_be_compared_with():
    verdict = run(network("snn", 0.9))
    assert verdict.answer == "cannot_tell"
    assert verdict.headline == (
        "The spiking network gets 90.0 % of the test images right; there was no other network to compare it with."
    )
    beaten = run(network("snn", 0.9), sections=Sections(yardsticks=yardsticks(0.95, 0.9)))
    assert (
        beaten.headline == "No. An SVM with RBF kernel on the pixels is 5.0 points more accurate (95.0 against 90.0 %)."
    )


def test_without_a_spiking_network_there_is_no_answer():
    assert run(network("twin", 0.9), network("cnn", 0.9)).answer == "cannot_tell"


def test_early_exit_can_change_what_the_answer_says_of_cost():
    sides = network("snn", 0.9, 180.0), network("twin", 0.9, 100.0)
    assert run(*sides).answer == "as_good_but_dearer"
    verdict = run(*sides, sections=Sections(anytime=early(33.0)))
    assert verdict.answer == "depends"
    assert verdict.headline.startswith("It depends on early exit: as accurate as the same network without spikes")
    assert verdict.headline.endswith(" for 1.8 times its energy at 25 steps, a third of it with early exit.")
    assert any("The test alone answered 'as good but dearer'; sections changed that (anytime: it depends)" in one
               for one in verdict.grounds)  # fmt: skip
    still = run(*sides, sections=Sections(anytime=early(120.0)))
    assert still.answer == "as_good_but_dearer"
    assert "early exit" not in still.headline
    lossy = run(*sides, sections=Sections(anytime=early(33.0, lost=0.012)))
    assert lossy.headline.endswith("a third of it with early exit, which gives away 1.2 points.")


def test_a_worse_network_that_is_cheaper_with_early_exit_alone_says_so():
    sides = network("snn", 0.85, 180.0), network("twin", 0.9, 100.0)
    assert run(*sides).answer == "no"
    level = run(*sides, sections=Sections(anytime=early(100.0)))
    assert level.answer == "no"
    assert level.headline.endswith(" energy; with early exit the spiking network needs about the same energy.")
    verdict = run(*sides, sections=Sections(anytime=early(50.0)))
    assert verdict.answer == "depends"
    assert verdict.headline.startswith("It depends on early exit: 5.0 points less accurate")
    assert verdict.headline.endswith("for 1.8 times its energy at 25 steps, half of it with early exit.")


def test_energy_models_that_disagree_are_told_by_the_price_of_zeros():
    ours, theirs = {DENSE: 50.0, SKIPPED: 45.0}, {DENSE: 100.0, SKIPPED: 30.0}
    verdict = run(network("snn", 0.9, ours), network("twin", 0.9, theirs))
    assert verdict.answer == "depends"
    told = "for half its energy on hardware that multiplies by zero, 1.5 times on hardware that skips zeros."
    assert verdict.headline.startswith("It depends on the hardware: as accurate as")
    assert verdict.headline.endswith(told)
    worse = run(network("snn", 0.8, ours), network("twin", 0.9, theirs))
    assert worse.answer == "depends"
    assert worse.headline.startswith("It depends on the hardware: 10.0 points less accurate than")
    assert worse.headline.endswith(told)
    other = {"one": 50.0, "two": 200.0}
    verdict = run(network("snn", 0.9, other), network("twin", 0.9, {"one": 100.0, "two": 100.0}))
    assert verdict.headline.startswith("It depends on the model of energy: ")
    assert verdict.headline.endswith(" for 0.5 to 2 times its energy (less by 1 of 2 models).")
    same = run(network("snn", 0.9, other), network("twin", 0.9, {"one": 50.0, "two": 100.0}))
    assert same.answer == "as_good_but_dearer"
    assert same.headline.endswith(" but cheaper by no model: 1 to 2 times its energy.")


def test_models_that_agree_give_one_figure_or_their_range():
    def at(two):
        return run(
            network("snn", 0.9, {DENSE: 50.0, SKIPPED: two}), network("twin", 0.9, {DENSE: 100.0, SKIPPED: 100.0})
        )

    assert "half its energy" in at(50.0).headline
    assert "0.3 to 0.5 times its energy" in at(30.0).headline


def test_no_shared_model_means_no_claim_about_cost():
    verdict = run(network("snn", 0.9, {"Loihi": 1.0}), network("twin", 0.9))
    assert verdict.answer == "depends"
    assert "the energy, which no model gives for both" in verdict.headline
    assert run(network("snn", 0.8, {"Loihi": 1.0}), network("twin", 0.9)).headline.endswith("(90.0 against 80.0 %).")


def test_a_simple_classifier_takes_part():
    sides = network("snn", 0.90, 25.0), network("twin", 0.85)
    beaten = run(*sides, sections=Sections(yardsticks=yardsticks(0.95, 0.90)))
    assert beaten.answer == "no"
    assert beaten.headline.startswith("No. An SVM with RBF kernel on the pixels is 5.0 points more accurate")
    level = run(*sides, sections=Sections(yardsticks=yardsticks(0.895, 0.90)))
    assert level.answer == "depends"
    assert "not shown to be more accurate than an SVM with RBF kernel on the pixels" in level.headline
    ahead = run(*sides, sections=Sections(yardsticks=yardsticks(0.7, 0.90)))
    assert ahead.answer == "yes"
    equal = run(network("snn", 0.85, 25.0), network("twin", 0.85), sections=Sections(yardsticks=yardsticks(0.85, 0.85)))
    assert equal.answer == "depends"
    assert "but an SVM with RBF kernel on the pixels may be as accurate" in equal.headline


def test_the_best_of_several_simple_classifiers_must_be_better_by_more():
    """Of two: the half-width grows from 1.96 to 2.24 standard errors."""
    sides = [network("snn", 0.90, 25.0), network("twin", 0.85)]
    for mean, expected in ((0.911, "open"), (0.913, "worse")):
        sections = Sections(yardsticks=yardsticks(mean, 0.90, half=0.0105))
        found = opponents_of(sides[0], sides, [], sections)
        assert next(one for one in found if one.name == "SVM (RBF)").relation == expected


def test_a_lead_over_an_opponent_that_was_not_tuned_says_so():
    sides = [network("snn", 0.95, 25.0), network("twin", 0.9)]
    plain = run(*sides)
    assert "whose learning rate was not tuned for it" in plain.headline
    assert any("not shown to be the spikes' own" in one for one in plain.grounds)
    tuned = run(*(network(one.name, one.metrics["accuracy"].mean, 25.0 if one.name == "snn" else 100.0, tuned=True)
                  for one in sides))  # fmt: skip
    assert "tuned" not in tuned.headline
    assert not any("spikes' own" in one for one in tuned.grounds)


ALL_ALIKE = ((50, 0), (50, 0))


@pytest.mark.parametrize("name", ["snn", "twin"])
def test_a_collapsed_seed_takes_the_place_of_the_comparison(name):
    collapsed = [ALL_ALIKE, ((45, 5), (5, 45)), ((45, 5), (5, 45))]
    sides = [network(one, 0.9, confusion=collapsed if one == name else ((45, 5), (5, 45))) for one in ("snn", "twin")]
    verdict = run(*sides)
    assert verdict.answer == "not_trained"
    assert "learned nothing in 1 of 3 trainings (seed 0)." in verdict.headline
    assert verdict.remedy == "spikewise diagnose runs/compare-toy-1"


def test_both_sides_that_collapsed_are_named_together():
    sides = [network(one, 0.9, confusion=[ALL_ALIKE, *[((45, 5), (5, 45))] * 2]) for one in ("snn", "twin")]
    assert run(*sides).headline == (
        "No answer: the spiking network and the same network without spikes learned nothing in 1 of 3 trainings "
        "(seed 0)."
    )


def test_a_serious_fault_takes_the_place_of_the_comparison_with_the_command_that_mends_it():
    sections = Sections(diagnosis=diagnosed(fault("twin", "warning", ("a=1",), "overfitting"), fault()))
    verdict = run(network("snn", 0.7), network("twin", 0.95), sections=sections)
    assert verdict.answer == "not_trained"
    assert verdict.headline == "No answer: the spiking network did not train properly (learning rate too high)."
    assert verdict.remedy == (
        "spikewise compare --config runs/compare-toy-1/experiment.toml --set train.learning_rate=0.0003"
    )
    assert verdict.outcome == "spiking_worse"


def test_a_network_that_loses_gets_the_setting_that_might_help_it():
    found = diagnosed(fault("snn", "warning"))
    verdict = run(network("snn", 0.7, 200.0), network("twin", 0.95), sections=Sections(diagnosis=found))
    assert verdict.answer == "no"
    assert "--set train.learning_rate=0.0003" in verdict.remedy
    assert "The spiking network might do better: It rose. Lower it." in verdict.grounds
    unseen = run(network("snn", 0.7, 200.0), network("twin", 0.95))
    assert (unseen.answer, unseen.remedy) == ("no", None)
    fine = run(network("snn", 0.95, 200.0), network("twin", 0.95), sections=Sections(diagnosis=found))
    assert fine.remedy is None


def test_an_untrained_opponent_spoils_a_yes_but_not_a_no():
    collapsed = [ALL_ALIKE, *[((45, 5), (5, 45))] * 2]
    broken = network("cnn", 0.6, confusion=collapsed)
    verdict = run(network("snn", 0.95, 25.0), network("twin", 0.9), broken)
    assert verdict.answer == "not_trained"
    assert "the small CNN learned nothing" in verdict.headline
    verdict = run(network("snn", 0.9, 180.0), network("twin", 0.9), broken)
    assert verdict.answer == "as_good_but_dearer"
    assert verdict.headline.endswith(
        "1.8 times its energy; the small CNN learned nothing in 1 of 3 trainings (seed 0)."
    )
    verdict = run(network("snn", 0.85, 200.0), network("twin", 0.9), broken)
    assert verdict.answer == "no"
    assert verdict.headline.startswith("No. The same network without spikes is 5.0 points more accurate")
    assert verdict.headline.endswith("; the small CNN learned nothing in 1 of 3 trainings (seed 0).")


def test_a_network_no_better_than_sixteen_grey_areas_did_not_train():
    sides = network("snn", 0.7, 25.0), network("twin", 0.9)
    verdict = run(*sides, sections=Sections(audit=audited(0.8)))
    assert verdict.answer == "not_trained"
    assert "the spiking network is no better than what 16 grey areas (4 x 4 pixels) alone tell" in verdict.headline
    assert run(*sides, sections=Sections(audit=audited(0.6))).answer == "cheaper_but_worse"
    assert run(*sides, sections=Sections(audit=audited(0.8, clue="file name"))).answer == "cheaper_but_worse"
    # Classes that little tells nearly perfectly are easy: only a network that is surely worse is broken then.
    close = network("snn", 0.97, 25.0), network("twin", 0.97)
    assert run(*close, sections=Sections(audit=audited(0.975, low=0.96))).answer == "as_good_and_cheaper"
    assert run(*close, sections=Sections(audit=audited(0.99, low=0.98))).answer == "not_trained"


def test_a_test_part_of_another_kind_than_the_rest_is_no_sign_of_a_bad_training():
    """The clue's figure is of all parts together; on validation images, of the kind of most, the network did better."""
    spiking = network("snn", 0.79, 25.0)
    runs = tuple(one.model_copy(update={"validation": {"balanced_accuracy": 0.95}}) for one in spiking.runs)
    spiking, clue = spiking.model_copy(update={"runs": runs}), Sections(audit=audited(0.914))
    assert run(spiking, network("twin", 0.95), sections=clue).answer == "cheaper_but_worse"
    assert run(network("snn", 0.79, 25.0), network("twin", 0.95), sections=clue).answer == "not_trained"
    # What decided is what is said: the better of the two figures, and where it is from.
    runs = tuple(one.model_copy(update={"validation": {"balanced_accuracy": 0.9}}) for one in spiking.runs)
    worse = run(spiking.model_copy(update={"runs": runs}), network("twin", 0.95), sections=clue)
    assert "(90.0 against 91.4 % mean recall on validation images)" in worse.headline


def test_what_makes_figures_wrong_is_a_reservation_in_the_headline():
    sides = network("snn", 0.9, 25.0), network("twin", 0.9)
    assert run(*sides).headline.endswith("a quarter of its energy.")
    for rest in (
        {"data": data(overlap=Overlap(duplicates=3))},
        {"protocol": Protocol(seeds=(0, 1, 2), epochs=1, test_opened=9)},
        {"sections": Sections(audit=audited(0.5, grave=(Found(check="x", severity="red", title="T", effect="E"),)))},
    ):
        verdict = run(*sides, **rest)
        assert verdict.headline.endswith("; with reservations.")
        assert verdict.answer == "as_good_and_cheaper"


def test_what_is_no_answer_has_no_reservations():
    leaks = data(overlap=Overlap(duplicates=3))
    verdict = run(network("snn", 0.9, seeds=1), network("twin", 0.9, seeds=1), significant=None, data=leaks)
    assert verdict.answer == "cannot_tell"
    assert "reservations" not in verdict.headline
    assert any("in more than one part of the split" in one for one in verdict.grounds)


def test_before_the_sections_the_grounds_say_what_may_still_change_the_answer():
    sides = network("snn", 0.9, 25.0), network("twin", 0.9)
    verdict = run(*sides, examined=(), planned=("yardsticks", "anytime", "diagnosis"))
    assert verdict.grounds[-1] == (
        "Still to come, and the answer may change with it: simple classifiers, early exit, which may lower the energy "
        "and the diagnosis, which may find that a side did not train properly."
    )
    later = run(*sides, sections=Sections(diagnosis=diagnosed()), planned=("diagnosis",))
    assert not any("Still to come" in one for one in later.grounds)
    assert not any("sections changed that" in one for one in later.grounds)


def test_a_section_that_was_left_out_is_named_with_the_reason():
    why = "it takes about 2 min, and 10 s are left for sections; `spikewise anytime RUN` makes it"
    verdict = run(network("snn", 0.9), network("twin", 0.9), sections=Sections(skipped={"anytime": why}))
    assert verdict.grounds[-1] == (
        f"Left out, and the answer might change with it: early exit, which may lower the energy ({why})."
    )


def test_subjects_are_told_as_the_unit():
    verdict = run(network("snn", 0.9), network("twin", 0.9), data=data(subjects=12))
    assert any("does not keep subjects apart" in one for one in verdict.grounds)


def test_a_command_shows_no_absolute_path():
    assert place_of("compare", Path("/home/somebody/runs/compare-x-1")) == RunPlace("compare", Path("compare-x-1"))
    assert place_of("compare", Path("runs/compare-x-1")).folder == Path("runs/compare-x-1")


def test_every_answer_has_words():
    assert set(ANSWER_WORDS) == set(Verdict.model_fields["answer"].annotation.__args__[0].__args__)


ENERGIES = st.dictionaries(
    st.sampled_from([DENSE, SKIPPED, "45 nm with memory", "Loihi"]), st.floats(1, 1000), min_size=1
)


@settings(max_examples=300, deadline=None)
@given(
    accuracies=st.lists(st.floats(0.4, 0.999), min_size=1, max_size=3),
    energies=st.lists(ENERGIES, min_size=3, max_size=3),
    half=st.floats(0.0005, 0.3),
    judged=st.sampled_from(["by the interval", "by the interval", False, None]),
    exits=st.none() | ENERGIES,
    simple=st.none() | st.floats(0.4, 0.999),
    tuned=st.booleans(),
)
def test_the_headline_never_claims_what_the_figures_do_not_support(  # noqa: PLR0917  # all that is simulated
    accuracies, energies, half, judged, exits, simple, tuned
):
    seeds = 1 if judged is None else 3
    sides = [
        network(name, one, cost, seeds=seeds) for name, one, cost in zip(ROLES, accuracies, energies, strict=False)
    ]
    snn, others = sides[0], sides[1:]
    sections = Sections(
        anytime=None if exits is None else early(exits),
        yardsticks=None if simple is None else yardsticks(simple, accuracies[0], half),
    )
    pairs = [pair(snn, other, half, significant=judged) for other in others]
    found = judge(sides, pairs, data(), sections, tuned=tuned)
    ahead = [one for one in pairs if one.significant and one.difference.mean > 0]
    behind = [one for one in pairs if one.significant and one.difference.mean < 0]
    beaten_by_simple = any(one.relation == "worse" for one in found.opponents if not one.network)
    text = found.headline + "."

    assert len(re.findall(r"[.](?:\s|$)", re.sub(r"\d\.\d", "", text))) <= 2
    assert len(text) <= 330
    assert ("more accurate than the s" in text) <= bool(ahead)
    assert ("less accurate than the s" in text) <= bool(behind)
    assert text.startswith("No. ") == (found.answer == "no")
    assert text.startswith("Yes. ") == (found.answer == "yes")
    if found.answer in ("no", "cheaper_but_worse"):
        assert behind or beaten_by_simple
    elif found.answer == "depends":
        assert not behind or found.against.cheaper_somehow
    else:
        assert not behind
    if found.answer in ("yes", "better_but_dearer"):
        assert len(ahead) == len(others) > 0
        assert ("not tuned" in text) == (not tuned)
    ratios = {
        other.name: [snn.cost.energy_nanojoule[m] / e for m, e in other.cost.energy_nanojoule.items()
                     if m in snn.cost.energy_nanojoule]
        for other in others
    }  # fmt: skip
    if found.answer == "yes":
        assert all(each and max(each) < 1.05 for each in ratios.values())
    if found.answer in ("as_good_and_cheaper", "as_good_but_dearer"):
        assert judged is not None
        level = [one for one in pairs if not one.significant]
        assert level
        if found.answer == "as_good_and_cheaper":
            assert all(-one.difference.low <= OPEN for one in level)
            assert all(ratios[one.b] and max(ratios[one.b]) < 1 for one in level)
        else:
            assert found.against.difference.high <= OPEN
            assert any(ratios[one.b] and max(ratios[one.b]) > 1.05 and min(ratios[one.b]) > 1 / 1.05 for one in level)
    if "As accurate as" in text:
        assert found.against.widest <= ALIKE
        assert found.against.pair.significant is False
    if judged is None and others and not beaten_by_simple:
        assert found.answer == "cannot_tell"

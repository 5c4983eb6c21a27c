"""What makes a verdict's other sentences moot comes first: chance, collapsed trainings, simple classifiers, faults."""

import numpy as np
import pytest

from spikewise.evaluation import CandidatePredictions, compare_all, confusion, estimate_metrics, write_verdict
from spikewise.evaluation.beside import cost_sentences, energy_agreement
from spikewise.evaluation.collapse import collapsed_run, collapsed_runs
from spikewise.evaluation.data_facts import DataFacts, Part
from spikewise.evaluation.record import Estimate
from spikewise.evaluation.results import (
    CollapsedRun,
    Cost,
    NetworkResult,
    Protocol,
    SeedResult,
    Ties,
    WithoutCollapsed,
)
from spikewise.evaluation.sections import Sections
from spikewise.evaluation.sections.anytime import Anytime, AnytimeStep, EarlyExit, NetworkAnytime
from spikewise.evaluation.sections.diagnosis import Diagnosis, NetworkFinding
from spikewise.evaluation.sections.robustness import FamilyScores, Robustness, ScoreDifference
from spikewise.evaluation.sections.yardsticks import Yardstick, YardstickDifference, Yardsticks
from spikewise.evaluation.statistics import Resampling

QUICK = Resampling(samples=400)
CLASSES = ("healthy", "sick")


def said_by(labels, answers):
    return np.stack([np.eye(2)[one] * 0.8 + 0.1 for one in answers])


def right_with(rng, labels, accuracy, seeds=3):
    return [np.where(rng.random(labels.size) < accuracy, labels, 1 - labels) for _ in range(seeds)]


def network(name, role, labels, answers, *, ties=None, cost=None):
    probabilities = said_by(labels, answers)
    rest = {
        "best_epoch": 1,
        "epochs_run": 1,
        "stopped_early": False,
        "validation": {},
        "test": {},
        "train_seconds": 1.0,
    }
    runs = [
        SeedResult(
            seed=seed,
            confusion=tuple(tuple(int(n) for n in row) for row in confusion(labels, one, 2)),
            ties=ties,
            **rest,
        )
        for seed, one in enumerate(answers)
    ]
    return NetworkResult(
        name=name,
        role=role,
        description=name,
        engine="reference",
        parameters=1,
        steps=25,
        runs=tuple(runs),
        metrics=estimate_metrics(labels, probabilities, resampling=QUICK),
        cost=cost or Cost(macs=1.0, parameters=1, bytes=4),
    )


def verdict_of(labels, snn, twin, *, without=None, sections=None, protocol=None, more=None):
    sides = [("snn", "spiking", snn), ("twin", "twin", twin)]
    networks = [network(name, role, labels, answers, **(more or {}).get(name, {})) for name, role, answers in sides]
    candidates = [CandidatePredictions(name, tuple(range(len(a))), said_by(labels, a)) for name, _, a in sides]
    pairs = compare_all(candidates, labels, main=("snn", "twin"), resampling=QUICK)
    part = Part(images=labels.size, per_class=tuple(int(n) for n in np.bincount(labels, minlength=2)))
    shape = {"classes": CLASSES, "image_shape": (1, 2, 2), "train": part, "validation": part, "test": part}
    data = DataFacts(name="toy", fingerprint="0", source="made up", **shape)
    return write_verdict(networks, pairs, data, protocol, sections=sections, collapsed=without), networks


@pytest.fixture
def labels():
    return np.arange(600) % 2


def test_two_networks_at_chance_get_that_said_first(rng, labels):
    coins = [[rng.integers(0, 2, labels.size) for _ in range(3)] for _ in range(2)]
    verdict, _ = verdict_of(labels, *coins)
    both = "The spiking network and the same network without spikes are not shown to be better than guessing"
    assert verdict.headline == f"No answer: {both[0].lower()}{both[1:]}."
    assert verdict.answer == "not_trained"
    assert f"{both}: always answering 'healthy'" in verdict.sentences[0]
    assert "are not shown to be better than guessing: always answering 'healthy'" in verdict.sentences[0]
    assert "50.00 %" in verdict.sentences[0]


def test_answering_as_often_right_as_the_most_frequent_class_is_not_learning(rng):
    """380 healthy, 20 sick: 95 % accuracy without looking."""
    labels = (np.arange(400) < 20).astype(np.int64)
    always = [np.zeros(400, dtype=np.int64)] * 2
    verdict, networks = verdict_of(labels, always, always)
    assert networks[0].metrics["accuracy"].mean == 0.95
    assert verdict.headline.startswith("No answer: the spiking network and the same network without spikes are not")
    assert "is right on 95.00 % of the test images" in verdict.sentences[0]


def test_a_network_that_learned_beside_one_that_did_not(rng, labels):
    coins = [rng.integers(0, 2, labels.size) for _ in range(3)]
    verdict, _ = verdict_of(labels, coins, right_with(rng, labels, 0.9))
    assert verdict.headline == "No answer: the spiking network is not shown to be better than guessing."
    assert verdict.outcome == "spiking_worse"
    assert verdict.sentences[0].startswith("The spiking network is not shown to be better than guessing")


def test_networks_that_learned_are_not_told_that_they_did_not(rng, labels):
    verdict, networks = verdict_of(labels, right_with(rng, labels, 0.9), right_with(rng, labels, 0.9))
    assert "guessing" not in verdict.paragraph
    assert collapsed_runs(networks) == []
    assert verdict.sentences[0].startswith("Test accuracy on")


def test_a_collapsed_seed_is_named_counted_and_left_out_beside(rng, labels):
    alike = np.zeros(labels.size, dtype=np.int64)
    snn, twin = [alike, *right_with(rng, labels, 0.9, 2)], right_with(rng, labels, 0.88)
    kept = [
        CandidatePredictions("snn", (1, 2), said_by(labels, snn[1:])),
        CandidatePredictions("twin", (0, 1, 2), said_by(labels, twin)),
    ]
    without = WithoutCollapsed(
        runs=(CollapsedRun(network="snn", seed=0, answer="healthy", share=1.0, balanced_accuracy=0.5),),
        metrics={one.name: estimate_metrics(labels, one.probabilities, resampling=QUICK) for one in kept},
        comparisons=compare_all(kept, labels, main=("snn", "twin"), resampling=QUICK),
    )
    verdict, networks = verdict_of(labels, snn, twin, without=without)
    assert [(one.network, one.seed, one.share) for one in collapsed_runs(networks)] == [("snn", 0, 1.0)]
    first, second = verdict.sentences[:2]
    assert first.startswith(
        "1 of 3 trainings of the spiking network learned nothing (seed 0): (nearly) every test image is answered"
    )
    mean = 100 * without.metrics["snn"]["accuracy"].mean
    assert f"'healthy'. Without it its accuracy is {mean:.2f} %" in first
    assert second.startswith(
        "Without the collapsed trainings the spiking network \u2212 the same network without spikes is"
    )
    assert "the figures above hold all trainings" in second
    assert verdict.headline == "No answer: the spiking network learned nothing in 1 of 3 trainings (seed 0)."
    assert verdict.grounds[:2] == (first, second)


@pytest.mark.parametrize(
    ("accuracy", "share", "collapsed"),
    [(0.5, 0.5, True), (0.9, 0.5, False), (0.55, 0.5, False), (0.5, 1.0, True), (0.5, 0.99, True)],
)
def test_a_run_has_collapsed_where_its_answers_tell_nothing(rng, labels, accuracy, share, collapsed):
    answers = right_with(rng, labels, accuracy, 1)[0]
    if accuracy == 0.5:
        answers = np.zeros(labels.size, dtype=np.int64)
        answers[: round(2 * labels.size * (1 - share))] = np.arange(round(2 * labels.size * (1 - share))) // 2 % 2
    run = network("snn", "spiking", labels, [answers]).runs[0]
    assert (collapsed_run("snn", run) is not None) == collapsed


def test_a_rare_class_that_is_found_is_no_collapse():
    """990 of 1000 images get one answer, and rightly so."""
    labels = (np.arange(1000) < 10).astype(np.int64)
    assert collapsed_run("snn", network("snn", "spiking", labels, [labels]).runs[0]) is None


def test_a_run_without_a_confusion_matrix_is_not_judged(labels):
    run = network("snn", "spiking", labels, [labels]).runs[0]
    assert collapsed_run("snn", run.model_copy(update={"confusion": ()})) is None


def yardsticks(best: float, against: tuple[float, float], names=("snn", "twin")) -> Yardsticks:
    models = [
        Yardstick(
            name=name,
            setting="C = 10",
            validation_accuracy=0.9,
            accuracy=Estimate(mean=mean, low=mean, high=mean, method=""),
        )
        for name, mean in (("guessing", 0.5), ("SVM (RBF)", best))
    ]
    differences = [
        YardstickDifference(
            network=name,
            yardstick="SVM (RBF)",
            difference=Estimate(mean=sum(against) / 2, low=against[0], high=against[1], method=""),
        )
        for name in names
    ]
    return Yardsticks(
        models=tuple(models), differences=tuple(differences), train_images=5000, of_train_images=60000, features=784
    )


@pytest.mark.parametrize(
    ("against", "answer", "words"),
    [
        (
            (-0.08, -0.02),
            "no",
            "The spiking network and the same network without spikes are less accurate than the best of these, SVM",
        ),
        ((-0.02, 0.03), "depends", "are not shown to beat the best of these, SVM (RBF) (C = 10)"),
        ((0.01, 0.05), "as_good_and_cheaper", "Simple classifiers on the same split, chosen on validation on 5,000 of"),
    ],
)
def test_simple_classifiers_stand_beside_the_networks(rng, labels, against, answer, words):
    sections = Sections(yardsticks=yardsticks(0.93, against))
    prices = {name: {"cost": cost({"arithmetic": nJ}, 1.0)} for name, nJ in (("snn", 1.0), ("twin", 2.0))}
    sides = right_with(rng, labels, 0.9), right_with(rng, labels, 0.9)
    verdict, _ = verdict_of(labels, *sides, sections=sections, more=prices)
    assert verdict.answer == answer
    assert ("an SVM with RBF kernel" in verdict.headline.replace("An", "an")) == (against[0] < 0)
    assert words in verdict.paragraph
    assert ("beat" in verdict.paragraph) == (against[0] < 0 < against[1])


def test_what_the_diagnosis_calls_serious_is_in_the_verdict(rng, labels):
    told = {"network": "snn", "seeds": (0, 1), "text": "The encoder sends nothing.", "advice": "Lower its threshold."}
    findings = (
        NetworkFinding(code="input_silent", severity="serious", evidence={}, **told),
        NetworkFinding(code="overfitting", severity="warning", evidence={}, **{**told, "text": "By heart."}),
    )
    sections = Sections(diagnosis=Diagnosis(findings=findings, images=64, chance=0.5))
    verdict, _ = verdict_of(labels, right_with(rng, labels, 0.9), right_with(rng, labels, 0.9), sections=sections)
    assert verdict.sentences[0] == (
        "The spiking network (seeds 0 and 1) has a serious fault: The encoder sends nothing. Lower its threshold."
    )
    assert "By heart." not in verdict.paragraph
    assert verdict.headline == "No answer: the spiking network did not train properly (input silent)."


def test_ties_are_told_and_silent_outputs_are_a_reservation(rng, labels):
    answers = right_with(rng, labels, 0.9), right_with(rng, labels, 0.9)
    tied = {"snn": {"ties": Ties(tied=0.07, silent=0.0, undecided=0.002)}}
    verdict, _ = verdict_of(labels, *answers, more=tied)
    assert "For 7.00 % of the test images several classes share the highest output of the spiking" in verdict.paragraph
    assert "in 0.20 % they are equal, too, and one of the equals was drawn" in verdict.paragraph
    assert "reservations" not in verdict.headline
    silent = {"snn": {"ties": Ties(tied=0.07, silent=0.05, undecided=0.0)}}
    verdict, _ = verdict_of(labels, *answers, more=silent)
    assert verdict.sentences[0] == "No output neuron of the spiking network spikes for 5.00 % of the test images."


def test_several_spikes_at_once_are_told(rng, labels):
    sums = Cost(macs=1.0, parameters=1, bytes=4, several_spikes=True)
    answers = right_with(rng, labels, 0.9), right_with(rng, labels, 0.9)
    verdict, _ = verdict_of(labels, *answers, more={"snn": {"cost": sums}})
    assert "In the spiking network more than one spike may arrive at an input in one step" in verdict.paragraph
    plain, _ = verdict_of(labels, *answers)
    assert "more than one spike" not in plain.paragraph


def test_openings_in_other_run_folders_are_a_reservation(rng, labels):
    protocol = Protocol(seeds=(0, 1, 2), epochs=1, test_opened=6, opened_elsewhere=18)
    verdict, _ = verdict_of(labels, right_with(rng, labels, 0.9), right_with(rng, labels, 0.9), protocol=protocol)
    assert "were opened 18 times in other run folders beside this one" in verdict.paragraph
    assert any("opened 18 times" in ground for ground in verdict.grounds)


def cost(energies, throughput, even=None):
    return Cost(
        macs=1.0,
        parameters=1,
        bytes=4,
        energy_nanojoule=energies,
        throughput_images_per_second=throughput,
        break_even_spikes_per_synapse_and_step=even or {},
    )


def test_what_decides_beside_accuracy_is_in_the_verdict(rng, labels):
    ours = cost({"arithmetic": 174.0, "integers": 8.0}, 1000.0, {"integers": 0.0, "arithmetic": 0.1})
    theirs = cost({"arithmetic": 300.0, "integers": 6.0}, 12_800.0)
    loss = Estimate(mean=-0.035, low=-0.05, high=-0.02, method="")
    family = FamilyScores(
        family="corruptions",
        images=100,
        seeds=3,
        chance=0.5,
        clean=(),
        scores=(),
        differences=(ScoreDifference(a="snn", b="twin", difference=loss, p=0.001),),
    )
    exit_ = EarlyExit(
        tolerance=0.005,
        thresholds=(0.9,),
        accuracy=Estimate(mean=0.9, method=""),
        difference=Estimate(mean=-0.004, method=""),
        steps=Estimate(mean=8.0, method=""),
        exits=(1.0,),
        macs=1,
        synaptic_operations=1,
        state_updates=1,
        energy_nanojoule={"arithmetic": 54.0, "integers": 6.5},
    )
    work = {"macs": 1, "synaptic_operations": 1, "state_updates": 1}
    curve = (AnytimeStep(step=1, accuracy=exit_.accuracy, accuracy_per_seed=(0.9,), **work),)
    anytime = Anytime(
        networks=(
            NetworkAnytime(network="snn", counted_images=1, stream_step_ms=0.1, curve=curve, early_exit=(exit_,)),
        ),
        options=(),
        tolerance=0.005,
        energy_model="arithmetic",
    )
    sections = Sections(robustness=Robustness(families=(family,), disturbances=()), anytime=anytime)
    sides = {"snn": {"cost": ours}, "twin": {"cost": theirs}}
    answers = right_with(rng, labels, 0.9), right_with(rng, labels, 0.9)
    verdict, _ = verdict_of(labels, *answers, sections=sections, more=sides)
    told = verdict.paragraph
    assert (
        "The energy models do not agree: the spiking network is cheaper by 'arithmetic' and the "
        "same network without spikes is cheaper by 'integers'."
    ) in told
    assert "By 'integers' no rate of spikes would make the spiking network as cheap as its twin." in told
    assert (
        "the spiking network answers 1,000 images per second and the same network without spikes 12,800, 12.8 times "
        "fewer." in told
    )
    assert (
        "The spiking network keeps less of its accuracy above chance than the same network without spikes with "
        "damaged images (3.50 points" in told
    )
    assert "With early exit the spiking network takes 8 of 25 steps on average" in told
    assert "54 nJ against 300 nJ by 'arithmetic' and 6.5 nJ against 6 nJ by 'integers'" in told


def test_models_that_call_two_energies_about_the_same_are_not_said_to_disagree():
    def costing(name, **energies):
        cost = Cost(macs=1, parameters=1, bytes=1, energy_nanojoule=energies)
        return one_network(name, cost)

    a, b = costing("snn", arithmetic=100.0, integers=100.0), costing("twin", arithmetic=200.0, integers=99.0)
    assert energy_agreement(a, b) == []
    dear = costing("twin", arithmetic=200.0, integers=90.0)
    assert "cheaper by 'integers'" in energy_agreement(a, dear)[0]


def test_the_additions_of_residual_sums_are_told_among_the_operations():
    cost = Cost(macs=400, synaptic_operations=7000, state_updates=30, additions=5200, parameters=1, bytes=1)
    told = cost_sentences(one_network("snn", cost), one_network("twin", Cost(macs=9, parameters=1, bytes=1)))[0]
    assert "7,000 additions for spikes, 30 membrane updates, 5,200 additions of residual sums and 400 multiply" in told
    assert "The same network without spikes does 9 multiply-accumulates per image." in told


def one_network(name, cost):
    return NetworkResult(
        name=name, role="spiking", description="", engine="", parameters=1, steps=1, runs=(), metrics={}, cost=cost
    )

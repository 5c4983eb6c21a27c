"""The relative score where it is known, and whole examinations of networks that are perfect, blind or deaf."""

import tracemalloc

import numpy as np
import pytest
import torch

from spikewise.dynamics import LIF, LeakyIntegrator
from spikewise.encoders import Direct, Latency, Rate
from spikewise.errors import ConfigError, ShapeError
from spikewise.evaluation.robustness import (
    Images,
    RobustnessScope,
    TrainedCandidate,
    correct_answers,
    examine,
    merged,
    parse_families,
)
from spikewise.evaluation.robustness.score import RESAMPLING, difference, estimate, mean_of, relative_scores
from spikewise.evaluation.sections.robustness import FAMILIES
from spikewise.evaluation.statistics import image_weights, resampling
from spikewise.graph import Activation
from spikewise.models import MLP, build
from spikewise.network import Network
from spikewise.readouts import LastMembrane, MaxMembrane

CHANCE = 0.25


def answers(shares, images=400, seeds=3):
    """Right answers [L, S, N] with exactly these shares, at places that differ between seeds."""
    rng = np.random.default_rng(7)
    rows = [[rng.permutation(images) < share * images for _ in range(seeds)] for share in shares]
    return np.array(rows)


def score(clean, disturbed, chance):
    return relative_scores({"one": clean}, [{"one": disturbed}], chance)[0]["one"]


def test_an_unaffected_network_scores_one_and_a_guessing_one_zero():
    clean = answers([0.9])[0]
    untouched = score(clean, np.stack([clean] * 5), CHANCE)
    assert estimate(untouched).mean == 1
    assert untouched.draws == pytest.approx(1)
    guessing = score(clean, answers([CHANCE] * 5), CHANCE)
    assert estimate(guessing).mean == pytest.approx(0, abs=1e-12)
    found = estimate(guessing)
    assert found.low < 0 < found.high


def test_the_score_is_the_mean_over_strengths_of_what_is_left_above_chance():
    clean = answers([0.75])[0]
    found = score(clean, answers([0.75, 0.5, 0.25]), CHANCE)
    assert found.per_seed == pytest.approx([0.5] * 3)


def test_a_network_at_chance_has_no_score():
    clean = answers([0.27])[0]
    assert score(clean, answers([0.2]), CHANCE) is None
    assert mean_of([None, score(answers([0.9])[0], answers([0.5]), CHANCE)]) is None
    assert mean_of([]) is None
    assert estimate(None) is None


def test_intervals_cover_the_truth_as_often_as_they_say():
    """Images are drawn anew; each network keeps a right answer with probability 1/2: the truth is
    (0.8 * 0.5 - 0.25) / (0.8 - 0.25)."""
    truth, inside, trials = (0.4 - CHANCE) / (0.8 - CHANCE), 0, 120
    for trial in range(trials):
        rng = np.random.default_rng(trial)
        clean = rng.random((1, 300)) < 0.8
        kept = clean[None] & (rng.random((2, 1, 300)) < 0.5)
        found = estimate(score(clean, kept, CHANCE))
        inside += found.low <= truth <= found.high
    # 95 % nominal; five standard errors below
    assert inside / trials > 0.95 - 5 * (0.05 * 0.95 / trials) ** 0.5


def test_a_network_that_keeps_more_is_ahead_by_the_difference_of_the_scores():
    clean = answers([0.9])[0]
    strong, weak = (score(clean, answers([share]), CHANCE) for share in (0.8, 0.5))
    found = difference(strong, weak)
    assert found.estimate.mean == pytest.approx(0.3 / 0.65)
    assert found.estimate.low > 0
    assert found.p < 0.05
    same = difference(strong, strong)
    assert same.estimate.mean == 0


@pytest.mark.parametrize("subjects", [None, 4_000], ids=["images", "subjects"])
def test_scores_are_those_of_all_resamples_at_once_to_the_last_bit(subjects):
    images = 12_500  # more than are resampled 500 times at once
    groups = None if subjects is None else np.random.default_rng(0).integers(0, subjects, images)
    clean = {"snn": answers([0.9], images, 2)[0], "twin": answers([0.8], images, 1)[0]}
    disturbed = [
        {"snn": answers([0.7, 0.5, 0.2], images, 2), "twin": answers([0.8, 0.7, 0.1], images, 1)},
        {"snn": answers([0.9, 0.3], images, 2)},
    ]
    found = relative_scores(clean, disturbed, CHANCE, groups)
    whole = image_weights(groups, images, RESAMPLING)
    shares = whole / whole.sum(1, keepdims=True)
    assert [list(one) for one in found] == [["snn", "twin"], ["snn"]]
    for scores, under in zip(found, disturbed, strict=True):
        for name, right in under.items():
            before, after = shares @ clean[name].T.astype(np.float64), shares @ right.mean(0).T
            assert np.array_equal(scores[name].draws, (after - CHANCE) / (before - CHANCE))


def test_memory_of_scores_does_not_grow_with_the_resamples(monkeypatch):
    monkeypatch.setattr(resampling, "_AT_ONCE", 800_000)  # 6 MiB; all resamples of these images are 153
    clean = answers([0.9], 40_000, 1)[0]
    disturbed = [{"one": answers([0.8, 0.6], 40_000, 1)}] * 3
    tracemalloc.start()
    try:
        relative_scores({"one": clean}, disturbed, CHANCE)
        assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    finally:
        tracemalloc.stop()


# -- whole examinations ------------------------------------------------------------------------------------------------


def halves(count=60):
    """Bright above or bright below: class 0 or 1."""
    rng = np.random.default_rng(2)
    labels = np.arange(count) % 2
    pixels = rng.integers(0, 40, size=(count, 1, 8, 8), dtype=np.uint8)
    for image, label in zip(pixels, labels, strict=True):
        image[0, 4 * label : 4 * label + 4] += 180
    return Images(pixels, labels, np.arange(1000, 1000 + count))


def conventional(name="twin", seeds=(0, 1)):
    """Two hidden units that look at one half each: knows the answer without training."""
    model = MLP(hidden=(8,), cell=Activation(), output="none")
    graph = build(model, Direct(steps=1), LastMembrane(), image_shape=(1, 8, 8), classes=2)
    return TrainedCandidate(name, [knowing(graph, seed) for seed in seeds], seeds)


def spiking(name="snn", encoder=None, seeds=(0, 1)):
    model = MLP(hidden=(8,), cell=LIF(), output=LeakyIntegrator())
    graph = build(model, encoder or Rate(steps=8), MaxMembrane(), image_shape=(1, 8, 8), classes=2)
    return TrainedCandidate(name, [knowing(graph, seed) for seed in seeds], seeds)


def knowing(graph, seed):
    network = Network(graph, seed=seed)
    first, second = torch.zeros(8, 64), torch.zeros(2, 8)
    for unit in range(8):
        half = unit % 2
        first[unit, 32 * half : 32 * half + 32] = 0.1
        first[unit, 32 * (1 - half) : 32 * (1 - half) + 32] = -0.1
        second[half, unit] = 0.5
    weights = {"linear1.weight": first, "linear1.bias": torch.zeros(8), "linear2.weight": second,
               "linear2.bias": torch.zeros(2)}  # fmt: skip
    network.load_state_dict({**network.state_dict(), **weights})
    return network


@pytest.fixture(scope="module")
def examined():
    return examine([spiking(), conventional()], halves(), RobustnessScope(), attack_from="twin")


def of(record, name):
    return next(one for one in record.disturbances if one.name == name)


def test_every_family_is_there_with_what_it_was_made_from(examined):
    record = examined.record
    assert [one.family for one in record.families] == list(FAMILIES)
    assert all(one.images == 60 and one.chance == 0.5 for one in record.families)
    assert [one.seeds for one in record.families] == [2, 2, 2, 2, 1]
    assert all(curve.accuracy == (1.0,) for one in record.families for curve in one.clean)
    for one in record.disturbances:
        assert all(len(curve.accuracy) == len(one.strengths) for curve in one.curves)


def test_a_blur_leaves_bright_halves_where_they_are(examined):
    curve = of(examined.record, "blur").curves[1]
    assert curve.network == "twin"
    assert curve.accuracy[0] == 1.0
    assert curve.score.mean > 0.9


def test_spikes_are_disturbed_for_the_spiking_network_alone_and_the_rest_is_said(examined):
    family = next(one for one in examined.record.families if one.family == "spikes")
    assert [curve.network for curve in of(examined.record, "spike_deletion").curves] == ["snn"]
    assert {one.network: one.score is None for one in family.scores} == {"snn": False, "twin": True}
    assert "twin" in family.left_out[0]
    assert not family.differences


def test_eight_units_of_two_kinds_stand_a_fair_loss_and_quantisation_does_them_nothing(examined):
    assert all(curve.accuracy == (1.0, 1.0, 1.0) for curve in of(examined.record, "quantisation").curves)
    assert of(examined.record, "dead_neurons").curves[1].accuracy[0] == 1.0


def test_gradients_checks_and_transfer_stand_beside_the_attacks(examined):
    record = examined.record
    counted = {one.name: one.counted for one in record.disturbances if one.family == "attacks"}
    assert counted == {"fgsm": True, "pgd": True, "search": False, "random_signs": False, "pgd_from_twin": False}
    assert [curve.network for curve in of(record, "pgd_from_twin").curves] == ["snn"]
    attacks = record.families[-1]
    assert all(one.usable and one.zero_gradients is not None for one in attacks.gradients)


def test_a_latency_code_is_attacked_by_search_and_so_is_everybody_then():
    scope = RobustnessScope(images=12, families=("attacks",))
    record = examine([spiking(encoder=Latency(steps=8)), conventional()], halves(), scope, attack_from="twin").record
    counted = [one.name for one in record.disturbances if one.counted]
    assert counted == ["search"]
    assert "latency" in record.families[0].left_out[0]
    assert record.families[0].images == 12
    assert record.families[0].differences


def test_examples_show_the_same_image_under_each_corruption(examined):
    assert (examined.examples["original"] == halves().pixels[0]).all()
    assert len(examined.examples) == 11
    assert np.abs(examined.examples["attack"].astype(int) - halves().pixels[0].astype(int)).max() <= 32


def test_clean_and_changed_pixels_meet_the_same_random_numbers():
    one, images = spiking(), halves()
    alone = correct_answers(one.networks[0], images, seed=0)
    again = correct_answers(one.networks[0], images, seed=0, pixels=images.pixels.copy())
    assert (alone == again).all()
    with pytest.raises(ShapeError, match="keep the shape"):
        correct_answers(one.networks[0], images, seed=0, pixels=images.pixels[:3])


def test_families_made_again_replace_the_old_ones_and_the_others_stay(examined):
    scope = RobustnessScope(images=10, families=("neurons",))
    fresh = examine([spiking(), conventional()], halves(), scope).record
    both = merged(examined.record, fresh)
    assert [one.family for one in both.families] == list(FAMILIES)
    assert {one.family: one.images for one in both.families} == dict.fromkeys(FAMILIES, 60) | {"neurons": 10}
    assert len(both.disturbances) == len(examined.record.disturbances)
    assert merged(None, fresh) == fresh


def test_a_network_without_hidden_neurons_leaves_the_family_out_and_says_so():
    graph = build(MLP(hidden=(), output="none"), Direct(steps=1), LastMembrane(), image_shape=(1, 8, 8), classes=2)
    bare = TrainedCandidate("bare", [Network(graph)], (0,))
    record = examine([bare], halves(), RobustnessScope(families=("neurons",))).record
    assert not record.disturbances
    assert "bare" in record.families[0].left_out[0]


def test_unknown_families_and_empty_examinations_are_refused():
    assert parse_families(["attacks", "corruptions"]) == ("corruptions", "attacks")
    with pytest.raises(ConfigError, match="Did you mean 'weights'"):
        parse_families(["weight"])
    with pytest.raises(ShapeError, match="needs networks and images"):
        examine([], halves(), RobustnessScope())

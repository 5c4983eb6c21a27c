"""Effects of factors on tables whose effects are known."""

import itertools

import numpy as np
import pytest

from spikewise.experiments import sweep_figures
from spikewise.experiments.sweep import Claim
from spikewise.experiments.sweep_effects import answer, choose, complete, difference, differences, few_seeds, mean_over
from spikewise.experiments.sweep_figures import FigureScope, draw

LABELS = {"size": ("1", "2", "3", "4", "5", "6", "7", "8"), "mode": ("off", "on")}


def table(effect: float, *, noise: float = 0.002, seeds: int = 3, seed: int = 0):
    rng = np.random.default_rng(seed)
    rows = []
    for size, mode, run in itertools.product(LABELS["size"], LABELS["mode"], range(seeds)):
        value = 0.5 + 0.03 * int(size) + effect * (mode == "on") + rng.normal(0, noise)
        rows.append(
            {"run": f"{size}-{mode}", "size": size, "mode": mode, "network": "snn", "seed": run, "status": "done",
             "validation_accuracy": value, "test_accuracy": value}
        )  # fmt: skip
    return rows


def measured(rows):
    return difference(rows, tuple(LABELS), "mode", ("on", "off"), "accuracy")


def test_the_difference_is_that_of_matched_pairs():
    found = measured(table(-0.02, noise=0))
    assert found.estimate.mean == pytest.approx(-0.02, abs=1e-12)
    assert (found.pairs, found.configurations) == (24, 8)


def test_an_effect_is_said_with_its_interval_and_pairs():
    found = measured(table(-0.02))
    assert found.clear
    assert found.estimate.low < -0.02 < found.estimate.high < 0
    sentence = found.sentence("accuracy")
    assert sentence.startswith("mode on instead of off costs ")
    assert "95 % interval" in sentence
    assert sentence.endswith("over 24 matched pairs.")
    assert "adds" in measured(table(0.02)).sentence("accuracy")


def test_no_effect_is_not_said_to_be_one():
    found = measured(table(0.0, noise=0.01))
    assert found.clear is False
    assert "no clear effect" in found.sentence("accuracy")


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    inside = [
        found.estimate.low <= 0.01 <= found.estimate.high
        for found in (measured(table(0.01, noise=0.01, seeds=2, seed=k)) for k in range(200))
    ]
    assert np.mean(inside) > 0.88  # 95 % less what 8 configurations and 200 trials allow


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_intervals_hold_the_truth_where_a_seed_favours_a_level_everywhere(seeds):
    rng = np.random.default_rng(seeds)
    inside = []
    for _ in range(150):
        shared, own = rng.normal(0, 0.01, (seeds, 1)), rng.normal(0, 0.01, (seeds, 12))
        found = mean_over({(at, seed): value for (seed, at), value in np.ndenumerate(shared + own)})
        inside.append(found.low <= 0 <= found.high)
    assert np.mean(inside) > 0.88


def test_configurations_without_all_seeds_are_left_out_where_that_leaves_enough():
    whole = {(at, seed): 0.1 * at + 0.01 * seed for at in range(4) for seed in range(3)}
    assert complete(whole) == whole
    assert complete({**whole, (4, 0): 9.0}) == whole
    begun = {(at, seed): 1.0 * seed for at in range(6) for seed in range(3) if seed < 2 or at == 0}
    assert set(complete(begun)) == {(at, seed) for at in range(6) for seed in range(2)}
    alone = {(0, 0): 0.1, (1, 1): 0.2, (2, 2): 0.3}
    assert complete(alone) == alone
    one = {(0, seed): 0.1 * seed for seed in range(3)}
    assert complete(one) == one
    assert "Student t over 3 seeds" in mean_over(one).method


def test_figures_that_differ_by_the_seed_alone_have_the_interval_of_the_seeds():
    found = mean_over({(at, seed): 0.1 * seed for at in range(4) for seed in range(3)})
    assert found.low < 0.1 < found.high
    assert "Student t over 3 seeds" in found.method


def test_a_sweep_of_few_seeds_says_what_it_cannot_say():
    assert "the luck of its first weights" in few_seeds(table(0.0, seeds=1))
    assert "hardly any effect is clear" in few_seeds(table(0.0, seeds=2))
    assert few_seeds(table(0.0, seeds=3)) == ""
    assert few_seeds([{**row, "status": "failed"} for row in table(0.0, seeds=1)]) == ""


def test_unfinished_cells_have_no_pairs():
    rows = [row for row in table(0.1) if row["size"] == "1"]
    for row in rows:
        if row["mode"] == "on":
            row["status"] = "failed"
    assert measured(rows) is None
    assert differences(rows, LABELS, "accuracy") == []


def test_one_pair_or_pairs_that_are_all_alike_give_no_interval():
    rows = [row for row in table(0.1) if row["size"] == "1" and row["seed"] == 0]
    assert "too few for an interval" in measured(rows).sentence("accuracy")
    assert mean_over({("a", 0): 0.01, ("b", 0): 0.01}).low is None


def test_a_factor_with_several_levels_is_compared_with_its_first():
    found = [one for one in differences(table(0.0), LABELS, "accuracy") if one.factor == "size"]
    assert [(one.first, one.second) for one in found] == [(str(k), "1") for k in range(2, 9)]
    assert found[-1].estimate.mean == pytest.approx(0.21, abs=0.01)


def test_validation_alone_chooses():
    rows = table(0.0, noise=0)
    for row in rows:
        if row["run"] == "1-off":
            row["test_accuracy"] = 1.0
    (choice,) = choose(rows, tuple(LABELS), "accuracy")
    assert choice.levels["size"] == "8"
    assert choice.test == choice.validation == pytest.approx(0.74)
    assert "validation chooses size 8" in choice.sentence("accuracy")


def test_a_claim_is_answered_over_all_cells_and_within_each_level():
    claim = Claim(statement="On is better", factor="mode", levels=("on", "off"), by="size")
    found = answer(claim, table(0.02), LABELS, "accuracy")
    assert [where for where, _ in found.measured] == ["all cells", *(f"size {k}" for k in range(1, 9))]
    assert "over 24 matched pairs" in found.measured[0][1]
    assert "over 3 matched pairs" in found.measured[1][1]


def test_differences_are_those_of_each_pair_of_levels():
    rows = table(0.01)
    alone = [
        difference(rows, tuple(LABELS), factor, (other, first), "accuracy")
        for factor, (first, *rest) in LABELS.items()
        for other in rest
    ]
    assert repr(differences(rows, LABELS, "accuracy")) == repr(alone)


class Counted(dict):
    """A row that counts how often it is looked at."""

    looks = 0

    def get(self, key, default=None):
        Counted.looks += 1
        return super().get(key, default)


def test_a_factor_of_many_levels_is_gone_through_once(monkeypatch):
    """And drawn as far as there is room, which the captions say."""
    monkeypatch.setattr(sweep_figures, "_LINES", 20)
    labels = {"size": tuple(str(number) for number in range(150))}
    rows = [
        Counted(
            run=label, size=label, network="snn", seed=seed, status="done", test_accuracy=0.5 + seed * int(label) / 1e3
        )
        for label in labels["size"]
        for seed in (0, 1)
    ]
    Counted.looks = 0
    found = differences(rows, labels, "accuracy")
    assert len(found) == 149
    drawn = {one.name: one for one in draw(FigureScope("accuracy", "level", labels), rows, [], found)}
    assert Counted.looks < 20 * len(rows)
    assert "The first 20 of 149." in drawn["differences"].caption
    assert "the first 20 levels" in drawn["factors"].caption
    assert [len(drawn[name].figure.axes[0].get_yticks()) for name in ("differences", "factors")] == [20, 20]

"""The section of paired tests shows every p, every figure and every run that the results hold."""

import re

import pytest
from fake import ROLES, made, results

from spikewise.evaluation import Results, SeedResult, Thresholded, wilson
from spikewise.report import render
from spikewise.report.numbers import p_value
from spikewise.report.paired import details, runs_alone, thresholds


def text_of(html):
    section = html[html.index('<section id="tests"') : html.index('<section id="comparison"')]
    return " ".join(re.sub(r"<[^>]+>", " ", section).split())


@pytest.fixture(scope="module")
def two_classes():
    return results(classes=("cat", "dog"), seeds=(0, 1), epochs=2, networks=ROLES[:2])


def with_thresholds(run):
    test = {"balanced_accuracy": 0.875, "recall": 0.75, "specificity": 1.0, "accuracy": None}
    networks = []
    for network in run.networks:
        runs = [
            SeedResult(**{**dict(one), "thresholded": Thresholded(threshold=0.25 + 0.125 * k, test=test)})
            for k, one in enumerate(network.runs)
        ]
        networks.append(network.model_copy(update={"runs": tuple(runs)}))
    return run.model_copy(update={"networks": tuple(networks)})


def test_every_figure_of_a_pair_is_shown(two_classes):
    pair, shown = two_classes.comparisons[0], text_of(render(two_classes))
    for p in (pair.p, pair.p_interval, pair.p_adjusted, pair.others["auc"].p_images):
        assert p_value(p) in shown
    assert f"{100 * pair.detectable:.2f} points or more" in shown
    others = details([pair], two_classes.data.positive)[0].others
    assert len(others) == len(pair.others)
    for one in others:
        assert f"{one.label} " in shown
        assert one.difference in shown


def test_a_figure_without_an_interval_says_why(two_classes):
    pair = two_classes.comparisons[0]
    bare = pair.others["auc"].difference.model_copy(update={"low": None, "high": None, "method": "no interval: so"})
    other = pair.others["auc"].model_copy(update={"difference": bare, "p": None, "p_images": None})
    row = details([pair.model_copy(update={"others": {"auc": other}})])[0].others[0]
    assert (row.ends, row.p, row.note) == ("", "–", "no interval: so")


def test_every_run_has_wilsons_interval_unless_subjects_are_known(two_classes):
    rows = runs_alone(two_classes)
    assert [(row.network, row.seed) for row in rows] == [(n.name, s.seed) for n in two_classes.networks for s in n.runs]
    low, high = wilson(rows[0].right, rows[0].images)
    assert rows[0].ends == f"{100 * low:.2f} to {100 * high:.2f}"
    known = two_classes.model_copy(update={"data": two_classes.data.model_copy(update={"subjects": 9})})
    assert all(row.ends == "" for row in runs_alone(known))
    assert "images of one subject are no independent trials" in text_of(render(known))


def test_thresholds_chosen_on_validation_stand_beside_one_half(two_classes):
    found = thresholds(with_thresholds(two_classes))
    assert [row[1] for row in found.rows] == ["0.5", "chosen: 0.25, 0.375"] * 2
    assert found.rows[1][2] == ("87.50 %", "75.00 %", "100.00 %", "–")
    assert "With a threshold chosen on validation" in text_of(render(with_thresholds(two_classes)))
    assert "With a threshold chosen on validation" not in text_of(render(made()))


def test_figures_of_one_class_name_it_wherever_they_stand(two_classes):
    for positive in two_classes.data.classes:
        data = two_classes.data.model_copy(update={"positive": positive})
        page = render(with_thresholds(two_classes.model_copy(update={"data": data})))
        shown = " ".join(re.sub(r"<[^>]+>", " ", page).split())
        for label in ("Recall of", "Precision of", "F1 of"):
            assert f"{label} ‘{positive}’" in shown
        assert f"Specificity, ‘{positive}’ positive" in shown
        assert f"A network answers “{positive}” when its probability exceeds 0.5" in shown
        assert "positive class" not in shown


def test_a_run_of_before_names_the_class_that_its_figures_are_about(two_classes):
    old = two_classes.model_dump(mode="json")
    del (
        old["data"]["positive"],
        old["data"]["positive_why"],
        old["data"]["subjects_rule"],
        old["data"]["subjects_trust"],
    )
    assert Results.model_validate(old).data.positive == "dog"
    assert made().data.positive is None, "of more than two classes none is positive"


def test_a_second_opening_of_the_test_set_is_shown(two_classes):
    opened = two_classes.protocol.model_copy(update={"test_opened": 7})
    shown = " ".join(re.sub(r"<[^>]+>", " ", render(two_classes.model_copy(update={"protocol": opened}))).split())
    assert "The test set was opened more than once a run" in shown
    assert "7 times, by 4 trained networks" in shown

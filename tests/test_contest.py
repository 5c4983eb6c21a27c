"""Networks of different runs, compared on the images they share."""

import pytest

import spikewise
from spikewise.api import versus
from spikewise.errors import ConfigError, RunError

TINY = {"split.limit": 300, "encoder.steps": 4, "sections": []}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    wide = spikewise.train("digits", seeds=2, epochs=25, out=out, **TINY, **{"model.hidden": [64]})
    narrow = spikewise.train("digits", seeds=2, epochs=1, out=out, **TINY, **{"model.hidden": [2]})
    both = spikewise.compare(
        "digits", seeds=2, epochs=1, out=out, **TINY, **{"model.hidden": [8], "sides": ["snn", "twin"]}
    )
    return wide, narrow, both


def test_two_runs_are_compared_by_their_stored_answers(runs):
    wide, narrow, _ = runs
    found = versus([wide.folder, narrow.folder])
    means = [run.results.networks[0].metrics["accuracy"].mean for run in (wide, narrow)]
    assert list(found.accuracies.values()) == pytest.approx(means)
    [pair] = found.pairs
    assert pair.difference.mean == pytest.approx(means[0] - means[1])
    assert pair.difference.mean > 0.2
    assert wide.folder.name in pair.a


def test_inside_one_run_it_says_what_the_run_says(runs):
    run = runs[2]
    found = versus([f"{run.folder}:snn", f"{run.folder}:twin"])
    [own] = run.results.comparisons
    assert found.pairs[0].difference.mean == pytest.approx(own.difference.mean)
    assert found.pairs[0].p == own.p


@pytest.mark.parametrize("case", ["one", "twice", "which", "nothing"])
def test_what_cannot_be_compared_is_said(runs, case, tmp_path):
    wide, _, both = runs
    asked = {
        "one": [wide.folder],
        "twice": [wide.folder, wide.folder],
        "which": [both.folder, wide.folder],
        "nothing": [wide.folder, tmp_path],
    }[case]
    said = {"one": "needs two", "twice": "with itself", "which": "say which", "nothing": "not a run folder"}[case]
    with pytest.raises((ConfigError, RunError), match=said):
        versus(asked)


def test_runs_on_other_images_are_refused(runs, tmp_path):
    other = spikewise.train("digits", seeds=2, epochs=1, out=tmp_path, **{**TINY, "split.seed": 5})
    with pytest.raises(RunError, match="different images"):
        versus([runs[0].folder, other.folder])

"""`spikewise robustness` and `api.robustness`: what the run has is read, what it lacks is made and kept."""

import json
import shutil

import numpy as np
import pytest

from spikewise.api import Run, compare, robustness
from spikewise.errors import ConfigError
from spikewise.evaluation import Results
from spikewise.evaluation.robustness import selected
from spikewise.evaluation.sections.robustness import FAMILIES
from spikewise.experiments.sections import arrays_file
from spikewise.report import render
from spikewise.report.sections.robustness import view


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished comparison with this section alone."""
    tiny = {"split.limit": 200, "model.hidden": [16], "encoder.steps": 4, "sections": ["robustness"]}
    return compare("digits", seeds=2, epochs=1, out=tmp_path_factory.mktemp("runs"), thorough=True, **tiny)


@pytest.fixture
def copy(run: Run, tmp_path):
    """A finished run to be changed."""
    return shutil.copytree(run.folder, tmp_path / "copy")


def test_a_comparison_has_every_family_and_its_page_shows_them(run: Run):
    found = run.results.sections.robustness
    assert [one.family for one in found.families] == list(FAMILIES)
    page = (run.folder / "report.html").read_text()
    assert "Adversarial images" in page
    assert "random signs" in page
    names = [one.name for one in found.disturbances]
    assert len(names) == len(set(names)) == 20
    assert all((run.folder / "figures" / f"robustness-{name}.svg").exists() for name in names)


def test_networks_that_only_guess_have_no_score_and_the_page_says_why(run: Run):
    words = "there is nothing to lose"
    assert words in (run.folder / "report.html").read_text()
    found = run.results.sections.robustness
    fine = [
        one.model_copy(update={"curves": [curve for curve in one.curves if curve.score]}) for one in found.disturbances
    ]
    sections = run.results.sections.model_copy(update={"robustness": found.model_copy(update={"disturbances": fine})})
    assert words not in render(run.results.model_copy(update={"sections": sections}))


def test_json_holds_what_the_results_hold(command, run: Run):
    done = command("robustness", run.folder, "--families", "weights,neurons", "--json")
    found = json.loads(done.stdout)
    stored = json.loads((run.folder / "results.json").read_text())["sections"]["robustness"]
    assert found["families"] == [one for one in stored["families"] if one["family"] in ("weights", "neurons")]
    assert found["disturbances"] == [one for one in stored["disturbances"] if one["family"] in ("weights", "neurons")]


def test_the_table_names_families_disturbances_and_networks(command, run: Run):
    done = command("robustness", run.folder)
    assert done.returncode == 0
    for words in ("Corrupted images", "  JPEG", "  PGD from twin (check)", "snn", "twin", "cnn"):
        assert words in done.stdout
    assert "twin, cnn: the input has no spikes" in done.stdout


def test_families_are_made_where_they_are_asked_for_and_the_others_stay(copy):
    before = Results.load(copy / "results.json").sections
    bare = before.model_copy(update={"robustness": selected(before.robustness, ["weights", "attacks"])})
    results = Results.load(copy / "results.json")
    results.model_copy(update={"sections": bare}).save(copy / "results.json")

    found = robustness(copy, families=["spikes", "attacks"])

    assert [one.family for one in found.families] == ["spikes", "attacks"]
    assert found == selected(before.robustness, ["spikes", "attacks"])  # made again it is the same
    after = Results.load(copy / "results.json").sections.robustness
    assert after == selected(before.robustness, ["spikes", "weights", "attacks"])


def test_other_numbers_of_images_make_a_family_again_and_the_page_says_so(copy):
    arrays_file(copy, "robustness").unlink()
    found = robustness(copy, images=12, families=["corruptions"])
    assert [(one.family, one.images) for one in found.families] == [("corruptions", 12)]
    assert "12 test images" in (copy / "report.html").read_text()
    with np.load(arrays_file(copy, "robustness")) as stored:
        assert "attack" not in stored.files
        assert "jpeg" in stored.files


def test_a_damaged_file_of_examples_costs_the_examples_and_nothing_else(copy):
    results = Results.load(copy / "results.json")
    assert len(view(results, copy).content.examples) == 11
    for damaged in (b"PK\x03\x04 not an archive", b"", arrays_file(copy, "robustness").read_bytes()[:200]):
        arrays_file(copy, "robustness").write_bytes(damaged)
        shown = view(results, copy)
        assert shown.content.examples == []
        assert len(shown.panels) == 20


def test_a_set_that_must_not_be_shown_is_not(run: Run):
    hidden = run.results.model_copy(update={"data": run.results.data.replace(publishable=False)})
    assert view(hidden, run.folder).content.examples == []


def test_mistakes_end_in_words(command, run: Run):
    done = command("robustness", run.folder, "--families", "weight")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Did you mean 'weights'?" in done.stderr
    with pytest.raises(ConfigError):
        robustness(run.folder, images=1)


def test_a_run_in_which_it_is_made_later_no_longer_says_that_it_is_missing(command, copy):
    """In the verdict, among what was left out, and in what time was too short for."""
    path, lacking = copy / "results.json", "This run did not look at how noise and other damage"
    whole = Results.load(path)
    parts = {"skipped": {"robustness": "it takes too long", "explanations": "it takes too long"}}
    verdict = whole.verdict.model_copy(update={"sentences": (f"{lacking} to the images change it.",)})
    sections = whole.sections.model_copy(update={"robustness": None, **parts})
    whole.model_copy(update={"sections": sections, "verdict": verdict}).save(path)
    assert command("robustness", copy, "--families", "weights").returncode == 0
    made = Results.load(path)
    assert list(made.sections.skipped) == ["explanations"]
    assert lacking not in " ".join(made.verdict.sentences)
    less = {"robustness": "weights on 40 of 1,000 images, no attacks"}
    made.model_copy(update={"sections": made.sections.model_copy(update={"less": less})}).save(path)
    assert command("robustness", copy, "--families", "weights", "--images", 60).returncode == 0
    assert Results.load(path).sections.less == {"robustness": "no attacks"}

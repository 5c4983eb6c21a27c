"""Sections are made with a run, switched off, made later, and the audit speaks before the training."""

import json

import numpy as np
import pytest

from spikewise.api import section
from spikewise.errors import ConfigError
from spikewise.evaluation import Results
from spikewise.evaluation.sections import SECTION_NAMES, sections_without
from spikewise.experiments import resolve, run_experiment
from spikewise.training import Silent


class Heard(Silent):
    """Remembers what was said before training began, and whether it did."""

    def __init__(self):
        self.words, self.begun = [], False

    def said(self, text):
        if not self.begun:
            self.words.append(text)

    def started(self, network, seed, *, epochs, done):
        self.begun = True


@pytest.fixture(scope="module")
def leaky(tmp_path_factory):
    """A set whose test images all stand among its training images."""
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 2
    images = (rng.random((120, 8, 8)) * 100 + 100 * labels[:, None, None]).astype(np.uint8)
    path = tmp_path_factory.mktemp("set") / "leaky.npz"
    parts = {"train": slice(0, 80), "val": slice(80, 120), "test": slice(0, 40)}
    arrays = {f"{part}_images": images[at] for part, at in parts.items()}
    np.savez(path, **arrays, **{f"{part}_labels": labels[at] for part, at in parts.items()})
    return path


def test_the_audit_warns_before_training_and_stands_in_results_and_report(leaky, tmp_path):
    heard = Heard()
    asked = resolve(str(leaky), overrides=["train.epochs=1", "encoder.steps=3", "model.hidden=[8]",
                                           'sections=["audit"]', 'sides=["snn", "twin"]'], seeds=1)  # fmt: skip
    done = run_experiment(asked, out=tmp_path, listener=heard, thorough=True)
    assert heard.begun
    assert "Do not trust" in " ".join(heard.words)
    audit = done.results.sections.audit
    assert audit.count("red") >= 1
    assert "duplicates" in audit.findings[0].check
    overlap = done.results.data.overlap
    assert (overlap.near_duplicates, overlap.near_reaches_test) == (audit.near_across, audit.near_tested > 0)
    page = (done.folder / "report.html").read_text()
    assert 'id="audit"' in page
    assert "<code>spikewise audit DATA --fix clean.json</code>" in page
    assert 'id="calibration"' not in page
    assert Results.load(done.folder / "results.json").sections.audit == audit


def test_a_section_that_was_switched_off_is_made_when_asked_for(tmp_path):
    asked = resolve(
        "digits", overrides=["train.epochs=1", "encoder.steps=3", "model.hidden=[8]", "sections=[]"], seeds=1
    )
    done = run_experiment(asked, out=tmp_path, kind="train", thorough=True)
    content = json.loads((done.folder / "results.json").read_text())["sections"]
    assert all(content[name] is None for name in SECTION_NAMES)
    made = section(done.folder, "calibration").calibration
    assert made.networks[0].network == "snn"
    assert 'id="calibration"' in (done.folder / "report.html").read_text()
    # the same experiment with the section finds it made: sections decide nothing about the training
    again = run_experiment(asked.replace(sections=("calibration",)), out=tmp_path, kind="train")
    assert again.folder == done.folder
    assert again.results.sections.calibration == made


def test_an_unknown_section_is_refused_with_the_nearest():
    assert sections_without(["all"]) == ()
    assert "audit" not in sections_without(["audit"])
    for command in ("audit", "yardsticks", "anytime", "calibrate", "robustness", "explain", "diagnose"):
        assert len(sections_without([command])) == len(SECTION_NAMES) - 1, command
    with pytest.raises(ConfigError, match="calibration"):
        sections_without(["calibratoin"])


def test_the_verdict_knows_what_was_looked_into(leaky, tmp_path):
    asked = resolve(str(leaky), overrides=["train.epochs=1", "encoder.steps=3", "model.hidden=[8]",
                                           "sections=[]", 'sides=["snn", "twin"]'], seeds=1)  # fmt: skip
    done = run_experiment(asked, out=tmp_path, thorough=True)
    assert "steps" in done.results.verdict.sentences[-1]
    assert not any("audit" in sentence for sentence in done.results.verdict.sentences)
    section(done.folder, "audit")
    section(done.folder, "anytime")
    later = Results.load(done.folder / "results.json").verdict
    assert any("grave fault" in sentence for sentence in later.sentences)
    assert "how accuracy grows with the time steps" not in later.paragraph

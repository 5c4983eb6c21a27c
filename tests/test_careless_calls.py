"""What a careless call from Python gives: the answer that was meant, or one message that says what is wrong."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import spikewise
from spikewise.errors import ConfigError, DataError, ShapeError

TINY = {"split.limit": 200, "model.hidden": [8], "encoder.steps": 3}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    return spikewise.compare("digits", seeds=1, epochs=1, sections=[], out=out, **TINY)


def test_a_run_is_taken_wherever_a_run_folder_is(run):
    assert os.fspath(run) == str(run.folder)
    assert spikewise.load(run).name == "snn"
    assert len(spikewise.evaluate(run)) == 3
    assert spikewise.calibrate(run) == spikewise.calibrate(run.folder)
    assert spikewise.cost(run).results == run.results
    assert spikewise.table(run) == spikewise.table(run.folder)
    assert spikewise.write_report(run) == run.report
    with pytest.raises(ConfigError, match=f"{re.escape(str(run.folder))} has several networks; say which"):
        spikewise.versus([run, run])
    with pytest.raises(ConfigError, match=r"^\S+ has no seed '0'; it has 0\.$"):
        spikewise.load(run, seed="0")


def test_one_of_what_may_be_several_needs_no_list(run, tmp_path):
    drawn = spikewise.figures(run, formats="svg", out=tmp_path / "figures")
    assert {path.suffix for path in drawn} == {".svg"}
    assert [row.steps for row in spikewise.convert(run, network="twin", steps=3).found.rows] == [3]
    with pytest.raises(ConfigError, match="A comparison needs two networks; got 1"):
        spikewise.versus(f"{run.folder}:snn")


@pytest.mark.parametrize("seeds", ["three", 1.5])
def test_seeds_are_a_number_or_a_list_of_numbers(seeds, tmp_path):
    with pytest.raises(ConfigError, match=f"seeds is a number of seeds, or a list of them .* got {seeds!r}"):
        spikewise.compare("digits", seeds=seeds, out=tmp_path)


def test_a_format_that_is_none_is_refused(run):
    with pytest.raises(ConfigError, match="Unknown export format 'None'"):
        spikewise.export(run, None)


def test_what_is_no_set_is_named_by_its_type(tmp_path):
    with pytest.raises(DataError, match="An object of type int is no set of images"):
        spikewise.compare(5, out=tmp_path)
    with pytest.raises(ShapeError, match="got an array of object"):
        spikewise.compare((np.zeros((4, 8, 8), object), [0, 1, 0, 1]), out=tmp_path)


def test_images_in_memory_are_audited_as_those_of_a_file(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
    images[30] = images[0]
    labels = np.arange(60) % 2
    np.savez(tmp_path / "set.npz", images=images, labels=labels)
    found = spikewise.audit((images, labels), out=tmp_path)
    assert (found.images, found.findings) == (60, spikewise.audit(tmp_path / "set.npz").findings)


def test_what_a_prompt_shows_of_a_value_fits_on_a_screen(run):
    shown = [run.results, run.results.verdict, run.results.networks[0], spikewise.load_data("digits")]
    shown += [spikewise.training_images("digits"), spikewise.anytime(run)]
    assert [len(repr(one)) < 8000 for one in shown] == [True] * len(shown)
    assert repr(spikewise.load_data("digits")) == "<digits: 1,797 images of 1x8x8, 10 classes>"
    assert "networks=<3 NetworkResult>" in repr(run.results)
    assert "verdict=Verdict(...)" in repr(run.results)


def linear(classes: int) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))


@pytest.mark.parametrize(
    ("network", "twin"), [(linear(9), None), (linear(10), linear(9))], ids=["the network", "its twin"]
)
def test_judging_a_network_that_cannot_answer_leaves_nothing_and_opens_no_test(tmp_path: Path, network, twin):
    with pytest.raises(ShapeError, match=r"with \(256, 9\); scores are \[256, 10\]"):
        spikewise.judge(network, "digits", twin=twin, out=tmp_path, sections=[])
    assert list(tmp_path.iterdir()) == []


def test_judge_takes_one_section_by_its_name(tmp_path):
    judged = spikewise.judge(linear(10), "digits", out=tmp_path, sections="calibration")
    assert judged.results.sections.calibration is not None

"""Currents are centred and scaled by what the training images are, and by nothing else."""

import numpy as np
import pytest
import torch

from spikewise.data import load_data, split
from spikewise.encoders import Direct, Rate
from spikewise.errors import ConfigError
from spikewise.experiments import RunFolder, resolve, run_experiment
from spikewise.experiments.candidates import candidates_of
from spikewise.experiments.devices import resolve_automatic
from spikewise.experiments.standard import Standard, standard_of
from spikewise.types import Draw


def test_the_moments_are_those_of_the_chosen_images_channel_by_channel(monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (50, 3, 5, 4), dtype=np.uint8)
    images[:, 1] //= 3
    images[:, 2] = 7
    index = np.arange(0, 40, 3)
    found = standard_of(images, index)
    wanted = images[index].astype(np.float64) / 255
    np.testing.assert_allclose(found.mean, wanted.mean((0, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(found.deviation[:2], wanted.std((0, 2, 3))[:2], rtol=1e-5)
    assert found.deviation[2] == 1  # of one level there is nothing to scale by
    monkeypatch.setattr("spikewise.experiments.standard._AT_ONCE", 1)
    assert standard_of(images, index) == found
    changed = images.copy()
    changed[np.setdiff1d(np.arange(50), index)] = 0
    assert standard_of(changed, index) == found


@pytest.fixture
def small(small):
    return small.replace(standardise=True)


def resolved_of(experiment, out):
    images = load_data(experiment.data)
    parts = split(images, experiment.split)
    return resolve_automatic(experiment, "compare", images, parts, out=out), images, parts


def test_every_side_that_currents_enter_reads_them_standardised(small, tmp_path):
    resolved, images, parts = resolved_of(small, tmp_path)
    standard = resolved.standardise
    assert standard == standard_of(images.images, parts.train)
    for side in candidates_of(resolved, images):
        encoder = side.graph.encoder
        assert (encoder.mean, encoder.deviation) == (standard.mean, standard.deviation)
        train = encoder(torch.from_numpy(np.array(images.images[parts.train])), Draw.first(len(parts.train)))
        torch.testing.assert_close(train[0].double().mean(), torch.tensor(0.0).double(), rtol=0, atol=1e-4)
        torch.testing.assert_close(train[0].double().std(correction=0), torch.tensor(1.0).double(), rtol=0, atol=1e-4)


def test_spikes_and_the_twin_of_spikes_read_the_image_as_it_is(small, tmp_path):
    resolved, images, _ = resolved_of(small.replace(encoder=Rate(steps=3)), tmp_path)
    snn, twin, cnn = (side.graph.encoder for side in candidates_of(resolved, images))
    assert (snn, twin) == (Rate(steps=3), Direct(steps=1))
    assert cnn.mean == resolved.standardise.mean


def test_what_a_person_gave_is_kept(small, tmp_path):
    given = Direct(steps=3, mean=(0.5,), deviation=(0.5,))
    resolved, images, _ = resolved_of(small.replace(encoder=given), tmp_path)
    assert [side.graph.encoder.mean for side in candidates_of(resolved, images)][:2] == [(0.5,), (0.5,)]
    standard = Standard(mean=(0.25,), deviation=(0.125,))
    resolved, images, _ = resolved_of(small.replace(standardise=standard), tmp_path)
    assert resolved.standardise == standard
    assert {side.graph.encoder.mean for side in candidates_of(resolved, images)} == {(0.25,)}
    resolved, images, _ = resolved_of(small.replace(standardise=False), tmp_path)
    assert {side.graph.encoder.mean for side in candidates_of(resolved, images)} == {()}


def test_a_run_records_it_and_reads_it_back(small, tmp_path):
    made = run_experiment(small.replace(seeds=(0,), sections=()), out=tmp_path).folder
    experiment = RunFolder.open(made).experiment()
    assert isinstance(experiment.standardise, Standard)
    assert resolve(config=made / "experiment.toml") == experiment
    again = run_experiment(small.replace(seeds=(0,), sections=()), out=tmp_path)
    assert again.folder == made


@pytest.mark.parametrize("value", ["maybe", "{mean=[0.1], deviation=[]}", "{mean=[0.1], deviation=[0.2, 0.3]}"])
def test_what_is_no_standard_is_named(value):
    with pytest.raises(ConfigError, match="standardise"):
        resolve("digits", overrides=[f"standardise={value}"])

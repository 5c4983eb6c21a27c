"""Is it the noise? The twin that is trained with what a rate code does to its images, and tested on clean ones."""

import numpy as np
import pytest
import torch

from spikewise.data import load_data, split
from spikewise.encoders import Rate
from spikewise.errors import ConfigError
from spikewise.evaluation.noise import noise_sentences
from spikewise.experiments import resolve, run_experiment
from spikewise.experiments.candidates import candidates_of
from spikewise.experiments.controls import with_controls
from spikewise.experiments.setting import task_of
from spikewise.types import Draw


@pytest.fixture
def coded(small):
    """The comparison that takes a second, on a rate code."""
    return small.replace(encoder={"kind": "rate", "steps": 4}, seeds=(0,), sections=())


def test_it_is_the_twin_and_sees_in_training_what_the_spikes_show(coded):
    images = load_data(coded.data)
    parts = split(images, coded.split)
    found = {one.kind: one for one in candidates_of(with_controls(coded, ["noise"]), images)}
    noisy, twin = found["twin-noise"], found["twin"]
    assert noisy.graph == twin.graph
    assert (noisy.name, noisy.role, noisy.noise, twin.noise) == ("twin-noise", "baseline", Rate(steps=4), None)
    task = task_of(
        coded.resolved("compare", device="cpu", train_images=48, image_shape=(1, 8, 8)), images, parts, noisy, 0
    )
    index = parts.train[:5]
    batch = task.batch(index, 2, torch.device("cpu"))
    draw = Draw(0, 2, torch.from_numpy(index))
    shown = Rate(steps=4)(torch.from_numpy(np.ascontiguousarray(images.images[index])), draw).mean(0)
    assert (batch.images.float() / 255 - shown).abs().max() < 1 / 500


def test_it_is_trained_tested_and_compared_like_the_others(coded, tmp_path):
    done = run_experiment(with_controls(coded, ["noise"]), out=tmp_path)
    by_name = {network.name: network for network in done.results.networks}
    assert list(by_name) == ["snn", "twin", "cnn", "twin-noise"]
    pairs = {frozenset((pair.a, pair.b)) for pair in done.results.comparisons}
    assert {frozenset(("snn", "twin-noise")), frozenset(("twin", "twin-noise"))} <= pairs
    assert done.results.comparisons[0].main or any(pair.main and {pair.a, pair.b} == {"snn", "twin"}
                                                   for pair in done.results.comparisons)  # fmt: skip
    first, *_ = noise_sentences(done.results.networks, done.results.comparisons)
    share = 100 * by_name["twin-noise"].metrics["accuracy"].mean
    assert first.startswith(
        f"With the noise that the spikes bring, the same network without spikes reaches {share:.2f} %"
    )
    again = run_experiment(with_controls(coded, ["noise"]).replace(sides=("twin", "twin-noise")), out=tmp_path)
    clean, noisy = (one.runs[0].history[0].train_loss for one in again.results.networks)
    assert clean != noisy


def test_codes_that_bring_no_noise_are_refused(small):
    with pytest.raises(ConfigError, match=r"the encoder is 'direct', which brings none\. Leave it out"):
        candidates_of(with_controls(small, ["noise"]), load_data(small.data))


def test_it_is_asked_for_by_name_and_tuned_with_the_rest(small):
    with pytest.raises(ConfigError, match=r"control 'nose'\. Did you mean 'noise'"):
        with_controls(small, ["nose"])
    asked = with_controls(with_controls(resolve("digits"), ["noise"]), ["noise"])
    assert asked.sides == ("snn", "twin", "cnn", "twin-noise")
    resolved = asked.resolved("compare", device="cpu", train_images=1_000, image_shape=(1, 8, 8))
    assert resolved.tuned == asked.sides
    preset = with_controls(resolve(preset="fashion-snn"), ["noise"])
    assert preset.tuned == ("twin", "cnn", "twin-noise")
    assert with_controls(resolve(preset="fashion-snn", as_published=True), ["noise"]).tuned == ()
    assert resolve("digits", overrides=['sides=["snn", "twin-noise"]']).sides == ("snn", "twin-noise")


def test_the_verdict_says_what_the_control_says(coded, tmp_path):
    results = run_experiment(with_controls(coded, ["noise"]), out=tmp_path).results
    told = noise_sentences(results.networks, results.comparisons)
    assert len(told) == 2
    assert set(told) <= set(results.verdict.sentences)
    assert set(told) <= set(results.verdict.grounds)


def test_the_quantised_twin_is_the_twin_as_spikes_can_carry_it(small, tmp_path):
    drawn = small.replace(model={"kind": "conv", "channels": [4], "kernels": [3], "hidden": [6]}, seeds=(0,))
    asked = with_controls(drawn, ["qcfs"]).replace(qcfs_levels=4, sections=())
    found = {one.kind: one for one in candidates_of(asked, load_data(asked.data))}
    kinds = {kind: [layer.kind for layer in found[kind].graph.layers] for kind in ("twin", "twin-qcfs")}
    assert kinds["twin"] == ["conv2d", "activation", "max_pool", "flatten", "linear", "activation", "linear"]
    assert kinds["twin-qcfs"] == ["conv2d", "qcfs", "avg_pool", "flatten", "linear", "qcfs", "linear"]
    assert found["twin-qcfs"].graph.readout == found["twin"].graph.readout
    done = run_experiment(asked, out=tmp_path)
    network = done.results.network("twin-qcfs")
    assert (network.role, network.steps) == ("baseline", 1)
    assert "qcfs 4" in network.description


def test_average_pooling_and_levels_are_written_only_where_they_were_asked_for(small):
    drawn = small.replace(model={"kind": "conv", "channels": [4], "kernels": [3]})
    assert "pooling" not in drawn.model.model_dump()
    averaged = drawn.replace(model=drawn.model.replace(pooling="average"))
    assert [layer.kind for layer in averaged.model.layers(3)][:3] == ["conv2d", "neuron", "avg_pool"]
    assert drawn.replace(qcfs_levels=8).identity() == drawn.identity() != drawn.replace(qcfs_levels=4).identity()
    assert averaged.identity() != drawn.identity()

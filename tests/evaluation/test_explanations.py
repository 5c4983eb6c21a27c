"""Attributions on networks whose right answer is known in closed form, and checks that tell good maps from bad ones."""

import numpy as np
import pytest
import torch

from spikewise import api
from spikewise.api.explanation import save_explanations
from spikewise.dynamics import LIF, LeakyIntegrator
from spikewise.encoders import Direct, Latency, Rate
from spikewise.errors import ConfigError
from spikewise.evaluation.explanations import (
    Pictures,
    SeededNetwork,
    Squares,
    check_network,
    deletion,
    input_kind,
    integrated_gradients,
    occlusion,
    order_of,
    probabilities,
    rank_correlations,
    rates_by_class,
    squares_for,
    without_a_map,
)
from spikewise.graph import Activation, Flatten, Graph, Linear, Neuron
from spikewise.network import Network
from spikewise.readouts import LastMembrane, MeanMembrane
from spikewise.types import Draw

CLASSES = 3


def network(*layers, encoder=None, readout=None, size: int = 6, seed: int = 0) -> Network:
    built = Graph(
        image_shape=(1, size, size),
        encoder=encoder or Direct(steps=1),
        layers=(Flatten(), *layers),
        readout=readout or LastMembrane(),
    )
    return Network(built, seed=seed)


def pictures(count: int = 5, size: int = 6, seed: int = 1) -> Pictures:
    rng = np.random.default_rng(seed)
    return Pictures(rng.integers(0, 256, (count, 1, size, size), dtype=np.uint8), np.arange(count))


def test_the_attribution_of_a_linear_network_is_weight_times_input_exactly():
    linear, some = network(Linear(features=CLASSES)), pictures()
    answers = np.array([0, 1, 2, 0, 1])
    found = integrated_gradients(SeededNetwork(linear, 0), *some[:2], answers, steps=3)
    weight = linear.linear1.weight.detach().numpy()[answers].reshape(5, 6, 6)
    np.testing.assert_allclose(found.maps, weight * some.images[:, 0] / 255, atol=1e-6)
    np.testing.assert_allclose(found.maps.sum((1, 2)), found.change, atol=1e-5)  # without the bias


def test_the_baseline_of_a_standardised_current_is_a_black_image():
    standardised = network(Linear(features=CLASSES), encoder=Direct(steps=1, mean=(0.4,), deviation=(0.2,)))
    some, answers = pictures(), np.array([0, 1, 2, 0, 1])
    found = integrated_gradients(SeededNetwork(standardised, 0), *some[:2], answers, steps=3)
    weight = standardised.linear1.weight.detach().numpy()[answers].reshape(5, 6, 6)
    np.testing.assert_allclose(found.maps, weight / 0.2 * some.images[:, 0] / 255, atol=1e-5)
    np.testing.assert_allclose(found.maps.sum((1, 2)), found.change, atol=1e-4)


def test_the_attribution_to_time_steps_follows_the_leak():
    # mean over T of v[t], v leaky: the input of step t is still felt with beta^k for k = 0 .. T - t
    beta, steps = 0.8, 5
    leaky = network(
        Linear(features=CLASSES, bias=False),
        Neuron(dynamics=LeakyIntegrator(beta=beta)),
        encoder=Direct(steps=steps),
        readout=MeanMembrane(),
    )
    found = integrated_gradients(SeededNetwork(leaky, 0), *pictures()[:2], np.zeros(5, dtype=np.int64))
    felt = np.array([sum(beta**k for k in range(steps - t)) for t in range(steps)])
    np.testing.assert_allclose(found.over_time / found.over_time[:, -1:], np.tile(felt / felt[-1], (5, 1)), rtol=1e-4)


@pytest.mark.parametrize("function", ["softplus", "gelu", "tanh"])
def test_attributions_of_a_smooth_network_add_up_to_the_change_of_the_logit(function):
    smooth = network(Linear(features=20), Activation(function=function), Linear(features=CLASSES))
    found = integrated_gradients(SeededNetwork(smooth, 0), *pictures()[:2], np.array([0, 1, 2, 0, 1]), steps=100)
    np.testing.assert_allclose(found.maps.sum((1, 2)), found.change, rtol=1e-3, atol=1e-4)


def test_attributions_of_a_relu_twin_come_close_and_closer_with_more_steps():
    relu = network(Linear(features=40), Activation(), Linear(features=CLASSES))
    answers = np.array([0, 1, 2, 0, 1])

    def gap(steps: int) -> float:
        found = integrated_gradients(SeededNetwork(relu, 0), *pictures()[:2], answers, steps=steps)
        return float(np.abs(found.maps.sum((1, 2)) - found.change).max())

    assert gap(400) < 0.01
    assert gap(400) < gap(3)


def spiking(encoder) -> Network:
    return network(
        Linear(features=30), Neuron(dynamics=LIF()), Linear(features=CLASSES), Neuron(dynamics=LeakyIntegrator()),
        encoder=encoder, readout=MeanMembrane(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("encoder", "kind"),
    [(Rate(steps=6), "expected rates"), (Direct(steps=6), "currents"), (Latency(steps=6), "spikes")],
)
def test_a_spiking_network_has_attributions_by_pixel_and_by_step_that_agree(encoder, kind):
    some = pictures()
    found = integrated_gradients(SeededNetwork(spiking(encoder), 0), *some[:2], np.zeros(5, dtype=np.int64))
    assert input_kind(spiking(encoder).graph) == kind
    assert found.over_time.shape == (5, 6)
    np.testing.assert_allclose(found.over_time.sum(1), found.maps.sum((1, 2)), rtol=1e-4, atol=1e-6)
    assert np.abs(found.maps).max() > 0
    assert (found.maps[some.images[:, 0] == 0] == 0).all()  # black pixels send nothing


def test_batches_do_not_change_attributions(monkeypatch):
    some, answers = pictures(), np.array([0, 1, 2, 0, 1])
    seeded = SeededNetwork(spiking(Rate(steps=6)), 0)
    whole = integrated_gradients(seeded, *some[:2], answers)
    monkeypatch.setattr("spikewise.evaluation.prediction._MOST_VALUES", 1)
    single = integrated_gradients(seeded, *some[:2], answers)
    np.testing.assert_allclose(single.maps, whole.maps, atol=1e-5)


# One pixel decides: it is bright for class 1 and black for class 0.


def one_pixel_decides(at: tuple[int, int] = (2, 3), size: int = 6) -> Network:
    made = network(Linear(features=2), size=size)
    with torch.no_grad():
        made.linear1.weight.zero_()
        made.linear1.weight[1, at[0] * size + at[1]] = 10.0
        made.linear1.bias.copy_(torch.tensor([0.0, -5.0]))
    return made


def decided(count: int = 8) -> Pictures:
    some = pictures(count)
    some.images[:, 0, 2, 3] = 255
    return some


def test_occlusion_finds_the_pixel_that_decides_and_nothing_where_no_square_covers_it():
    seeded, some = SeededNetwork(one_pixel_decides(), 0), decided()
    answers = np.ones(8, dtype=np.int64)
    found = occlusion(seeded, *some[:2], answers, Squares(2, 1))
    whole = probabilities(seeded, *some[:2])[:, 1]
    assert whole == pytest.approx([1 / (1 + np.exp(-5))] * 8)
    fall = whole - 1 / (1 + np.exp(5))
    np.testing.assert_allclose(found[:, 2, 3], fall, rtol=1e-5)  # all four squares over it make the answer fall
    np.testing.assert_allclose(found[:, 1, 2], fall / 4, rtol=1e-5)  # one of the four over this one does
    assert (found[:, 4:] == 0).all()
    assert (found[:, :, :2] == 0).all()


@pytest.mark.parametrize(("height", "width"), [(8, 8), (28, 28), (64, 48), (1, 5), (7, 7)])
def test_squares_cover_every_pixel(height, width):
    squares = squares_for(height, width)
    covered = np.zeros((height, width))
    for y in squares.corners(height):
        for x in squares.corners(width):
            assert y + squares.side <= height
            assert x + squares.side <= width
            covered[y : y + squares.side, x : x + squares.side] += 1
    assert covered.min() > 0


def test_taking_the_deciding_pixel_first_ends_the_answer_at_once_and_last_keeps_it_to_the_end():
    seeded, some = SeededNetwork(one_pixel_decides(), 0), decided()
    answers = np.ones(8, dtype=np.int64)
    maps = np.zeros((8, 6, 6))
    maps[:, 2, 3] = 1.0
    top = deletion(seeded, *some[:2], answers, order_of(maps))
    bottom = deletion(seeded, *some[:2], answers, order_of(-maps))
    sure, lost = 1 / (1 + np.exp(-5)), 1 / (1 + np.exp(5))
    np.testing.assert_allclose(top.curves[:, 0], sure, rtol=1e-5)
    np.testing.assert_allclose(top.curves[:, 1:], lost, rtol=1e-4)
    np.testing.assert_allclose(bottom.curves[:, :-1], sure, rtol=1e-5)
    np.testing.assert_allclose(bottom.curves[:, -1], lost, rtol=1e-4)
    np.testing.assert_allclose(top.areas, lost + (sure - lost) / 2 / 20, rtol=1e-5)
    plain = without_a_map(seeded, *some[:2], answers)
    # in a random order the pixel goes at a uniform moment: the area's mean is half way, five standard errors allowed
    assert plain["random"].areas.mean() == pytest.approx((sure + lost) / 2, abs=5 * 0.29 / (8 * 3) ** 0.5)


def test_a_map_that_names_what_matters_passes_the_check():
    some = decided(30)
    other = one_pixel_decides(at=(4, 1))
    record = check_network("net", SeededNetwork(one_pixel_decides(), 0), SeededNetwork(other, 0), some, compared=10)
    for check in record.deletion:
        assert check.gain.low > 0
        assert check.top.mean < check.random.mean < check.bottom.mean
        assert check.curve_top[0] == pytest.approx(check.curve_random[0])
    assert record.completeness == pytest.approx(0.0, abs=1e-6)
    # the other network looks elsewhere: its maps do not agree with these
    assert all(one.correlation.mean < 0.5 for one in record.random_weights)


def test_a_network_that_does_not_see_the_image_has_maps_of_nothing_and_no_completeness():
    blind = network(Linear(features=2))
    with torch.no_grad():
        blind.linear1.weight.zero_()
    record = check_network(
        "blind", SeededNetwork(blind, 0), SeededNetwork(one_pixel_decides(), 0), decided(), compared=4
    )
    assert record.completeness is None
    assert all(check.gain.mean == pytest.approx(0.0, abs=1e-6) for check in record.deletion)
    assert all(one.correlation.mean == 0.0 for one in record.random_weights)


def test_maps_agree_with_themselves_and_not_with_their_opposite_and_black_pixels_do_not_count():
    some = pictures(3)
    maps = np.random.default_rng(0).normal(size=(3, 6, 6))
    np.testing.assert_allclose(rank_correlations(maps, maps**3, some.images), 1.0)
    np.testing.assert_allclose(rank_correlations(maps, -maps, some.images), -1.0)
    half = some.images.copy()
    half[:, :, 3:] = 0
    changed = maps.copy()
    changed[:, 3:] *= -5
    np.testing.assert_allclose(rank_correlations(maps, changed, half), 1.0)
    np.testing.assert_allclose(rank_correlations(maps, np.zeros_like(maps), some.images), 0.0)


def test_rates_by_class_are_the_means_of_the_spikes_that_were_sent():
    made, some = spiking(Rate(steps=6)), pictures(9)
    labels = np.array([0, 0, 0, 1, 1, 1, 1, 1, 1])  # class 2 has no images
    found = rates_by_class(SeededNetwork(made, 0), *some[:2], labels)
    with torch.no_grad():
        spikes = made.encode(torch.from_numpy(some.images), Draw(0, 0, torch.from_numpy(some.index)))
        assert spikes.sum() > 0
    assert list(found) == ["lif1"]
    assert found["lif1"].shape == (3, 30)
    assert (found["lif1"][2] == 0).all()
    from spikewise.engine import RunOptions

    with torch.no_grad():
        draw = Draw(0, 0, torch.from_numpy(some.index))
        trace = made(torch.from_numpy(some.images), draw, RunOptions(record=frozenset({"lif1"}))).result.traces["lif1"]
    each = trace.spikes.mean(0).numpy()
    np.testing.assert_allclose(found["lif1"][1], each[3:].mean(0), atol=1e-6)


# Through the front door.


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    tiny = {"split.limit": 400, "model.hidden": [32], "encoder.steps": 6, "train.learning_rate": 0.005}
    sides = {"sides": ["snn", "twin"], "sections": ["explanations", "diagnosis"]}
    return api.compare("digits", seeds=1, epochs=4, out=out, thorough=True, **tiny, **sides)


def test_a_run_explains_its_networks_and_its_maps_mean_something(run):
    found = run.results.sections.explanations
    assert [one.network for one in found.networks] == ["snn", "twin"]
    assert [one.label for one in found.shown] == [0, 1, 2, 3, 4, 5]
    for one in found.networks:
        assert all(check.gain.low > 0 for check in one.deletion)
    with np.load(run.folder / "sections" / "explanations.npz") as stored:
        assert stored["map.snn.occlusion"].shape == stored["map.twin.integrated_gradients"].shape == (6, 8, 8)
        assert stored["over_time.snn"].shape == stored["sure.snn"].shape == (6, 6)
        assert stored["rates.snn.lif1"].shape == (10, 32)
    page = (run.folder / "report.html").read_text()
    assert 'id="explanations"' in page
    assert page.count("Map: snn, occlusion") == 6
    assert (run.folder / "figures" / "deletion-snn.svg").exists()
    assert 'id="diagnosis"' in page
    assert (run.folder / "figures" / "gradients-snn.svg").exists()
    assert api.explanations(run.folder) == found


def test_a_set_that_must_not_be_shown_keeps_no_map(run, monkeypatch):
    import dataclasses

    from spikewise.api.sections import study
    from spikewise.experiments import RunFolder
    from spikewise.experiments.sections.explanations import make

    made = study(RunFolder.open(run.folder))
    secret = dataclasses.replace(made.setting.images, publishable=False)
    hidden = make(made._replace(setting=dataclasses.replace(made.setting, images=secret)))
    assert not [name for name in hidden.arrays if name.startswith(("images", "map."))]
    assert hidden.record == run.results.sections.explanations  # the checks are made all the same


def test_images_are_explained_alone_as_among_others_and_written_as_pictures(run, tmp_path):
    images = np.stack([np.eye(8, dtype=np.uint8) * 255, np.full((8, 8), 90, np.uint8)])
    found = api.explain(run.folder, images)
    assert [(one.position, one.network) for one in found] == [(0, "snn"), (0, "twin"), (1, "snn"), (1, "twin")]
    assert set(found[0].areas) == {"occlusion", "integrated_gradients", "random", "brightest"}
    (alone,) = api.explain(run.folder, images[1:], networks=["snn"])
    np.testing.assert_allclose(alone.maps["occlusion"], found[2].maps["occlusion"], atol=1e-6)
    said = run.load().predict_proba(images)
    assert [found[0].probability, found[2].probability] == pytest.approx(said.max(1), abs=1e-5)
    written = save_explanations(found, ["a.png", "-"], tmp_path / "maps", suffix="svg")
    assert [path.name for path in written] == ["0-a.svg", "1--.svg", "maps.npz"]
    assert all(path.stat().st_size > 100 for path in written)


def test_a_network_that_the_run_does_not_have_is_refused(run):
    with pytest.raises(ConfigError, match="cnn"):
        api.explain(run.folder, np.zeros((1, 8, 8), np.uint8), networks=["cnn"])

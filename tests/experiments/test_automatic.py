"""By default the network suits the images, and says so; what a person sets is kept."""

import pytest

from spikewise.data import load_data, split
from spikewise.encoders import Direct, Rate
from spikewise.errors import ConfigError
from spikewise.experiments import resolve
from spikewise.experiments.candidates import candidates_of
from spikewise.experiments.devices import resolve_automatic
from spikewise.graph import Conv2d, Linear
from spikewise.models import MLP, Conv


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (1, 28, 12), (3, 3, 3), (1, 1, 40)])
def test_small_grey_images_get_a_dense_network_fed_with_spikes(shape):
    model, encoder = resolve("digits").network(shape)
    assert (model, encoder) == (MLP(), Rate())


@pytest.mark.parametrize("shape", [(1, 28, 29), (1, 64, 64), (3, 28, 28), (3, 4, 4), (3, 64, 48)])
def test_larger_or_coloured_images_get_a_network_as_convolutional_as_the_cnn(shape):
    experiment = resolve("digits")
    model, encoder = experiment.network(shape)
    assert isinstance(model, Conv)
    assert isinstance(encoder, Direct)
    graph = _graph(experiment, shape)
    cnn = _graph(experiment.replace(model={"kind": "conv", "hidden": [128], "cell": {"kind": "activation"}}), shape)
    assert _weighted(graph) == _weighted(cnn)


def _graph(experiment, shape):
    from spikewise.models import build

    return build(*experiment.network(shape), experiment.readout, image_shape=shape, classes=4)


def _weighted(graph):
    return [(at.layer, at.input, at.output) for at in graph.named if isinstance(at.layer, Conv2d | Linear)]


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 16, 16)])
def test_what_is_set_holds_for_whichever_kind_is_chosen(shape):
    overrides = ["model.hidden=[5]", "model.cell.beta=0.5", "model.width=2.0", "encoder.steps=7", "model.dropout=0.25"]
    model, encoder = resolve("digits", overrides=overrides).network(shape)
    assert (model.hidden, model.cell.beta, model.width, model.dropout) == ((5,), 0.5, 2.0, 0.25)
    assert encoder.steps == 7


def test_a_kind_that_is_named_is_taken():
    experiment = resolve("digits", overrides=["model=conv", "encoder=latency"])
    model, encoder = experiment.network((1, 8, 8))
    assert model == Conv()
    assert encoder.kind == "latency"
    assert resolve("digits", overrides=["model=auto"]) == resolve("digits")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        (
            "model.channels=[8, 16]",
            r"'model.channels' belongs to model.kind = conv or resnet; .* Set\s+model.kind=conv too",
        ),
        ("model.sequence=[]", "belongs to model.kind = layers"),
        ("encoder.tau=5.0", "belongs to encoder.kind = latency or periodic"),
        ("encoder.threshold=0.5", "belongs to encoder.kind = latency or periodic or delta"),
        ("model.cell.gain=3.0", "belongs to model.cell.kind = izhikevich"),
        ("model.hiden=[8]", "Did you mean 'model.hidden'"),
    ],
)
def test_a_setting_that_one_kind_alone_has_says_which(override, words):
    with pytest.raises(ConfigError, match=words):
        resolve("digits", overrides=[override])


def test_a_run_holds_what_was_chosen_and_says_why(columns_file, tmp_path):
    said = []
    asked = resolve(str(columns_file), device="cpu")
    images = load_data(asked.data)
    resolved = resolve_automatic(asked, "compare", images, split(images), out=tmp_path, say=said.append)
    assert (resolved.model, resolved.encoder) == (MLP(), Rate())
    assert [line for line in said if line.startswith("Network: fully connected (model.kind=mlp), rate input over 25")]
    bare = candidates_of(resolved.replace(standardise=False), images)
    assert bare == candidates_of(asked.replace(standardise=False), images)
    named = resolve(str(columns_file), device="cpu", overrides=["model=mlp", "encoder=rate"])
    said.clear()
    assert resolve_automatic(named, "compare", images, split(images), out=tmp_path, say=said.append).identity() == (
        resolved.identity()
    )
    assert not [line for line in said if line.startswith("Network")]

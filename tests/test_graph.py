"""A graph knows every shape before anything runs, and says which layer does not fit."""

import itertools
from typing import get_args

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from spikewise.dynamics import LIF, LeakyIntegrator
from spikewise.encoders import Delta, Direct, Rate
from spikewise.errors import ConfigError, ShapeError
from spikewise.graph import (
    QCFS,
    Activation,
    AvgPool,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Graph,
    Layer,
    Linear,
    MaxPool,
    Neuron,
    Residual,
    Signal,
    SpikingActivation,
    SumPool,
)
from spikewise.readouts import LastMembrane, SpikeCount

ALL_LAYERS = (
    Conv2d(channels=4, kernel=3, padding=1),
    BatchNorm(),
    Neuron(dynamics=LIF(learn=("beta",), per="channel")),
    MaxPool(),
    Conv2d(channels=6, kernel=3, stride=2, bias=False),
    SpikingActivation(),
    QCFS(),
    AvgPool(size=2, stride=1),
    Dropout(),
    Flatten(),
    Linear(features=7),
    Activation(),
    Linear(features=5),
    Neuron(dynamics=LIF(), recurrent=True),
    Linear(features=3),
    Neuron(dynamics=LeakyIntegrator()),
)


def graph(*layers, encoder=Rate(), readout=LastMembrane(), image_shape=(2, 12, 12)):  # noqa: B008  # immutable
    return Graph(image_shape=image_shape, encoder=encoder, layers=layers, readout=readout)


BLOCK = Residual(
    main=(Conv2d(channels=4, kernel=3, stride=2, padding=1), BatchNorm(), Neuron(dynamics=LIF())),
    shortcut=(SumPool(), Conv2d(channels=4, kernel=1), Neuron(dynamics=LIF())),
)
RESIDUAL = (BLOCK, Residual(main=(BLOCK.main[2], Residual(main=(Dropout(),)))), GlobalAvgPool(), Linear(features=3))


def test_every_kind_of_layer_is_in_the_examples():
    assert {type(layer) for layer in (*ALL_LAYERS, *RESIDUAL, *BLOCK.shortcut)} == set(get_args(get_args(Layer)[0]))


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    kernel=st.integers(1, 12),
    stride=st.integers(1, 5),
    padding=st.integers(0, 5),
)
def test_convolution_and_pooling_have_pytorchs_output_shape(height, width, kernel, stride, padding):
    image = torch.empty(1, 3, height, width)
    shape = (3, height, width)
    trials = [
        (
            Conv2d(channels=2, kernel=kernel, stride=stride, padding=padding),
            lambda: F.conv2d(image, weight, None, stride, padding),
        ),
        (MaxPool(size=kernel, stride=stride), lambda: F.max_pool2d(image, kernel, stride)),
        (AvgPool(size=kernel), lambda: F.avg_pool2d(image, kernel)),
    ]
    weight = torch.empty(2, 3, kernel, kernel)
    for layer, torchs in trials:
        try:
            wanted = tuple(torchs().shape[1:])
        except RuntimeError:  # PyTorch refuses it, so we do
            with pytest.raises(ShapeError, match="larger than its input"):
                layer.output_shape(shape)
        else:
            assert layer.output_shape(shape) == wanted


def test_layers_are_named_by_kind_and_place_and_shapes_follow_the_image():
    named = graph(*ALL_LAYERS).named
    assert {at.name: at.output for at in named} == {
        "conv2d1": (4, 12, 12),
        "batch_norm1": (4, 12, 12),
        "lif1": (4, 12, 12),
        "max_pool1": (4, 6, 6),
        "conv2d2": (6, 2, 2),
        "spiking_activation1": (6, 2, 2),
        "qcfs1": (6, 2, 2),
        "avg_pool1": (6, 1, 1),
        "dropout1": (6, 1, 1),
        "flatten1": (6,),
        "linear1": (7,),
        "activation1": (7,),
        "linear2": (5,),
        "lif2": (5,),
        "linear3": (3,),
        "leaky_integrator1": (3,),
    }
    assert all(before.output == after.input for before, after in itertools.pairwise(named))
    whole = graph(*ALL_LAYERS)
    assert (whole.classes, whole.steps, whole.spiking_layers) == (3, 25, ("lif1", "spiking_activation1", "lif2"))


def test_the_weights_a_graph_needs():
    assert graph(*ALL_LAYERS).parameter_shapes() == {
        "conv2d1.weight": (4, 2, 3, 3),
        "conv2d1.bias": (4,),
        **{f"batch_norm1.{key}": (4,) for key in ("weight", "bias", "running_mean", "running_var")},
        "lif1.beta": (4, 1, 1),
        "conv2d2.weight": (6, 4, 3, 3),
        "qcfs1.threshold": (),
        "linear1.weight": (7, 6),
        "linear1.bias": (7,),
        "linear2.weight": (5, 7),
        "linear2.bias": (5,),
        "lif2.recurrent": (5, 5),
        "linear3.weight": (3, 5),
        "linear3.bias": (3,),
    }


def test_an_encoder_that_adds_channels_reaches_the_first_layer():
    layers = (Conv2d(channels=4, kernel=3), Flatten())
    assert graph(*layers, encoder=Delta()).parameter_shapes()["conv2d1.weight"] == (4, 4, 3, 3)
    assert graph(*layers, encoder=Direct()).parameter_shapes()["conv2d1.weight"] == (4, 2, 3, 3)


def test_a_graph_comes_back_from_json():
    whole = graph(*ALL_LAYERS, readout=SpikeCount())
    again = Graph.model_validate_json(whole.model_dump_json())
    assert again == whole
    assert again.parameter_shapes() == whole.parameter_shapes()


@pytest.mark.parametrize(
    ("layers", "says"),
    [
        ((Linear(features=3),), r"Layer linear1, with input 2x12x12: needs a flat input"),
        ((Flatten(), Linear(features=9), MaxPool()), r"Layer max_pool1, with input 9: .*cannot follow"),
        ((Flatten(), Conv2d(channels=2, kernel=3)), r"Layer conv2d1, with input 288: .*cannot follow"),
        (
            (Conv2d(channels=2, kernel=3), Conv2d(channels=2, kernel=11)),
            r"Layer conv2d2, with input 2x10x10: its kernel of 11x11",
        ),
        ((AvgPool(size=13),), r"Layer avg_pool1.*window of 13x13 is larger"),
        ((Neuron(dynamics=LIF(), recurrent=True), Flatten()), r"Layer lif1.*recurrent and needs a flat input"),
        ((Conv2d(channels=2, kernel=3),), r"ends in a flat layer"),
        ((), r"ends in a flat layer"),
    ],
)
def test_layers_that_do_not_fit_are_named(layers, says):
    with pytest.raises(ShapeError, match=says):
        graph(*layers)


def test_a_leaky_integrator_cannot_feed_back_spikes():
    with pytest.raises(ConfigError, match="no spikes to feed back"):
        Neuron(dynamics=LeakyIntegrator(), recurrent=True)


def test_a_block_lists_both_paths_and_their_sum():
    named = graph(*RESIDUAL).named
    assert [(at.name, at.inputs, at.output) for at in named] == [
        ("conv2d1", ("",), (4, 6, 6)),
        ("batch_norm1", ("conv2d1",), (4, 6, 6)),
        ("lif1", ("batch_norm1",), (4, 6, 6)),
        ("sum_pool1", ("",), (2, 6, 6)),
        ("conv2d2", ("sum_pool1",), (4, 6, 6)),
        ("lif2", ("conv2d2",), (4, 6, 6)),
        ("add1", ("lif1", "lif2"), (4, 6, 6)),
        ("lif3", ("add1",), (4, 6, 6)),
        ("dropout1", ("lif3",), (4, 6, 6)),
        ("add2", ("dropout1", "lif3"), (4, 6, 6)),
        ("add3", ("add2", "add1"), (4, 6, 6)),
        ("global_avg_pool1", ("add3",), (4,)),
        ("linear1", ("global_avg_pool1",), (3,)),
    ]
    assert graph(*RESIDUAL).last_reads["add1"] == "add3"
    assert [at.name for at in graph(*RESIDUAL).readers("lif3")] == ["dropout1", "add2"]
    again = Graph.model_validate_json(graph(*RESIDUAL).model_dump_json())
    assert again == graph(*RESIDUAL)


def test_what_a_sum_sends_on():
    spikes, values = Neuron(dynamics=LIF()), Conv2d(channels=2, kernel=1)
    sums = {
        "spikes": Residual(main=(spikes,)),
        "values": Residual(main=(values,)),
        "constant": Residual(main=(values,), shortcut=(values,)),
    }
    rest = (GlobalAvgPool(), Linear(features=3))
    leaving = {
        name: next(at.leaving for at in graph(block, *rest, encoder=code).named if at.name == "add1")
        for name, block in sums.items()
        for code in [Direct() if name == "constant" else Rate()]
    }
    assert leaving == {
        "spikes": Signal("multispikes"),
        "values": Signal("values"),
        "constant": Signal("values", constant=True),
    }


@pytest.mark.parametrize(
    ("block", "says"),
    [
        (
            Residual(main=(Conv2d(channels=3, kernel=1),)),
            r"add1, the sum of conv2d1 and the encoder: its main path gives 3x12x12 and its shortcut 2x12x12",
        ),
        (
            Residual(main=(Conv2d(channels=2, kernel=3),), shortcut=(MaxPool(),)),
            r"sum of conv2d1 and max_pool1: .*2x10x10",
        ),
    ],
)
def test_paths_that_do_not_fit_are_named(block, says):
    with pytest.raises(ShapeError, match=says):
        graph(block, GlobalAvgPool(), Linear(features=3))


def test_a_block_has_a_main_path():
    with pytest.raises(ConfigError, match="main"):
        Residual(main=())


@given(
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    dilation=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    groups=st.sampled_from([1, 2, 4]),
)
def test_a_rectangular_dilated_grouped_convolution_has_pytorchs_shape_and_fan_out(
    size, kernel, stride, padding, dilation, groups
):
    layer = Conv2d(
        channels=8, kernel=kernel, stride=stride, padding=padding, dilation=dilation, groups=groups, bias=False
    )
    shape = (4, *size)
    image = torch.ones(1, *shape, requires_grad=True)
    weight = torch.ones(8, 4 // groups, *kernel)
    try:
        out = F.conv2d(image, weight, None, stride, padding, dilation, groups)
    except RuntimeError:
        with pytest.raises(ShapeError, match="larger than its input"):
            layer.output_shape(shape)
        return
    out.sum().backward()
    assert layer.output_shape(shape) == tuple(out.shape[1:])
    assert layer.parameters(shape) == {"weight": tuple(weight.shape)}
    assert torch.equal(layer.fan_out(shape), image.grad[0])


def test_groups_are_equal():
    with pytest.raises(ConfigError, match="6 channels do not fall into 4 equal groups"):
        Conv2d(channels=6, kernel=1, groups=4)
    with pytest.raises(ShapeError, match=r"conv2d1.*input's 2 channels do not fall into 3 equal groups"):
        graph(Conv2d(channels=6, kernel=1, groups=3), GlobalAvgPool(), Linear(features=3))


def test_a_pools_padding_leaves_something_in_every_window():
    with pytest.raises(ConfigError, match="at most half its window of 2x3; got 1x2"):
        MaxPool(size=(2, 3), padding=(1, 2))


def test_what_older_versions_could_not_say_is_written_down_only_where_it_is_said():
    assert Conv2d(channels=2, kernel=3).model_dump(mode="json") == {
        "kind": "conv2d", "channels": 2, "kernel": 3, "stride": 1, "padding": 0, "bias": True,
        "init": {"kind": "uniform", "gain": 1.0},
    }  # fmt: skip
    assert MaxPool().model_dump(mode="json") == {"kind": "max_pool", "size": 2, "stride": None}
    assert Conv2d(channels=2, kernel=3, groups=2).model_dump()["groups"] == 2

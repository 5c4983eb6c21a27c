"""What layers, encoders and neurons say of themselves is what they do; every member of the unions says it."""

from typing import get_args

import pytest
import torch

from spikewise import engine
from spikewise.dynamics import Dynamics, RegisteredNeuron
from spikewise.encoders import Direct, Encoder, RegisteredEncoder, intensities
from spikewise.engine import RunOptions
from spikewise.graph import Dropout, Flatten, Graph, Layer, Linear, Neuron
from spikewise.network import Network
from spikewise.readouts import LastMembrane
from spikewise.types import Draw, Signal

NEEDED = {"features": 3, "channels": 3, "kernel": 2, "main": (Dropout(),)}
"""Values of the fields that have no default, by name."""
STEPS, BATCH = 12, 3


def members(union) -> tuple[type, ...]:
    return [kind for kind in get_args(get_args(union)[0]) if kind not in (RegisteredNeuron, RegisteredEncoder)]


def made(kind: type):
    """A layer of a kind, for a map of 2 x 6 x 6 where it can take one."""
    return kind(**{name: NEEDED[name] for name in kind.model_fields if name in NEEDED})


def every_layer() -> list[Layer]:
    plain = [made(kind) for kind in members(Layer) if kind is not Neuron]
    return plain + [Neuron(dynamics=kind()) for kind in members(Dynamics)]


def shape_for(layer) -> tuple[int, ...]:
    return (8,) if isinstance(layer, Linear) else (2, 6, 6)


def signals() -> dict[str, Signal]:
    return {
        "pixels": Signal("values", constant=True, pixels=True),
        "values": Signal("values"),
        "spikes": Signal("spikes"),
        "multispikes": Signal("multispikes", quantum=0.25),
    }


def sent(signal: Signal, shape: tuple[int, ...]) -> torch.Tensor:
    """Something that a signal may carry: [T, B, *shape]."""
    chance = torch.rand(STEPS, BATCH, *shape, generator=torch.Generator().manual_seed(0))
    made = {"values": chance, "spikes": (chance > 0.6).float(), "multispikes": (4 * chance).floor() * signal.quantum}
    return made[signal.carrier][:1].expand_as(chance) if signal.constant else made[signal.carrier]


def is_carried(x: torch.Tensor, signal: Signal) -> bool:
    """Whether an output [T, B, ...] is what the signal promises."""
    counts = x / signal.quantum
    whole = torch.equal(counts, counts.round())
    kinds = {"values": True, "spikes": whole and x.min() >= 0 and x.max() <= 1, "multispikes": whole}
    return bool(kinds[signal.carrier]) and (not signal.constant or torch.equal(x, x[:1].expand_as(x)))


def run_alone(layer, shape, inputs):
    """The reference engine's run of one layer over inputs [T, B, *shape]."""
    image = shape if len(shape) == 3 else (shape[0], 1, 1)
    flat = (Flatten(),) if len(shape) == 1 else ()
    after = () if len(layer.output_shape(shape)) == 1 else (Flatten(),)
    graph = Graph(image_shape=image, encoder=Direct(steps=STEPS), layers=(*flat, layer, *after), readout=LastMembrane())
    at = next(at for at in graph.named if at.layer == layer)
    options = RunOptions(record=frozenset({at.name}), measure=True)
    weights = Network(graph, seed=1).weights
    result = engine.run(
        graph, weights, inputs.reshape(*inputs.shape[:2], *image), Draw.first(BATCH), options, "reference"
    )
    return at, result


@pytest.mark.parametrize("arriving", signals().values(), ids=signals())
@pytest.mark.parametrize("layer", every_layer(), ids=lambda layer: layer.name)
def test_a_layer_sends_what_it_says(layer, arriving):
    shape = shape_for(layer)
    inputs = sent(arriving, shape)
    assert is_carried(inputs, arriving)
    at, result = run_alone(layer, shape, 40 * inputs if layer.name == "izhikevich" else inputs)
    trace = result.traces[at.name]
    output = trace.spikes if layer.emits(arriving).carrier == "spikes" and layer.spikes else trace.output
    assert is_carried(output, layer.emits(arriving))
    assert (trace.spikes is not None) == layer.spikes
    if layer.spikes:
        assert trace.spikes.abs().sum() > 0


@pytest.mark.parametrize("layer", every_layer(), ids=lambda layer: layer.name)
def test_a_layers_state_weights_and_counterpart_are_what_it_says(layer):
    shape = shape_for(layer)
    at, result = run_alone(layer, shape, sent(Signal("values"), shape))
    assert set(result.input_events) == ({at.name} if layer.weighted else set())
    assert layer.weighted == ("weight" in layer.parameters(shape) and "running_var" not in layer.parameters(shape))
    state = result.state.get(at.name)
    # spikes are sent, not kept; a clock is one for the whole layer
    fields = () if state is None or isinstance(state, torch.Tensor) else set(state._fields) - {"z", "t"}
    kept = 1 if isinstance(state, torch.Tensor) else len(fields)
    assert layer.state_variables == kept
    assert layer.summary
    other = layer.conventional()
    assert not other.spikes
    assert (other == layer) == (not layer.spikes)
    assert other.output_shape(shape) == layer.output_shape(shape)


@pytest.mark.parametrize("layer", [one for one in every_layer() if one.weighted], ids=lambda layer: layer.name)
def test_the_fan_out_is_the_number_of_outputs_that_change_with_an_input(layer):
    shape = shape_for(layer)
    zero = torch.zeros(1, 1, *shape)
    one_by_one = torch.eye(zero.numel()).view(1, -1, *shape)
    graph_outputs = [_linear(layer, shape, x) for x in (zero, one_by_one)]
    changed = (graph_outputs[1] != graph_outputs[0]).flatten(1).sum(1).view(shape)
    assert torch.equal(layer.fan_out(shape), changed.float())


def _linear(layer, shape, inputs):
    image = shape if len(shape) == 3 else (shape[0], 1, 1)
    layers = (layer, Flatten()) if len(shape) == 3 else (Flatten(), layer)
    graph = Graph(image_shape=image, encoder=Direct(steps=1), layers=layers, readout=LastMembrane())
    weights = {name: torch.ones(shape) for name, shape in graph.parameter_shapes().items()}
    x = inputs.reshape(1, -1, *image)
    return engine.run(graph, weights, x, Draw.first(x.shape[1]), engine="reference").trajectory.membrane[0]


@pytest.mark.parametrize("kind", members(Encoder), ids=lambda kind: kind.__name__)
def test_an_encoder_sends_what_it_says(kind):
    encoder = kind(steps=STEPS)
    images = torch.randint(0, 256, (BATCH, 2, 6, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    out = encoder(images, Draw.first(BATCH))
    assert out.shape == (STEPS, BATCH, encoder.channels(2), 6, 6)
    assert is_carried(out, encoder.emits)
    if encoder.emits.pixels:
        assert torch.equal(out[0], intensities(images))


@pytest.mark.parametrize("kind", members(Encoder), ids=lambda kind: kind.__name__)
def test_an_encoder_is_differentiable_where_its_mean_at_each_step_is_the_intensity(kind):
    encoder = kind(steps=4)
    levels = torch.tensor([20, 100, 200, 250], dtype=torch.uint8).view(1, 1, 1, 4).expand(4000, 1, 1, 4)
    mean = encoder(levels, Draw.first(4000))[:, :, :1].mean(1)
    # the standard error of 4,000 draws is at most 0.008: six of them
    same = (mean - intensities(levels[:1]).expand_as(mean)).abs().max() < 0.05
    assert bool(same) == encoder.differentiable
    if encoder.differentiable:
        assert torch.equal(encoder.expected(levels[:1]), intensities(levels[:1]).expand(4, 1, 1, 1, 4))

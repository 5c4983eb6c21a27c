"""Every count of a network's work is the one that a loop over its recorded spikes and its synapses gives."""

import itertools
from typing import NamedTuple, get_args

import pytest
import torch

from spikewise.dynamics import ALIF, IF, LIF, Dynamics, Izhikevich, LeakyIntegrator, RegisteredNeuron
from spikewise.encoders import Direct, Encoder, Rate, RegisteredEncoder
from spikewise.engine import Ask, RunOptions
from spikewise.engine.native.refusals import refusal
from spikewise.evaluation.cost import ENERGY_MODELS, count_operations, layer_work
from spikewise.extension import extension
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
    SpikingActivation,
    SumPool,
)
from spikewise.network import Network
from spikewise.readouts import MeanMembrane
from spikewise.types import Draw

SHAPE, STEPS, BATCH = (2, 7, 6), 8, 4
LIF_HALF = Neuron(dynamics=LIF(beta=0.5))
ADAPTIVE = ALIF(beta=0.5, adaptation=0.25, adaptation_decay=0.5)
HEAD = (Flatten(), Linear(features=3), Neuron(dynamics=LeakyIntegrator(beta=0.5)))


class Case(NamedTuple):
    """A network, and by hand what each of its weighted layers is fed with."""

    layers: tuple
    fed: dict[str, str]
    """"spikes", "several" spikes, "values", or "constant" values."""
    encoder: Encoder = Rate(steps=STEPS)
    native: bool = True
    added: int = 0
    """Numbers of one image that its sums add besides what weighted layers add."""


DENSE = (Flatten(), Linear(features=9), LIF_HALF, *HEAD[1:])
QUICK: dict[str, dict[str, float]] = {"latency": {"tau": 4}, "periodic": {"tau": 2}}
"""Settings under which an encoder sends something in so few steps."""
ENCODER_KINDS = set(get_args(get_args(Encoder)[0])) - {RegisteredEncoder}
NEURON_KINDS = set(get_args(get_args(Dynamics)[0])) - {RegisteredNeuron}
"""Those from outside are counted in `tests/test_registering.py`."""
ENCODERS = [
    kind(steps=STEPS, **QUICK.get(kind.model_fields["kind"].default, {})) for kind in sorted(ENCODER_KINDS, key=str)
]


def _encoded(encoder: Encoder) -> Case:
    fed = "constant" if encoder.emits.constant else encoder.emits.carrier
    graph = Graph(image_shape=SHAPE, encoder=encoder, layers=DENSE, readout=MeanMembrane())
    return Case(DENSE, {"linear1": fed, "linear2": "spikes"}, encoder, native=refusal(Ask(graph)) is None)


def _with_neurons(neuron: Dynamics) -> Case:
    layers = (Flatten(), Linear(features=9), Neuron(dynamics=neuron), *HEAD[1:])
    graph = Graph(image_shape=SHAPE, encoder=Rate(steps=STEPS), layers=layers, readout=MeanMembrane())
    fed = {"linear1": "spikes", "linear2": "spikes" if neuron.spikes else "values"}
    return Case(layers, fed, native=refusal(Ask(graph)) is None)


CASES = {
    **{encoder.kind: _encoded(encoder) for encoder in ENCODERS},
    **{f"{kind.__name__} as it comes": _with_neurons(kind()) for kind in sorted(NEURON_KINDS, key=str)},
    "strided": Case(
        (Conv2d(channels=3, kernel=3, stride=2, padding=1), Neuron(dynamics=IF()), Conv2d(channels=4, kernel=2),
         LIF_HALF, Dropout(), MaxPool(size=2, stride=1), *HEAD),
        {"conv2d1": "spikes", "conv2d2": "spikes", "linear1": "spikes"},
    ),
    "recurrent": Case(
        (Flatten(), Linear(features=9), Neuron(dynamics=ADAPTIVE, recurrent=True), Linear(features=5),
         Neuron(dynamics=LIF(beta=0.5), recurrent=True, self_connections=True), *HEAD[1:]),
        {"linear1": "spikes", "lif1.recurrent": "spikes", "alif1.recurrent": "spikes", "linear2": "spikes",
         "linear3": "spikes"},
    ),
    "recurrent output": Case(
        (Flatten(), Linear(features=3), Neuron(dynamics=LIF(beta=0.5), recurrent=True)),
        {"linear1": "spikes", "lif1.recurrent": "spikes"},
    ),
    "two convolutions in a row": Case(
        (Conv2d(channels=4, kernel=3, padding=1), Conv2d(channels=3, kernel=1), LIF_HALF, *HEAD),
        {"conv2d1": "spikes", "conv2d2": "values", "linear1": "spikes"},
    ),
    "two in a row under a constant current": Case(
        (Conv2d(channels=4, kernel=3, padding=1), Conv2d(channels=3, kernel=1), LIF_HALF, Flatten(), Linear(features=4),
         Linear(features=3)),
        {"conv2d1": "constant", "conv2d2": "constant", "linear1": "spikes", "linear2": "values"},
        Direct(steps=STEPS),
    ),
    "normalised and averaged": Case(
        (Conv2d(channels=4, kernel=3, padding=1), BatchNorm(), LIF_HALF, AvgPool(), Conv2d(channels=3, kernel=2),
         BatchNorm(), LIF_HALF, *HEAD),
        {"conv2d1": "spikes", "conv2d2": "values", "linear1": "spikes"},
    ),
    "hybrid": Case(
        (Conv2d(channels=4, kernel=3), Activation(), MaxPool(), Flatten(), Linear(features=7), LIF_HALF, *HEAD[1:]),
        {"conv2d1": "constant", "linear1": "constant", "linear2": "spikes"},
        Direct(steps=STEPS),
        native=False,
    ),
    "activation of spikes": Case(
        (Conv2d(channels=4, kernel=3), Activation(), *HEAD), {"conv2d1": "spikes", "linear1": "values"}, native=False
    ),
    "quantised activations": Case(
        (Conv2d(channels=4, kernel=3), QCFS(levels=3, per="channel"), AvgPool(), Flatten(), Linear(features=7),
         LIF_HALF, *HEAD[1:]),
        {"conv2d1": "constant", "linear1": "constant", "linear2": "spikes"},
        Direct(steps=STEPS),
        native=False,
    ),
    "a leaky integrator inside": Case(
        (Flatten(), Linear(features=7), Neuron(dynamics=LeakyIntegrator(beta=0.5)), *HEAD[1:]),
        {"linear1": "spikes", "linear2": "values"},
    ),
    "izhikevich": Case(
        (Flatten(), Linear(features=7), Neuron(dynamics=Izhikevich(gain=1500.0)), *HEAD[1:]),
        {"linear1": "spikes", "linear2": "spikes"},
        native=False,
    ),
    **{
        f"several spikes, {function} dt {dt:g}": Case(
            (Conv2d(channels=4, kernel=3), SpikingActivation(function=function, dt=dt), MaxPool(),
             Conv2d(channels=3, kernel=2), SpikingActivation(function=function, dt=dt), AvgPool(size=1), *HEAD),
            {"conv2d1": "constant", "conv2d2": "several", "linear1": "values"},
            Direct(steps=STEPS),
            native=False,
        )
        for function, dt in (("relu", 0.5), ("relu", 2.0), ("relu", 10.0), ("tanh", 4.0))
    },
    "a block that adds currents": Case(
        (Conv2d(channels=4, kernel=3, padding=1), BatchNorm(), LIF_HALF,
         Residual(main=(Conv2d(channels=4, kernel=3, stride=2, padding=1), BatchNorm(), LIF_HALF,
                        Conv2d(channels=4, kernel=(3, 1), padding=(1, 0)), BatchNorm()),
                  shortcut=(Conv2d(channels=4, kernel=1, stride=2),)),
         LIF_HALF, *HEAD),
        {"conv2d1": "spikes", "conv2d2": "spikes", "conv2d3": "spikes", "conv2d4": "spikes", "linear1": "spikes"},
        native=False,
    ),
    "a block that adds spikes to a current": Case(
        (Conv2d(channels=4, kernel=3), LIF_HALF, Residual(main=(Conv2d(channels=4, kernel=3, padding=1),)), LIF_HALF,
         *HEAD),
        {"conv2d1": "spikes", "conv2d2": "spikes", "linear1": "spikes"}, native=False, added=STEPS * 4 * 5 * 4,
    ),
    "blocks that add spikes": Case(
        (Conv2d(channels=4, kernel=3), LIF_HALF,
         Residual(main=(Conv2d(channels=4, kernel=3, padding=1, groups=2), LIF_HALF)),
         Residual(main=(Conv2d(channels=4, kernel=3, padding=2, dilation=2, groups=4), LIF_HALF)), *HEAD),
        {"conv2d1": "spikes", "conv2d2": "spikes", "conv2d3": "several", "linear1": "several"},
        native=False, added=2 * STEPS * 4 * 5 * 4,
    ),
    "a block past the membranes": Case(
        (Conv2d(channels=4, kernel=3), Residual(main=(LIF_HALF, Conv2d(channels=4, kernel=3, padding=1))),
         Residual(main=(LIF_HALF, SumPool(size=2, padding=1), Conv2d(channels=5, kernel=(1, 2))),
                  shortcut=(LIF_HALF, Conv2d(channels=5, kernel=1, stride=2))), LIF_HALF, GlobalAvgPool(), HEAD[1]),
        {"conv2d1": "constant", "conv2d2": "spikes", "conv2d3": "several", "conv2d4": "spikes", "linear1": "values"},
        Direct(steps=STEPS), native=False, added=STEPS * 4 * 5 * 4,
    ),
    "a block of values that never change": Case(
        (Residual(main=(Conv2d(channels=2, kernel=1),)), LIF_HALF, *HEAD),
        {"conv2d1": "constant", "linear1": "spikes"}, Direct(steps=STEPS), native=False, added=2 * 7 * 6,
    ),
}  # fmt: skip
ENGINES = ["reference", "native"] if extension() is not None else ["reference"]


def made(case: Case, engine: str) -> Network:
    graph = Graph(image_shape=SHAPE, encoder=case.encoder, layers=case.layers, readout=MeanMembrane())
    network = Network(graph, seed=1, engine_name=engine).eval()
    with torch.no_grad():
        for weight in network.parameters():  # in 64ths, so that every engine's sums are exact
            weight.copy_((64 * (2 * weight + 0.02)).round() / 64)
    return network


def images_for(encoder: Encoder) -> torch.Tensor:
    pixels = torch.randint(0, 256, (BATCH, *SHAPE), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))
    return pixels if not isinstance(encoder, Direct) else (pixels > 150).to(torch.uint8) * 255


def synapses(at) -> torch.Tensor:
    """Outputs that each input reaches, one by one."""
    layer = at.layer
    if isinstance(layer, Linear):
        return torch.full(at.input, float(layer.features))
    count = torch.zeros(at.input)
    (down, right), (above, left), (tall, wide) = layer.strides, layer.paddings, layer.dilations
    for y, x in itertools.product(range(at.output[1]), range(at.output[2])):
        for dy, dx in itertools.product(*map(range, layer.window)):
            row, column = y * down + dy * tall - above, x * right + dx * wide - left
            if 0 <= row < at.input[1] and 0 <= column < at.input[2]:
                count[:, row, column] += layer.channels // layer.groups
    return count


def tally(case: Case, images: torch.Tensor) -> dict[str, float]:
    """Work of one image, from everything that the layers of the reference engine did."""
    network = made(case, "reference")
    names = frozenset(at.name for at in network.graph.named)
    with torch.no_grad():
        outputs = {"": (network.encode(images, Draw.first(BATCH)), 1.0)}
        traces = network(images, Draw.first(BATCH), RunOptions(record=names)).result.traces
    out = dict.fromkeys(("macs", "effective_macs", "synaptic_operations", "dense_operations", "state_updates"), 0.0)
    out["additions"] = float(case.added)
    sent, units = 0.0, 0
    for at in network.graph.named:
        x, quantum = outputs[at.inputs[0]]
        if isinstance(at.layer, Linear | Conv2d):
            fan_out, fed = synapses(at), case.fed[at.name]
            passes = 1 if fed == "constant" else STEPS
            out["dense_operations"] += passes * float(fan_out.sum())
            if fed in ("constant", "values"):
                out["macs"] += passes * float(fan_out.sum())
                out["effective_macs"] += float(((x[:passes] != 0) * fan_out).sum()) / BATCH
            else:
                out["synaptic_operations"] += float((x.abs() / quantum * fan_out).sum()) / BATCH
        trace = traces[at.name]
        x = trace.output
        if isinstance(at.layer, Neuron | SpikingActivation):
            out["state_updates"] += STEPS * at.output[0] * (at.output[1] * at.output[2] if len(at.output) == 3 else 1)
        if trace.spikes is not None:
            x, quantum = (
                (trace.output, 1 / at.layer.dt) if isinstance(at.layer, SpikingActivation) else (trace.spikes, 1.0)
            )
            sent, units = sent + float((trace.spikes != 0).sum()) / BATCH, units + trace.spikes[0, 0].numel()
        outputs[at.name] = (x, quantum)
        if f"{at.name}.recurrent" in case.fed:
            count = at.output[0]
            reached = count if at.layer.self_connections else count - 1
            out["synaptic_operations"] += float(trace.spikes[:-1].sum()) * reached / BATCH
            out["dense_operations"] += STEPS * count * reached
    return {**out, "active": sent / max(1, STEPS * units)}


def inside(layer: Layer) -> list[Layer]:
    return [layer, *(layer.main + layer.shortcut if isinstance(layer, Residual) else ())]


def test_every_member_of_every_union_is_counted():
    layers = [layer for case in CASES.values() for block in case.layers for layer in inside(block)]
    assert {type(layer) for layer in layers} == set(get_args(get_args(Layer)[0]))
    neurons = {type(layer.dynamics) for layer in layers if isinstance(layer, Neuron)}
    assert neurons == NEURON_KINDS
    assert {type(case.encoder) for case in CASES.values()} == ENCODER_KINDS


@pytest.mark.parametrize(
    ("name", "engine"),
    [(name, one) for name, case in CASES.items() for one in ENGINES if case.native or one != "native"],
)
def test_the_counts_are_those_of_a_loop_over_recorded_spikes(name, engine):
    case = CASES[name]
    images = images_for(case.encoder)
    network = made(case, engine)
    with torch.no_grad():
        result = network(images, Draw.first(BATCH), RunOptions(measure=True)).result
    assert result.engine == engine
    assert set(result.input_events) == set(case.fed)
    wanted = tally(case, images)
    found = count_operations(network.graph, result.input_events)._asdict()
    shares = list(result.active.values())
    found["active"] = float(sum(share.sum() for share in shares)) / max(1, sum(share.numel() for share in shares))
    assert found == pytest.approx(wanted, rel=1e-5)
    assert wanted["synaptic_operations"] > 0
    assert not shares or name.endswith("as it comes") or 0 < wanted["active"] < 1


@pytest.mark.parametrize("name", CASES)
def test_counts_in_parts_add_up_to_those_of_the_whole_run(name):
    case = CASES[name]
    network, images, draw = made(case, "reference"), images_for(case.encoder), Draw.first(BATCH)
    with torch.no_grad():
        inputs = network.encode(images, draw)
        whole = network.run(inputs, draw, RunOptions(measure=True)).result.input_events
        first = network.run(inputs[:3], draw, RunOptions(measure=True)).result
        rest = network.run(inputs[3:], draw, RunOptions(measure=True, state=first.state)).result
    for at, events in whole.items():
        torch.testing.assert_close((3 * first.input_events[at] + (STEPS - 3) * rest.input_events[at]) / STEPS, events)


def test_loihi_has_no_price_for_sums_of_weights_nor_for_several_spikes_at_once():
    loihi = next(model for model in ENERGY_MODELS if model.name == "Loihi")
    for name, case in CASES.items():
        network = made(case, "reference")
        with torch.no_grad():
            result = network(images_for(case.encoder), Draw.first(BATCH), RunOptions(measure=True)).result
        price = loihi.price(layer_work(network.graph, result.input_events), 8)
        assert (price is not None) == (set(case.fed.values()) == {"spikes"} and not case.added), name

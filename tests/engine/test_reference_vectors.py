"""The reference engine against numbers computed once by public implementations (tests/fixtures/README.md)."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from spikewise.dynamics import ALIF, LIF, Izhikevich, LeakyIntegrator
from spikewise.encoders import Direct, charging_time
from spikewise.engine import Ask, native
from spikewise.engine.reference import spiking_activation
from spikewise.graph import Flatten, Graph, Linear, Neuron
from spikewise.network import Network
from spikewise.readouts import LastMembrane, MaxMembrane
from spikewise.surrogates import FastSigmoid, Triangle
from spikewise.types import Draw

FIXTURES = Path(__file__).parents[1] / "fixtures"
B, T, INPUTS, NEURONS = 4, 60, 20, 12


@pytest.fixture(scope="module")
def numbers():
    with np.load(FIXTURES / "neurons.npz") as stored:
        return dict(stored)


def bits(packed, *shape):
    whole = np.unpackbits(packed)[: math.prod(shape)].reshape(shape)
    return torch.from_numpy(whole).float().transpose(0, 1)


def time_first(array) -> Tensor:
    return torch.from_numpy(array).transpose(0, 1)


def dynamics(name, surrogate):
    if name == "lif":
        surrogate = (
            FastSigmoid(slope=1.0) if surrogate == "fast_sigmoid" else Triangle(height=1 / (1 + 1e-5), width=1 + 1e-5)
        )
        return LIF(beta=math.exp(-1 / 10), reset="zero", reset_delay=True, surrogate=surrogate)
    return ALIF(
        beta=math.exp(-1 / 20),
        threshold=0.03,
        adaptation=1.6,
        adaptation_decay=math.exp(-1 / 200),
        reset="zero",
        reset_delay=True,
        threshold_gradient=False,
        relative_surrogate=surrogate == "phi",
        surrogate=FastSigmoid(slope=0.3) if surrogate == "fast_sigmoid" else Triangle(height=0.3, width=1.0),
    )


def one_layer(neuron: Neuron, features: int, readout=LastMembrane(), engine="auto") -> Network:  # noqa: B008  # immutable
    layers = (Flatten(), Linear(features=features, bias=False), neuron)
    graph = Graph(image_shape=(1, 1, INPUTS), encoder=Direct(steps=T), layers=layers, readout=readout)
    if engine == "native" and (reason := native.NativeEngine().refuses(Ask(graph))):
        pytest.skip(reason)  # such as: this neuron runs on the reference engine alone, or nothing was compiled
    return Network(graph, engine_name=engine)


def run(network: Network, numbers, weights: dict[str, str]):
    for name, key in weights.items():
        network.get_parameter(name).data = torch.from_numpy(numbers[key].T.copy())
    inputs = bits(numbers["inputs"], B, T, INPUTS)
    return network.run(inputs.view(T, B, 1, 1, INPUTS), Draw.first(B))


@pytest.mark.parametrize("engine", ["reference", "native"])
@pytest.mark.parametrize("surrogate", ["fast_sigmoid", "phi"])
@pytest.mark.parametrize("mode", ["ff", "rec"])
@pytest.mark.parametrize("name", ["lif", "alif"])
def test_lif_and_alif_layers_match_the_published_spikes_membranes_and_gradients(numbers, name, mode, surrogate, engine):
    neuron = Neuron(dynamics=dynamics(name, surrogate), recurrent=mode == "rec")
    network = one_layer(neuron, NEURONS, engine=engine)
    weights = {"linear1.weight": f"{name}_w"} | ({f"{name}1.recurrent": f"{name}_rec_w"} if mode == "rec" else {})

    output = run(network, numbers, weights)
    spikes, v = output.trajectory
    mask = torch.linspace(-1, 1, B * T * NEURONS).view(B, T, NEURONS).transpose(0, 1)
    loss = (spikes * mask).sum() + 0.1 * (v * mask).sum()
    state = output.result.state[f"{name}1"]
    loss.backward()

    assert torch.equal(spikes, bits(numbers[f"{name}_{mode}_spikes"], B, T, NEURONS))
    torch.testing.assert_close(v[:, :1], time_first(numbers[f"{name}_{mode}_v"]), rtol=1e-5, atol=1e-5)
    if name == "alif":
        torch.testing.assert_close(state.a[0], time_first(numbers[f"{name}_{mode}_a"])[-1, 0], rtol=1e-5, atol=1e-6)
    assert loss.item() == pytest.approx(float(numbers[f"{name}_{mode}_{surrogate}_loss"]), rel=1e-5)
    for parameter, stored in weights.items():
        wanted = torch.from_numpy(numbers[stored.replace(name, f"{name}_{mode}_{surrogate}_grad")].T)
        scale = wanted.abs().max().item()
        torch.testing.assert_close(network.get_parameter(parameter).grad, wanted, rtol=1e-5, atol=1e-5 * scale)


def test_alif_with_the_correct_threshold_gradient_differs_from_the_published_one(numbers):
    neuron = dynamics("alif", "phi").replace(threshold_gradient=True)
    network = one_layer(Neuron(dynamics=neuron), NEURONS)
    output = run(network, numbers, {"linear1.weight": "alif_w"})
    output.trajectory.spikes.sum().backward()
    right = network.linear1.weight.grad.clone()

    detached = one_layer(Neuron(dynamics=dynamics("alif", "phi")), NEURONS)
    run(detached, numbers, {"linear1.weight": "alif_w"}).trajectory.spikes.sum().backward()
    assert not torch.allclose(right, detached.linear1.weight.grad, rtol=1e-2)


def test_izhikevich_matches_the_published_trace(numbers):
    network = one_layer(Neuron(dynamics=Izhikevich(gain=1.0)), NEURONS)
    output = run(network, numbers, {"linear1.weight": "izhikevich_w"})
    spikes, v = output.trajectory
    assert torch.equal(spikes, bits(numbers["izhikevich_spikes"], B, T, NEURONS))
    assert spikes.sum() > 0
    torch.testing.assert_close(v[:, :1], time_first(numbers["izhikevich_v"]), rtol=1e-5, atol=1e-3)
    u = output.result.state["izhikevich1"].u
    torch.testing.assert_close(u[0], time_first(numbers["izhikevich_u"])[-1, 0], rtol=1e-5, atol=1e-3)


def test_leaky_integrator_and_max_readout_match_the_published_logits(numbers):
    network = one_layer(Neuron(dynamics=LeakyIntegrator(beta=math.exp(-1 / 10))), 5, MaxMembrane())
    output = run(network, numbers, {"linear1.weight": "readout_w"})
    torch.testing.assert_close(
        output.trajectory.membrane[:, :1], time_first(numbers["readout_y"]), rtol=1e-5, atol=1e-5
    )
    torch.testing.assert_close(output.logits, torch.from_numpy(numbers["readout_logits"]), rtol=1e-5, atol=1e-5)


def encoder_cases():
    with np.load(FIXTURES / "encoders.npz") as stored:
        return sorted({name.rsplit("_", 1)[0] for name in stored if name != "pixels"})


@pytest.mark.parametrize("case", encoder_cases())
def test_charging_times_give_the_published_latency_and_periodic_trains(case):
    steps, tau, threshold = (
        cast(part.lstrip("ntauhr")) for cast, part in zip((int, float, float), case.split("_"), strict=True)
    )
    with np.load(FIXTURES / "encoders.npz") as stored:
        k = charging_time(torch.from_numpy(stored["pixels"]), steps, tau, threshold)
        clock = torch.arange(steps).view(-1, 1)
        assert torch.equal((clock == k).to(torch.uint8), torch.from_numpy(stored[f"{case}_latency"]))
        period = k.clamp(1, steps - 1)
        periodic = (clock > 0) & (clock % period == 0)
        assert torch.equal(periodic.to(torch.uint8), torch.from_numpy(stored[f"{case}_periodic"]))


@pytest.mark.parametrize("dt", [0.001, 0.01, 0.5, 2.0])
def test_spiking_activation_matches_the_published_outputs_and_has_the_gradient_of_relu(dt):
    with np.load(FIXTURES / "spiking_activation.npz") as stored:
        x = time_first(stored[f"dt{dt}_x"]).clone().requires_grad_()
        v0, wanted, v_end = (torch.from_numpy(stored[f"dt{dt}_{key}"]) for key in ("v0", "y", "v"))
    y, v = spiking_activation(x.relu(), v0, dt)
    torch.testing.assert_close(y, wanted.transpose(0, 1), rtol=1e-12, atol=1e-9)
    torch.testing.assert_close(v, v_end, rtol=0, atol=1e-12)
    weights = torch.randn(y.shape, dtype=y.dtype, generator=torch.Generator().manual_seed(0))
    (y * weights).sum().backward()
    assert torch.equal(x.grad, weights * (x > 0))

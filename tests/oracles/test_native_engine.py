"""The native engine runs whole networks as other libraries do: the same spikes, the same gradients of the weights."""

import pytest
import torch
import torch.nn.functional as F

from spikewise.dynamics import LIF
from spikewise.encoders import Rate
from spikewise.engine import native
from spikewise.graph import Flatten, Graph, Linear, Neuron
from spikewise.network import Network
from spikewise.readouts import SpikeCount
from spikewise.surrogates import ATan, FastSigmoid
from spikewise.types import Draw

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # the peers' own
    pytest.mark.skipif("not compiled" in native.status(), reason="built without a compiler"),
]
STEPS, BATCH, HIDDEN, CLASSES = 30, 6, 20, 5
LEAK = 0.1


def ours(neuron: LIF) -> Network:
    layers = (
        Flatten(),
        Linear(features=HIDDEN),
        Neuron(dynamics=neuron),
        Linear(features=CLASSES),
        Neuron(dynamics=neuron),
    )
    graph = Graph(image_shape=(1, 4, 6), encoder=Rate(steps=STEPS), layers=layers, readout=SpikeCount())
    net = Network(graph, engine_name="native")
    with torch.no_grad():
        net.get_parameter("linear1.weight").mul_(3.0)
        net.get_parameter("linear2.weight").mul_(4.0)
    return net


def snntorch_step(scale):
    import snntorch

    cells = [snntorch.Leaky(beta=0.9, spike_grad=snntorch.surrogate.fast_sigmoid(slope=5)) for _ in range(2)]
    membranes = [cell.reset_mem() for cell in cells]

    def step(layer, current):
        spikes, membranes[layer] = cells[layer](scale * current, membranes[layer])
        return spikes

    return step


def spikingjelly_step(scale):
    from spikingjelly.activation_based import neuron, surrogate

    cells = [
        neuron.LIFNode(10.0, False, v_reset=None, detach_reset=False, surrogate_function=surrogate.ATan(alpha=2.0))
        for _ in range(2)
    ]
    return lambda layer, current: cells[layer](scale * current)


def norse_step(scale):
    from norse.torch.functional.lif import LIFFeedForwardState, LIFParameters, lif_feed_forward_step

    constants = (torch.tensor(x) for x in (1000.0, 100.0, 0.0, 1.0, 0.0))
    p = LIFParameters(*constants, method="super", alpha=torch.tensor(1.0))
    states: list = [None, None]

    def step(layer, current):
        zero = torch.zeros_like(current)
        state = states[layer] or LIFFeedForwardState(zero, zero)
        spikes, states[layer] = lif_feed_forward_step(scale * current, state, p, dt=0.001)
        return spikes

    return step


PEERS = {
    "snntorch": (LIF(beta=0.9, reset_delay=True, surrogate=FastSigmoid(slope=5)), snntorch_step, 1.0),
    "spikingjelly": (LIF(beta=0.9, reset_gradient=True, surrogate=ATan(alpha=2.0)), spikingjelly_step, 1.0),
    # Norse multiplies what comes in by dt / tau.
    "norse": (
        LIF(beta=1 - LEAK, reset="zero", reset_gradient=True, surrogate=FastSigmoid(slope=1)),
        norse_step,
        1 / LEAK,
    ),
}


@pytest.mark.parametrize("peer", PEERS)
def test_a_network_spikes_and_learns_as_in_another_library(peer):
    pytest.importorskip(peer, reason=f"{peer} is not installed: pip install 'spikewise[peers]'")
    neuron, make_step, scale = PEERS[peer]
    net, step = ours(neuron), make_step(scale)
    generator = torch.Generator().manual_seed(0)
    inputs = (torch.rand(STEPS, BATCH, 1, 4, 6, generator=generator) < 0.3).float()
    worth = torch.randn(STEPS, BATCH, CLASSES, generator=generator)
    weights = [w.detach().clone().requires_grad_() for w in net.parameters()]
    spikes = []
    for frame in inputs.flatten(2):
        hidden = step(0, F.linear(frame, weights[0], weights[1]))
        spikes.append(step(1, F.linear(hidden, weights[2], weights[3])))
    theirs = torch.stack(spikes)
    found = net.run(inputs, Draw.first(BATCH)).trajectory.spikes
    assert found.mean() > 0.02
    assert torch.equal(found, theirs)
    mine = torch.autograd.grad((found * worth).sum(), list(net.parameters()))
    for one, other in zip(mine, torch.autograd.grad((theirs * worth).sum(), weights), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4 * other.abs().max().item())

"""SpikingJelly's integrate-and-fire neurons and surrogates."""

import pytest
import torch

from spikewise.dynamics import IF, LIF
from spikewise.surrogates import ATan, Boxcar, Sigmoid, Triangle

pytestmark = pytest.mark.filterwarnings("ignore")  # the peer's own
RESETS = {"zero": 0.0, "subtract": None}
"""Their `v_reset`: a value is a hard reset, None a soft one."""


@pytest.fixture
def jelly():
    pytest.importorskip("spikingjelly", reason="SpikingJelly is not installed: pip install 'spikewise[peers]'")
    return pytest.importorskip("spikingjelly.activation_based")


def ours(neuron, currents):
    state, out = neuron.initial_state(currents[0]), []
    for current in currents:
        z, _, state = neuron.step(current, state, neuron.values())
        out.append(torch.stack([z, state.v]))
    return torch.stack(out, dim=1)


def theirs(node, currents):
    out = []
    for current in currents:
        z = node(current)
        out.append(torch.stack([z, node.v]))
    return torch.stack(out, dim=1)


def assert_same(one, other, currents, weights):
    assert one[0].mean() > 0.02
    assert torch.equal(one[0], other[0])
    torch.testing.assert_close(one[1], other[1], rtol=1e-5, atol=1e-5)
    gradients = [torch.autograd.grad((run * weights).sum(), currents, retain_graph=True)[0] for run in (one, other)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("gradient", [False, True], ids=["detached", "through the reset"])
@pytest.mark.parametrize("reset", RESETS)
def test_lif_and_if_agree(jelly, currents, weights, reset, gradient):
    from spikingjelly.activation_based import neuron, surrogate

    common = {"v_reset": RESETS[reset], "detach_reset": not gradient, "surrogate_function": surrogate.ATan(alpha=2.0)}
    mode = {"reset": reset, "reset_gradient": gradient, "surrogate": ATan(alpha=2.0)}
    leaky = neuron.LIFNode(tau=10.0, decay_input=False, **common)
    assert_same(ours(LIF(beta=1 - 1 / 10, **mode), currents), theirs(leaky, currents), currents, weights)
    assert_same(ours(IF(**mode), currents), theirs(neuron.IFNode(**common), currents), currents, weights)


def test_lif_with_its_default_decaying_input_is_ours_with_the_input_divided_by_tau(jelly, currents, weights):
    from spikingjelly.activation_based import neuron, surrogate

    strong = 8 * currents
    make = lambda: neuron.LIFNode(tau=10.0, surrogate_function=surrogate.ATan(), detach_reset=True)  # noqa: E731
    mapped = ours(LIF(beta=0.9, reset="zero", surrogate=ATan()), strong / 10)
    assert_same(mapped, theirs(make(), strong), currents, weights)
    naive = ours(LIF(beta=0.9, reset="zero", surrogate=ATan()), strong)
    assert not torch.equal(naive[0], theirs(make(), strong)[0])


def test_surrogates_agree(jelly):
    from spikingjelly.activation_based import surrogate

    pairs = [
        (ATan(alpha=3.0), surrogate.ATan(alpha=3.0)),
        (Sigmoid(slope=4.0), surrogate.Sigmoid(alpha=4.0)),
        (Triangle(height=2.0, width=0.5), surrogate.PiecewiseQuadratic(alpha=2.0)),
        (Boxcar(width=0.25), surrogate.Rect(alpha=2.0)),
    ]
    x = torch.linspace(-1.013, 1, 200, requires_grad=True)
    for one, other in pairs:
        assert torch.equal(one(x), other(x))
        gradients = [torch.autograd.grad(spike(x).sum(), x)[0] for spike in (one, other)]
        torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-6)


def test_at_the_threshold_itself_they_spike_and_we_do_not(jelly):
    from spikingjelly.activation_based import neuron

    current = torch.ones(1, 1)
    neuron_ours = IF()
    assert neuron.IFNode()(current).item() == 1
    assert neuron_ours.step(current, neuron_ours.initial_state(current), neuron_ours.values())[0].item() == 0

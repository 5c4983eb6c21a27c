"""Norse's LIF through the conversion, and the naive mapping that does not match."""

import pytest
import torch

from spikewise.dynamics import IF, LIF, CubaLIF
from spikewise.surrogates import FastSigmoid, Triangle

pytestmark = pytest.mark.filterwarnings("ignore")  # the peer's own
DT, TAU_INVERSE = 0.001, 100.0
LEAK = DT * TAU_INVERSE


@pytest.fixture
def norse():
    pytest.importorskip("norse", reason="Norse is not installed: pip install 'spikewise[peers]'")
    return pytest.importorskip("norse.torch.functional")


def ours(neuron, currents):
    state, out = neuron.initial_state(currents[0]), []
    for current in currents:
        z, _, state = neuron.step(current, state, neuron.values())
        out.append(torch.stack([z, state.v]))
    return torch.stack(out, dim=1)


def theirs(norse, currents, synaptic=1 / DT):
    """Norse integrates a synaptic current too; forgotten at once (dt / tau_syn = 1), it leaves the bare membrane."""
    from norse.torch.functional.lif import LIFFeedForwardState, LIFParameters, lif_feed_forward_step

    constants = (torch.tensor(x) for x in (synaptic, TAU_INVERSE, 0.0, 1.0, 0.0))
    p = LIFParameters(*constants, method="super", alpha=torch.tensor(1.0))
    state, out = LIFFeedForwardState(torch.zeros_like(currents[0]), torch.zeros_like(currents[0])), []
    for current in currents:
        z, state = lif_feed_forward_step(current, state, p, dt=DT)
        out.append(torch.stack([z, state.v]))
    return torch.stack(out, dim=1)


def test_lif_agrees_with_beta_1_minus_dt_over_tau_and_the_input_scaled_by_dt_over_tau(norse, currents, weights):
    strong = 8 * currents
    one = ours(LIF(beta=1 - LEAK, reset="zero", reset_gradient=True, surrogate=FastSigmoid(slope=1)), LEAK * strong)
    other = theirs(norse, strong)
    assert one[0].mean() > 0.02
    assert torch.equal(one[0], other[0])
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    gradients = [torch.autograd.grad((run * weights).sum(), currents, retain_graph=True)[0] for run in (one, other)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4)


def test_a_synaptic_current_that_lasts_is_our_current_based_lif(norse, currents, weights):
    strong = 4 * currents
    neuron = CubaLIF(alpha=0.8, beta=1 - LEAK, reset="zero", reset_gradient=True, surrogate=FastSigmoid(slope=1))
    one, other = ours(neuron, LEAK * strong), theirs(norse, strong, synaptic=0.2 / DT)
    assert one[0].mean() > 0.02
    assert torch.equal(one[0], other[0])
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    gradients = [torch.autograd.grad((run * weights).sum(), currents, retain_graph=True)[0] for run in (one, other)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("beta", "scale"),
    [(1 - LEAK, 1.0), (torch.exp(torch.tensor(-LEAK)).item(), LEAK)],
    ids=["input not scaled", "exponential decay"],
)
def test_the_naive_mappings_do_not_match(norse, currents, beta, scale):
    strong = 8 * currents
    naive = ours(LIF(beta=beta, reset="zero"), scale * strong)
    assert not torch.allclose(naive[1], theirs(norse, strong)[1], atol=1e-3)


def test_integrate_and_fire_agrees(norse, currents, weights):
    from norse.torch.functional.iaf import IAFFeedForwardState, IAFParameters, iaf_feed_forward_step

    one = ours(IF(reset="zero", reset_gradient=True, surrogate=FastSigmoid(slope=1)), currents)
    state, out = IAFFeedForwardState(torch.zeros_like(currents[0])), []
    for current in currents:
        z, state = iaf_feed_forward_step(current, state, IAFParameters(alpha=1.0))
        out.append(torch.stack([z, state.v]))
    other = torch.stack(out, dim=1)
    assert torch.equal(one[0], other[0])
    gradients = [torch.autograd.grad((run * weights).sum(), currents, retain_graph=True)[0] for run in (one, other)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4)


def test_the_triangle_surrogate_agrees(norse):
    from norse.torch.functional.threshold import triangle_fn

    x = torch.linspace(-2, 2, 81, requires_grad=True)
    gradients = [
        torch.autograd.grad(spike(x).sum(), x)[0] for spike in (Triangle(height=0.3), lambda x: triangle_fn(x, 0.3))
    ]
    torch.testing.assert_close(*gradients)

"""snnTorch's neurons, surrogates, encoders and losses, where they define the same thing, and where they do not."""

import math

import pytest
import torch

from spikewise.dynamics import LIF, CubaLIF
from spikewise.encoders import Delta, Latency, Rate
from spikewise.losses import CountMSE, CrossEntropy, StepCrossEntropy, Target
from spikewise.readouts import MaxMembrane, SpikeCount, Trajectory
from spikewise.surrogates import ATan, FastSigmoid, Sigmoid, StraightThrough, Triangle
from spikewise.types import Draw

pytestmark = pytest.mark.filterwarnings("ignore")  # the peer's own


@pytest.fixture
def snntorch():
    found = pytest.importorskip("snntorch", reason="snnTorch is not installed: pip install 'spikewise[peers]'")
    pytest.importorskip("snntorch.functional")
    return found


def theirs(snntorch, currents, **mode):
    """Spikes and membranes: after the reset, or before it where the reset is delayed."""
    cell = snntorch.Leaky(beta=0.9, threshold=1.0, spike_grad=snntorch.surrogate.fast_sigmoid(slope=5), **mode)
    mem, out = cell.reset_mem(), []
    for current in currents:
        spk, mem = cell(current, mem)
        out.append(torch.stack([spk, mem]))
    return torch.stack(out, dim=1)


def ours(currents, **mode):
    neuron = LIF(beta=0.9, surrogate=FastSigmoid(slope=5), **mode)
    state, out = neuron.initial_state(currents[0]), []
    for current in currents:
        z, _, state = neuron.step(current, state, neuron.values())
        out.append(torch.stack([z, state.v]))
    return torch.stack(out, dim=1)


def assert_same_run_and_gradient(one, other, currents, weights, share=0.02):
    assert one[0].mean() > share
    assert torch.equal(one[0], other[0])
    torch.testing.assert_close(one[1], other[1], rtol=1e-5, atol=1e-5)
    gradients = [torch.autograd.grad((run * weights).sum(), currents, retain_graph=True)[0] for run in (one, other)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("reset", ["subtract", "none"])
def test_leaky_with_its_delayed_reset_is_our_lif_with_a_delayed_reset(snntorch, currents, weights, reset):
    theirs_run = theirs(snntorch, currents, reset_mechanism=reset)
    assert_same_run_and_gradient(ours(currents, reset=reset, reset_delay=True), theirs_run, currents, weights)


@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
def test_leaky_with_an_immediate_reset_is_our_lif_with_a_gradient_through_the_reset(snntorch, currents, weights, reset):
    theirs_run = theirs(snntorch, currents, reset_mechanism=reset, reset_delay=False)
    assert_same_run_and_gradient(ours(currents, reset=reset, reset_gradient=True), theirs_run, currents, weights)


@pytest.mark.parametrize("reset", ["subtract", "none"])
@pytest.mark.parametrize("delay", [True, False])
def test_synaptic_is_our_current_based_lif(snntorch, currents, weights, reset, delay):
    cell = snntorch.Synaptic(
        alpha=0.8,
        beta=0.9,
        reset_mechanism=reset,
        reset_delay=delay,
        spike_grad=snntorch.surrogate.fast_sigmoid(slope=5),
    )
    syn, mem = cell.reset_mem()
    out = []
    for current in currents:
        spk, syn, mem = cell(0.3 * current, syn, mem)
        out.append(torch.stack([spk, mem]))
    neuron = CubaLIF(
        alpha=0.8, beta=0.9, reset=reset, reset_delay=delay, reset_gradient=not delay, surrogate=FastSigmoid(slope=5)
    )
    state, found = neuron.initial_state(currents[0]), []
    for current in currents:
        z, _, state = neuron.step(0.3 * current, state, neuron.values())
        found.append(torch.stack([z, state.v]))
    assert_same_run_and_gradient(torch.stack(found, dim=1), torch.stack(out, dim=1), currents, weights)


def test_leaky_delays_the_reset_to_zero_but_keeps_the_input_of_that_step(snntorch, currents):
    found = theirs(snntorch, currents, reset_mechanism="zero")
    naive = ours(currents, reset="zero", reset_delay=True)
    assert not torch.equal(naive[0], found[0])
    # The same neuron in our terms: reset at once, and look at the membrane before it.
    assert torch.equal(ours(currents, reset="zero")[0], found[0])


def test_leaky_with_the_default_mapping_differs_from_ours(snntorch, currents):
    assert not torch.equal(
        ours(currents)[0], theirs(snntorch, currents)[0]
    )  # our default reset is immediate, theirs delayed


@pytest.mark.parametrize(
    ("surrogate", "name", "arguments"),
    [
        (FastSigmoid(slope=25), "fast_sigmoid", {"slope": 25}),
        (ATan(alpha=2), "atan", {"alpha": 2}),
        (Sigmoid(slope=25), "sigmoid", {"slope": 25}),
        (StraightThrough(), "straight_through_estimator", {}),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_surrogates_agree(snntorch, surrogate, name, arguments):
    x = torch.linspace(-1, 1, 201, requires_grad=True)
    other = getattr(snntorch.surrogate, name)(**arguments)
    assert torch.equal(surrogate(x), other(x))
    gradients = [torch.autograd.grad(spike(x).sum(), x)[0] for spike in (surrogate, other)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)


def test_triangular_is_another_function_than_our_triangle(snntorch):
    x = torch.linspace(-1, 1, 21, requires_grad=True)
    theirs = torch.autograd.grad(snntorch.surrogate.triangular()(x).sum(), x)[0]
    assert set(theirs.tolist()) == {1.0, -1.0}  # the slope of a triangle, not a triangle
    assert not torch.equal(Triangle().derivative(x.detach()), theirs)


def test_rate_has_the_statistics_of_spikegen(snntorch):
    rate = pytest.importorskip("snntorch.spikegen").rate
    images = torch.tensor([16, 100, 128, 240], dtype=torch.uint8).view(4, 1, 1, 1).expand(4, 1, 32, 32).contiguous()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = rate(images.float() / 255, num_steps=50).mean(dim=(0, 2, 3, 4))
    ours = Rate(steps=50)(images, Draw.first(4)).mean(dim=(0, 2, 3, 4))
    p = images[:, 0, 0, 0].double() / 255
    sigma = (2 * p * (1 - p) / (50 * 32 * 32)).sqrt()  # of the difference of the two means
    assert ((ours - theirs).abs() < 5 * sigma + 1 / 512).all()


def test_latency_is_spikegens_logarithmic_code_rounded_down_instead_of_to_nearest(snntorch):
    spikegen = pytest.importorskip("snntorch.spikegen")
    levels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    seconds, below = spikegen.latency_code(levels.float().view(-1) / 255, num_steps=1000, threshold=0.2, tau=20)
    first = Latency(steps=1000, tau=20, threshold=0.2).first_spikes()
    inside = (levels.view(-1) > 51) & (
        (seconds - seconds.round()).abs() > 1e-3
    )  # at the threshold itself float32 cancels
    assert inside.sum() > 180
    assert torch.equal(first[inside], seconds[inside].floor().long())
    assert (first[below] == 1000).all()
    theirs = spikegen.latency(levels.float() / 255, num_steps=1000, threshold=0.2, tau=20, clip=True)
    assert not torch.equal(Latency(steps=1000)(levels, Draw.first(1)), theirs)


def test_delta_marks_the_changes_that_spikegen_marks_on_the_same_moving_frames(snntorch):
    delta = pytest.importorskip("snntorch.spikegen").delta
    images = torch.randint(0, 256, (2, 1, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    encoder = Delta(steps=12, amplitude=3, threshold=0.1)
    frames = torch.zeros(12, 2, 1, 12, 12)
    for frame, (down, right) in zip(frames, encoder.path(), strict=True):
        frame[..., down:, right:] = images[..., : 12 - down, : 12 - right].float() / 255
    theirs = delta(frames, threshold=0.1, off_spike=True)
    events = encoder(images, Draw.first(2))
    assert torch.equal(events[:, :, :1] - events[:, :, 1:], theirs)


@pytest.fixture
def output():
    spikes = (torch.rand(20, 7, 4, generator=torch.Generator().manual_seed(2)) > 0.6).float()
    return spikes, torch.tensor([0, 3, 1, 1, 2, 0, 3])


def test_losses_agree(snntorch, output):
    spikes, labels = output
    trajectory, target = Trajectory(spikes, spikes), Target.of(labels, 4)
    logits = SpikeCount()(trajectory)
    loss = snntorch.functional
    pairs = [
        (StepCrossEntropy(), loss.ce_rate_loss()(spikes, labels), 1),
        (CrossEntropy(), loss.ce_count_loss()(spikes, labels), 1),
        (CountMSE(correct_rate=0.75, incorrect_rate=0.25), loss.mse_count_loss(0.75, 0.25)(spikes, labels), 1 / 20),
    ]
    for ours, theirs, scale in pairs:  # mse_count_loss squares counts and divides once by T; ours squares rates
        torch.testing.assert_close(ours(logits, trajectory, target), theirs.squeeze() * scale)
    membrane = torch.randn(20, 7, 4, generator=torch.Generator().manual_seed(3))
    found = CrossEntropy()(MaxMembrane()(Trajectory(None, membrane)), trajectory, target)
    torch.testing.assert_close(found, loss.ce_max_membrane_loss()(membrane, labels))


def test_mse_count_loss_rounds_its_targets_down_to_whole_spikes_and_ours_does_not(snntorch, output):
    spikes, labels = output
    ours = CountMSE(correct_rate=0.79, incorrect_rate=0.21)
    found = ours(spikes.sum(0), Trajectory(spikes, spikes), Target.of(labels, 4))
    theirs = snntorch.functional.mse_count_loss(0.79, 0.21)(spikes, labels) / 20
    assert not math.isclose(found.item(), theirs.item(), rel_tol=1e-3)

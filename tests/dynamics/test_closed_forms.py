"""Where a neuron's answer can be written down, it gives that answer."""

import math

import pytest
import torch
from battery import ALIF, IF, LIF, LeakyIntegrator, drive, run

from spikewise.dynamics import TwoPhaseIF
from spikewise.surrogates import StraightThrough


def constant(value: float, steps: int):
    return torch.full((steps, 1, 1), value, dtype=torch.float64)


def trace(neuron, currents):
    spikes, v = run(neuron, currents).trajectory
    return None if spikes is None else spikes[:, 0, 0], v[:, 0, 0]


LEAKY = [LIF(), LIF(reset_delay=True), LIF(reset="zero"), LIF(reset="none"), ALIF(beta=0.9), LeakyIntegrator()]


@pytest.mark.parametrize("neuron", LEAKY, ids=repr)
def test_below_threshold_the_membrane_follows_the_geometric_sum(neuron):
    _, v = trace(neuron, constant(0.09, 50))  # tends to 0.09 / (1 - 0.9) = 0.9 < 1
    t = torch.arange(1, 51, dtype=torch.float64)
    torch.testing.assert_close(v, 0.09 * (1 - 0.9**t) / (1 - 0.9), rtol=1e-12, atol=0)


@pytest.mark.parametrize("neuron", LEAKY, ids=repr)
def test_without_input_the_membrane_decays_by_beta_each_step(neuron):
    currents = constant(0.0, 30)
    currents[0] = 0.7
    t = torch.arange(30, dtype=torch.float64)
    torch.testing.assert_close(trace(neuron, currents)[1], 0.7 * 0.9**t, rtol=1e-12, atol=0)


def charging_steps(current: float, beta: float) -> int:
    """Smallest n with  current (1 - beta^n) / (1 - beta) > 1."""
    return math.floor(math.log(1 - (1 - beta) / current) / math.log(beta)) + 1


@pytest.mark.parametrize("beta", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("current", [0.57, 0.61, 0.83, 0.99])
def test_the_first_spike_comes_when_the_closed_form_says(beta, current):
    for neuron in (LIF(beta=beta), LIF(beta=beta, reset="zero"), LIF(beta=beta, reset_delay=True), ALIF(beta=beta)):
        spikes, _ = trace(neuron, constant(current, 40))
        assert spikes.nonzero()[0].item() + 1 == charging_steps(current, beta)


@pytest.mark.parametrize("beta", [0.5, 0.9])
@pytest.mark.parametrize("current", [0.57, 0.83])
def test_a_reset_to_zero_spikes_with_the_charging_time_as_period_and_one_step_more_when_delayed(beta, current):
    for delay in (False, True):
        spikes, _ = trace(LIF(beta=beta, reset="zero", reset_delay=delay), constant(current, 200))
        assert spikes.nonzero().flatten().diff().unique().tolist() == [charging_steps(current, beta) + delay]


@pytest.mark.parametrize("delay", [False, True])
@pytest.mark.parametrize("current", [1 / 8, 5 / 16, 0.5, 1.0])
def test_integrate_and_fire_carries_its_current_as_a_rate_to_within_one_spike(current, delay):
    spikes, _ = trace(IF(reset_delay=delay), constant(current, 320))
    t = torch.arange(1, 321)
    assert torch.equal(
        spikes.cumsum(0), (t * current).ceil().double() - 1
    )  # strict: a spike once t I exceeds the next whole number


@pytest.mark.parametrize("current", [0.4, 0.9, 1.7])
def test_reset_by_subtraction_loses_no_charge(current):
    neuron = LIF(beta=0.9, threshold=0.8)
    currents = drive(neuron, 200, 1, 1) * current
    spikes, v = trace(neuron, currents)
    after = v - 0.8 * spikes
    leaked = 0.1 * after[:-1].sum()
    torch.testing.assert_close(currents.sum(), 0.8 * spikes.sum() + leaked + after[-1], rtol=1e-12, atol=0)


def test_when_the_reset_is_delayed_matters_only_to_a_leaky_membrane():
    currents = drive(IF(), 100, 2, 3)
    assert torch.equal(run(IF(), currents).trajectory.spikes, run(IF(reset_delay=True), currents).trajectory.spikes)
    now, later = run(LIF(), currents).trajectory.spikes, run(LIF(reset_delay=True), currents).trajectory.spikes
    assert not torch.equal(now, later)


@pytest.mark.parametrize(
    "mode", [{"reset": "subtract"}, {"reset": "zero", "reset_delay": True}, {"reset": "none"}], ids=repr
)
def test_the_models_contain_each_other(mode):
    currents = drive(LIF(), 80, 2, 3)
    lif = run(LIF(beta=0.95, **mode), currents).trajectory
    plain = run(ALIF(beta=0.95, adaptation=0, **mode), currents).trajectory
    assert torch.equal(lif.membrane, plain.membrane)
    perfect = run(LIF(beta=1, **mode), currents).trajectory
    assert torch.equal(perfect.membrane, run(IF(**mode), currents).trajectory.membrane)
    silent = run(LIF(beta=0.95, threshold=1e9, **mode), currents).trajectory
    assert torch.equal(silent.membrane, run(LeakyIntegrator(beta=0.95), currents).trajectory.membrane)


def test_without_a_reset_a_constant_suprathreshold_current_spikes_for_ever():
    spikes, _ = trace(LIF(reset="none"), constant(0.3, 60))
    first = charging_steps(0.3, 0.9) - 1
    assert spikes[:first].sum() == 0
    assert spikes[first:].all()


def test_exactly_at_threshold_there_is_no_spike():
    for neuron in (IF(), LIF(), ALIF(), LIF(reset="zero", reset_delay=True)):
        spikes, _ = trace(neuron, constant(1.0, 1))
        assert spikes.item() == 0


def test_adaptation_is_a_decaying_count_of_spikes_and_stretches_the_intervals():
    neuron = ALIF(beta=0.9, adaptation=0.5, adaptation_decay=0.98)
    result = run(neuron, constant(0.5, 300))
    spikes = result.trajectory.spikes[:, 0, 0]
    age = torch.arange(298, -1, -1, dtype=torch.float64)  # a spike counts from the next step on
    torch.testing.assert_close(result.state["alif1"].a.squeeze(), (0.98**age * spikes[:-1]).sum())
    intervals = spikes.nonzero().flatten().diff()
    assert intervals[-1] > 2 * intervals[0]


@pytest.mark.parametrize("reset", ["subtract", "none"])
def test_with_a_detached_reset_the_membrane_remembers_each_current_by_powers_of_beta(reset):
    currents = drive(LIF(), 30, 1, 1).requires_grad_()
    result = run(LIF(beta=0.9, reset=reset), currents)
    assert result.trajectory.spikes.sum() > 3
    result.trajectory.membrane[-1].sum().backward()
    age = torch.arange(29, -1, -1, dtype=torch.float64)
    torch.testing.assert_close(currents.grad.flatten(), 0.9**age, rtol=1e-12, atol=0)


def test_a_gradient_through_the_reset_cancels_the_straight_through_one():
    currents = drive(LIF(), 30, 1, 1).requires_grad_()
    neuron = LIF(reset_gradient=True, surrogate=StraightThrough())  # after the reset dv/dI = 1 - 1 = 0
    run(neuron, currents).trajectory.membrane[-1].sum().backward()
    assert torch.equal(currents.grad.flatten(), torch.eye(30, dtype=torch.float64)[-1])


@pytest.mark.parametrize("threshold", [0.5, 1.0, 3.0])
def test_half_a_threshold_at_the_start_rounds_the_number_of_spikes(threshold):
    steps, currents = 16, torch.linspace(-0.5, 1.5, 321, dtype=torch.float64) * threshold
    given = currents.expand(steps, 1, -1)
    for neuron in (IF(threshold=threshold, initial=0.5), LIF(beta=1.0, threshold=threshold, initial=0.5)):
        counts = run(neuron, given).trajectory.spikes.sum(0)[0]
        rounded = (steps * currents / threshold - 0.5).ceil().clamp(0, steps)  # of two neighbours the lower one
        apart = (
            (steps * currents / threshold) % 1 - 0.5
        ).abs() > 1e-9  # sums of floats decide where it lies on the edge
        assert torch.equal(counts[apart], rounded[apart])


def test_a_learned_threshold_is_charged_by_its_own_value():
    neuron = IF(initial=-0.25, per="channel", learn=("threshold",))
    weights = {"if1.threshold": torch.tensor([1.0, 4.0], dtype=torch.float64)}
    membrane = run(neuron, torch.zeros(1, 1, 2, dtype=torch.float64), weights=weights).trajectory.membrane
    assert membrane.tolist() == [[[-0.25, -1.0]]]


def test_a_neuron_at_rest_is_written_as_before():
    assert "initial" not in LIF().model_dump()
    assert "initial" not in IF(initial=0).model_dump()
    assert IF(**IF(initial=0.5).model_dump()) == IF(initial=0.5)


def test_a_two_phase_neuron_sends_what_its_whole_input_says_whatever_the_order_was():
    phase = 8
    neuron = TwoPhaseIF(listens_from=phase, fires_from=2 * phase, phase=phase, initial=0.5)
    currents = torch.zeros(4 * phase, 1, 200, dtype=torch.float64)
    rng = torch.Generator().manual_seed(0)
    whole = torch.randint(-40, 120, (phase, 200), generator=rng).double() / 64  # dyadic: sums are exact
    currents[phase : 2 * phase, 0] = whole
    spikes = run(neuron, currents).trajectory.spikes[:, 0]
    assert torch.equal(spikes.sum(0), (whole.sum(0) - 0.5).ceil().clamp(0, phase))
    assert not spikes[: 2 * phase].any()
    assert not spikes[3 * phase :].any()
    currents[:phase], currents[2 * phase :] = 5.0, 5.0  # what comes while it does not listen
    assert torch.equal(run(neuron, currents).trajectory.spikes[:, 0], spikes)
    currents[phase : 2 * phase] = currents[phase : 2 * phase].flip(0)
    assert torch.equal(run(neuron, currents).trajectory.spikes[:, 0], spikes)
    at_once = run(IF(initial=0.5), currents[phase : 2 * phase]).trajectory.spikes[:, 0].sum(0)
    assert not torch.equal(at_once, spikes.sum(0))  # what the phases are for

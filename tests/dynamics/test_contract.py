"""What every neuron model keeps, whatever its equation."""

import pytest
import torch
from battery import KINDS, MODES, LeakyIntegrator, alone, drive, every_neuron, label, run

from spikewise.dynamics import SpikingNeuron
from spikewise.errors import ConfigError
from spikewise.network import Network

neurons = pytest.mark.parametrize("neuron", every_neuron(), ids=label)
T, B, F = 40, 3, 5


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        assert (a is None and b is None) or torch.equal(a, b)


@neurons
def test_a_neuron_under_this_drive_spikes_now_and_then(neuron):
    spikes = run(neuron, drive(neuron, T, B, F)).trajectory.spikes
    if isinstance(neuron, LeakyIntegrator):
        assert spikes is None
    else:
        assert set(spikes.unique().tolist()) == {0.0, 1.0}


@neurons
def test_a_neuron_says_what_it_keeps_and_where_its_threshold_is(neuron):
    currents = drive(neuron, T, B, F)
    name = alone(neuron, F).named[-1].name
    result = run(neuron, currents, record=True)
    assert type(result.state[name]) is type(neuron.initial_state(currents[0])) is neuron.State
    assert neuron.spikes == ("z" in neuron.State._fields) == isinstance(neuron, SpikingNeuron)
    if neuron.spikes:
        trace = result.traces[name]
        distance = neuron.distance(trace.output, trace.spikes, neuron.values())
        assert torch.equal((distance > 0).to(trace.spikes.dtype), trace.spikes)
        assert not neuron.in_thresholds(neuron.initial_state(currents[0]).v, neuron.values()).any()


@neurons
def test_the_batch_items_are_independent(neuron):
    currents = drive(neuron, T, B, F)
    together = run(neuron, currents).trajectory
    apart = [run(neuron, currents[:, [b]]).trajectory for b in range(B)]
    assert torch.equal(together.membrane, torch.cat([one.membrane for one in apart], dim=1))


@neurons
def test_splitting_time_changes_nothing(neuron):
    currents = drive(neuron, T, B, F)
    whole = run(neuron, currents)
    for at in (1, 7, T - 1):
        first = run(neuron, currents[:at])
        rest = run(neuron, currents[at:], first.state)
        assert torch.equal(torch.cat([first.trajectory.membrane, rest.trajectory.membrane]), whole.trajectory.membrane)
        name = alone(neuron, F).named[-1].name
        assert_same(rest.state[name], whole.state[name])


@neurons
def test_no_state_is_the_explicit_initial_state_and_the_input_state_is_not_changed(neuron):
    currents = drive(neuron, T, B, F)
    name = alone(neuron, F).named[-1].name
    fresh = neuron.initial_state(currents[0])
    before = [part.clone() for part in fresh]
    assert torch.equal(
        run(neuron, currents, {name: fresh}).trajectory.membrane, run(neuron, currents).trajectory.membrane
    )
    assert_same(fresh, before)


@pytest.mark.parametrize("per", ["layer", "channel"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_learnable_parameter_gets_a_finite_gradient_that_is_not_zero(kind, per):
    names = _learnable(kind)
    for mode in MODES if "reset" in kind.model_fields else [{}]:
        neuron = kind(per=per, **mode, **({"learn": names} if names else {}))
        network = Network(alone(neuron, F)).double()
        held = {key.split(".")[1]: p for key, p in network.named_parameters() if p.requires_grad}
        assert set(held) == set(names)
        assert all(p.shape == (() if per == "layer" else (F,)) for p in held.values())
        if names:
            result = run(neuron, drive(neuron, T, B, F), weights=network.weights)
            outputs = [x for x in result.trajectory if x is not None]
            sum((x * torch.linspace(1, 2, x.numel(), dtype=x.dtype).view_as(x)).sum() for x in outputs).backward()
            assert all(p.grad.isfinite().all() and (p.grad != 0).all() for p in held.values()), label(neuron)


@neurons
def test_the_currents_get_a_finite_gradient(neuron):
    currents = drive(neuron, T, B, F).requires_grad_()
    run(neuron, currents).trajectory.membrane.sum().backward()
    assert currents.grad.isfinite().all()
    assert (currents.grad[-1] == 1).all() if "delayed" not in label(neuron) and neuron.kind != "izhikevich" else True


@neurons
def test_spread_sets_the_channels_apart_and_none_leaves_them_alike(neuron):
    different = Network(alone(neuron.replace(per="channel", spread=0.2), 2000)).state_dict()
    assert set(different) == {f"{alone(neuron, 1).named[-1].name}.{name}" for name in neuron.values()}
    for key, tensor in different.items():
        start = neuron.values()[key.split(".")[1]]
        low, high = neuron.bounds().get(key.split(".")[1], (-float("inf"), float("inf")))
        assert low <= tensor.min()
        assert tensor.max() <= high
        if start * 2 < high:  # not clamped: 2000 normal draws, so the sample sd is within 10 % but for 1 in 10^9
            assert tensor.std() == pytest.approx(0.2 * start, rel=0.1)
    apart = neuron.replace(per="channel", spread=0.2)
    membrane = run(apart, drive(neuron, T, 1, 1).expand(T, 1, F)).trajectory.membrane
    assert (membrane[:, 0, 0] != membrane[:, 0, 1]).any()
    assert not Network(alone(neuron.replace(per="channel"), 9)).state_dict()


@neurons
def test_a_spread_without_channels_is_an_error(neuron):
    with pytest.raises(ConfigError, match='use per = "channel"'):
        neuron.replace(spread=0.1)


def test_a_learned_decay_outside_its_bounds_is_used_at_the_bound():
    neuron = LeakyIntegrator(learn=("beta",))
    currents = drive(neuron, 10, 1, 1)
    weights = {"leaky_integrator1.beta": torch.tensor(1.7, dtype=torch.float64)}
    torch.testing.assert_close(run(neuron, currents, weights=weights).trajectory.membrane, currents.cumsum(0))


def _learnable(kind) -> tuple[str, ...]:
    field = kind.model_fields.get("learn")
    return tuple(field.annotation.__args__[0].__args__) if field else ()

"""Izhikevich's neuron against its differential equation."""

import math

import numpy as np
import pytest
import torch
from battery import Izhikevich, run
from scipy.integrate import solve_ivp


def euler(current: float, dt: float, until: float):
    """Membrane (mV) after `until` milliseconds of a constant current (pA)."""
    neuron = Izhikevich(dt=dt, gain=1.0)
    result = run(neuron, torch.full((round(until / dt), 1, 1), current, dtype=torch.float64))
    return result.trajectory.spikes.sum().item(), result.trajectory.membrane[-1].item()


def test_euler_converges_to_the_differential_equation_at_first_order():
    n = Izhikevich()

    def slope(_, y):
        v, u = y
        return [
            (n.k * (v - n.v_rest) * (v - n.v_threshold) - u + 100) / n.capacitance,
            n.a * (n.b * (v - n.v_rest) - u),
        ]

    exact = solve_ivp(slope, (0, 24), [n.v_rest, 0.0], rtol=1e-11, atol=1e-11).y[0, -1]
    steps = [0.5, 0.25, 0.125, 0.0625, 0.03125]
    trials = [euler(100.0, dt, 24) for dt in steps]
    assert all(spikes == 0 for spikes, _ in trials)
    errors = [abs(v - exact) for _, v in trials]
    order, _ = np.polyfit(np.log(steps), np.log(errors), 1)
    assert order == pytest.approx(1, abs=0.1)


def test_without_current_it_rests():
    assert euler(0.0, 1.0, 200) == (0, -60.0)


def test_a_weak_current_leads_to_the_fixed_point():
    # k x (x - 20) - b x + I = 0 with x = v - v_rest: 0.7 x^2 - 12 x + 40 = 0, the lower root
    x = (12 - math.sqrt(144 - 4 * 0.7 * 40)) / (2 * 0.7)
    spikes, v = euler(40.0, 0.5, 2000)
    assert spikes == 0
    assert v == pytest.approx(-60 + x, abs=1e-9)


@pytest.mark.parametrize(("current", "fires"), [(50.0, False), (53.0, True)])
def test_the_rheobase_is_where_the_fixed_point_vanishes(current, fires):
    # 144 = 2.8 I at I = 51.43 pA
    spikes, _ = euler(current, 0.5, 3000)
    assert (spikes > 0) == fires


def test_a_spike_is_followed_by_the_reset_and_the_jump_of_the_recovery():
    n = Izhikevich(gain=1.0)
    currents = torch.full((200, 1, 1), 200.0, dtype=torch.float64)
    spikes, v = run(n, currents).trajectory
    at = spikes.flatten().nonzero()[0].item()
    assert v[at].item() > n.v_peak
    assert v[at + 1].item() == n.c
    before = run(n, currents[:at]).state["izhikevich1"]
    now = run(n, currents[: at + 1]).state["izhikevich1"]
    after = run(n, currents[: at + 2]).state["izhikevich1"]
    assert (before.z.item(), now.z.item(), after.z.item()) == (0, 1, 0)
    drift = n.a * (n.b * (now.v - n.v_rest) - now.u)
    torch.testing.assert_close(after.u, now.u + drift + n.d)


def test_an_enormous_current_gives_finite_voltages_and_spikes():
    spikes, v = run(Izhikevich(), torch.full((50, 1, 1), 1e30, dtype=torch.float64)).trajectory
    assert v.isfinite().all()
    assert spikes[::2].all()

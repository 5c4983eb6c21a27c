"""Every neuron model against the same equations written out for one neuron at a time (textbook.py)."""

import itertools

import numpy as np
import pytest
import textbook
import torch
from battery import ALIF, IF, LIF, MODES, Izhikevich, LeakyIntegrator, drive, label, run

from spikewise.surrogates import ATan, FastSigmoid, Triangle

T, B, F = 60, 2, 4
derivative = {
    "fast_sigmoid": lambda x: 1 / (1 + 3 * abs(x)) ** 2,
    "atan": lambda x: 1 / (1 + (np.pi * x) ** 2),
    "triangle": lambda x: 0.7 * max(0.0, 1 - abs(x) / 1.5),
}
ours = {"fast_sigmoid": FastSigmoid(slope=3.0), "atan": ATan(), "triangle": Triangle(height=0.7, width=1.5)}
surrogates = itertools.cycle(ours)
LEARN = {"lif": ("beta", "threshold"), "if": ("threshold",), "alif": ("beta", "threshold")}


def cases(kind, **more):
    return [
        kind(
            **mode,
            reset_gradient=gradient,
            surrogate=ours[next(surrogates)],
            learn=LEARN[kind.model_fields["kind"].default],
            **more,
        )
        for mode in MODES
        for gradient in (False, True)
    ]


def check(neuron, one_neuron):
    """Spikes, membranes, and the derivative of a weighted sum of both along one direction of everything."""
    rng = torch.Generator().manual_seed(1)
    currents = drive(neuron, T, B, F).requires_grad_()
    direction = torch.randn(currents.shape, dtype=torch.float64, generator=rng)
    towards = {"beta": -0.3, "threshold": 0.4}
    learned = {key: torch.tensor(neuron.values()[key], dtype=torch.float64, requires_grad=True) for key in neuron.learn}
    spikes, v = run(neuron, currents, weights={f"{neuron.kind}1.{key}": p for key, p in learned.items()}).trajectory

    book = np.empty((4, T, B, F))
    for b, f in itertools.product(range(B), range(F)):
        along = {f"d_{key}": towards[key] for key in neuron.learn}
        book[:, :, b, f] = one_neuron(
            currents.detach()[:, b, f].tolist(), direction[:, b, f].tolist(), derivative[neuron.surrogate.kind], along
        )
    z, membrane, dz, dv = torch.from_numpy(book)

    assert torch.equal(spikes, z)
    assert spikes.sum() > 5
    torch.testing.assert_close(v, membrane, rtol=1e-12, atol=1e-12)
    on_z, on_v = torch.randn(2, T, B, F, dtype=torch.float64, generator=rng)
    gradients = torch.autograd.grad(
        (on_z * spikes + on_v * v).sum(), [currents, *learned.values()], materialize_grads=True
    )
    slope = (gradients[0] * direction).sum() + sum(
        g * towards[key] for g, key in zip(gradients[1:], learned, strict=True)
    )
    torch.testing.assert_close(slope, (on_z * dz + on_v * dv).sum(), rtol=1e-10, atol=1e-10)


def name(neuron):
    flags = [flag for flag in ("reset_gradient", "threshold_gradient") if getattr(neuron, flag, False)]
    return "-".join([label(neuron), neuron.surrogate.kind, *flags])


@pytest.mark.parametrize("neuron", [*cases(LIF, beta=0.8, threshold=0.9), *cases(IF, threshold=1.1)], ids=name)
def test_lif_and_if_follow_the_textbook_with_every_derivative(neuron):
    check(
        neuron,
        lambda currents, direction, derivative, along: textbook.lif(currents, direction, neuron, derivative, **along),
    )


@pytest.mark.parametrize(
    "neuron",
    [
        *cases(ALIF, beta=0.8, adaptation=0.3, adaptation_decay=0.9),
        *cases(ALIF, adaptation=0.3, threshold_gradient=False),
    ],
    ids=name,
)
def test_alif_follows_the_textbook_with_every_derivative(neuron):
    fixed = {
        "adaptation": neuron.adaptation,
        "decay": neuron.adaptation_decay,
        "moving_gradient": neuron.threshold_gradient,
    }
    check(
        neuron,
        lambda currents, direction, derivative, along: textbook.adaptive(
            currents, direction, neuron, derivative, **along, **fixed
        ),
    )


@pytest.mark.parametrize(
    "neuron", [Izhikevich(), Izhikevich(dt=0.25, a=0.1, b=2.0, c=-65.0, d=20.0)], ids=["regular", "fast"]
)
def test_izhikevich_follows_the_textbook(neuron):
    currents = drive(neuron, 400, B, F)
    result = run(neuron, currents)
    book = np.array([[textbook.izhikevich(currents[:, b, f].tolist(), neuron) for f in range(F)] for b in range(B)])
    z, v, u = torch.from_numpy(book).permute(2, 3, 0, 1)
    assert torch.equal(result.trajectory.spikes, z)
    assert z.sum() > 5
    torch.testing.assert_close(result.trajectory.membrane, v, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(result.state["izhikevich1"].u, u[-1], rtol=1e-9, atol=1e-9)


def test_the_leaky_integrator_follows_the_textbook():
    neuron = LeakyIntegrator(beta=0.83)
    currents = drive(neuron, T, 1, 1)
    book = textbook.integrator(currents.flatten().tolist(), 0.83)
    torch.testing.assert_close(
        run(neuron, currents).trajectory.membrane.flatten(), torch.from_numpy(book), rtol=1e-12, atol=1e-12
    )

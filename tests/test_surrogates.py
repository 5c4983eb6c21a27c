"""The step is strict; each derivative is its formula, and the slope of the smooth step it stands for."""

import math
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spikewise.errors import ConfigError
from spikewise.surrogates import ATan, Boxcar, FastSigmoid, Sigmoid, StraightThrough, Surrogate, Triangle

FORMULAS = {
    "fast_sigmoid": (FastSigmoid(slope=4.0), lambda x: 1 / (1 + 4 * abs(x)) ** 2),
    "atan": (ATan(alpha=3.0), lambda x: 1.5 / (1 + (math.pi * 1.5 * x) ** 2)),
    "triangle": (Triangle(height=0.3, width=0.5), lambda x: 0.3 * max(0.0, 1 - abs(x) / 0.5)),
    "boxcar": (Boxcar(width=0.25), lambda x: 2.0 if abs(x) < 0.25 else 0.0),
    "sigmoid": (Sigmoid(slope=5.0), lambda x: 5 * math.exp(-5 * x) / (1 + math.exp(-5 * x)) ** 2),
    "straight_through": (StraightThrough(), lambda x: 1.0),
}
SMOOTH_STEPS = {
    "fast_sigmoid": lambda x: x / (1 + 4 * x.abs()),
    "atan": lambda x: torch.atan(math.pi / 2 * 3 * x) / math.pi,
    "triangle": lambda x: 0.3 * x.clamp(-0.5, 0.5) * (1 - x.clamp(-0.5, 0.5).abs() / 2 / 0.5),
    "boxcar": lambda x: (2 * x + 0.5).clamp(0, 1),
    "sigmoid": lambda x: torch.sigmoid(5 * x),
    "straight_through": lambda x: x,
}
every = pytest.mark.parametrize("kind", FORMULAS)


def test_every_surrogate_is_tested():
    assert set(FORMULAS) == {one.model_fields["kind"].default for one in get_args(get_args(Surrogate)[0])}


@every
def test_zero_does_not_spike_and_the_smallest_positive_number_does(kind):
    surrogate, _ = FORMULAS[kind]
    x = torch.tensor([-1.0, -1e-38, -0.0, 0.0, 1e-38, 1e-3, 5.0])
    assert surrogate(x).tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert surrogate(x.double()).dtype == torch.float64


@every
@given(x=st.floats(-3, 3))
def test_the_gradient_is_the_formula(kind, x):
    surrogate, formula = FORMULAS[kind]
    at = torch.tensor([x], dtype=torch.float64, requires_grad=True)
    (2.5 * surrogate(at)).sum().backward()
    assert at.grad.item() == pytest.approx(2.5 * formula(x), rel=1e-12, abs=1e-14)


@every
def test_the_gradient_is_the_slope_of_the_smooth_step(kind):
    surrogate, _ = FORMULAS[kind]
    x = torch.linspace(-2, 2, 400, dtype=torch.float64)
    x = x[((x.abs() - 0.25).abs() > 1e-3) & (x.abs() > 1e-3)]  # away from the corners
    h = 1e-6
    slope = (SMOOTH_STEPS[kind](x + h) - SMOOTH_STEPS[kind](x - h)) / (2 * h)
    torch.testing.assert_close(surrogate.derivative(x), slope, rtol=1e-6, atol=1e-8)


@every
def test_the_gradient_is_finite_far_away(kind):
    x = torch.tensor([-1e30, -1e4, 1e4, 1e30])
    assert FORMULAS[kind][0].derivative(x).isfinite().all()


@pytest.mark.parametrize(
    "make", [lambda: FastSigmoid(slope=0), lambda: Triangle(width=-1), lambda: ATan(alpha=float("inf"))]
)
def test_a_slope_or_width_that_is_not_positive_and_finite_is_an_error(make):
    with pytest.raises(ConfigError, match=r"slope|width|alpha"):
        make()

"""Initial weights have the spread their formula says, and the generator alone decides them."""

import math
from typing import get_args

import pytest
import torch
from torch import nn

from spikewise.initial import Init, Normal, Uniform, Xavier, fans

SHAPES = [(200, 300), (64, 32, 5, 5)]
BOUNDED = {
    "uniform": (Uniform(gain=2.0), lambda out, into: 2 / math.sqrt(into)),
    "xavier": (Xavier(gain=0.5), lambda out, into: 0.5 * math.sqrt(6 / (into + out))),
}


def draw(init, shape, seed=0):
    return init.draw(shape, torch.Generator().manual_seed(seed)).double()


def test_every_kind_is_tested():
    assert {*BOUNDED, "normal"} == {kind.model_fields["kind"].default for kind in get_args(get_args(Init)[0])}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", BOUNDED)
def test_bounded_weights_fill_their_range_evenly(kind, shape):
    init, bound = BOUNDED[kind]
    into, out = fans(shape)
    limit = bound(out, into)
    scaled = draw(init, shape) / limit
    n = scaled.numel()
    assert 0.999 < scaled.abs().max() <= 1 + 1e-6
    assert abs(scaled.mean()) < 5 * math.sqrt(1 / 3 / n)  # 5 sigma
    assert abs(scaled.square().mean() - 1 / 3) < 5 * math.sqrt(4 / 45 / n)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_normal_weights_have_their_standard_deviation_whatever_the_size(shape):
    weight = draw(Normal(sd=0.3), shape)
    n = weight.numel()
    assert abs(weight.mean()) < 5 * 0.3 / math.sqrt(n)
    assert abs(weight.std() / 0.3 - 1) < 5 / math.sqrt(2 * n)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_fans_are_those_pytorch_uses(shape):
    into, out = fans(shape)
    assert (into, out) == nn.init._calculate_fan_in_and_fan_out(torch.empty(shape))


@pytest.mark.parametrize("init", [Uniform(), Xavier(), Normal()], ids=lambda init: init.kind)
def test_the_generator_alone_decides(init):
    before = torch.get_rng_state()
    assert torch.equal(draw(init, (4, 5)), draw(init, (4, 5)))
    assert not torch.equal(draw(init, (4, 5)), draw(init, (4, 5), seed=1))
    assert torch.equal(torch.get_rng_state(), before)

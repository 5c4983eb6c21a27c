"""Products of convolutions: gradients of any kernel, stride, padding and pooling are PyTorch's own."""

import pytest

pytest.importorskip("triton")

import torch
import torch.nn.functional as F
from against import DEVICE, EXACT

from spikewise.engine.triton.convolutions import ConvShape
from spikewise.engine.triton.kernels import matmul
from spikewise.graph import Conv2d, MaxPool, NamedLayer
from spikewise.types import Signal

CHANNELS, OUTPUTS, FRAMES = 3, 5, 2


def named(layer, shape):
    return NamedLayer("it", layer, shape, layer.output_shape(shape), Signal("spikes"), Signal("values"), ("",))


def split(value):
    return matmul.split(value.to(DEVICE), EXACT.parts, EXACT.dtype)


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [
    (1, 1, 0), (1, 2, 0), (1, 2, 1), (2, 2, 0), (3, 1, 1), (3, 2, 1), (3, 2, 2), (4, 3, 2), (5, 1, 0),
])  # fmt: skip
def test_gradients_are_pytorchs(kernel, stride, padding, pooled):
    g = torch.Generator().manual_seed(kernel)
    weight = torch.randn(OUTPUTS, CHANNELS, kernel, kernel, generator=g, requires_grad=True)
    maps = torch.randn(FRAMES, CHANNELS, 8, 9, generator=g, requires_grad=True)
    currents, choices = F.conv2d(maps, weight, None, stride, padding), None
    conv = named(Conv2d(channels=OUTPUTS, kernel=kernel, stride=stride, padding=padding), (CHANNELS, 8, 9))
    pool = named(MaxPool(), conv.output) if pooled else None
    wide = currents.shape[-1]
    if pooled:
        currents, places = F.max_pool2d(currents, 2, return_indices=True)
        choices = (places // wide % 2 * 2 + places % wide % 2).to(torch.uint8)
        choices = choices.permute(0, 2, 3, 1).unsqueeze(0).contiguous().to(DEVICE)
    given = torch.randn(currents.shape, generator=g)
    currents.backward(given)
    facts = ConvShape(conv, pool)
    parts = split(given.permute(0, 2, 3, 1).unsqueeze(0).contiguous())
    found = facts.input_gradient(parts, choices, split(weight.detach().permute(2, 3, 1, 0)))
    torch.testing.assert_close(found[0].permute(0, 3, 1, 2).cpu(), maps.grad, rtol=1e-5, atol=1e-5)
    inputs = split(maps.detach().permute(0, 2, 3, 1).unsqueeze(0).contiguous())
    found = facts.weight_gradient(parts, choices, inputs)
    torch.testing.assert_close(found.cpu(), weight.grad, rtol=1e-5, atol=1e-5)

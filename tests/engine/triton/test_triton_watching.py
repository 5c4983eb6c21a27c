"""What the fuzzer sees of kernels under the interpreter: reads and writes that are not theirs."""

import pytest

pytest.importorskip("triton")
pytest.importorskip("resource")

import torch
import triton
import triton.language as tl
from against import DEVICE, check
from benchmarks.fuzz.watching import watched
from cases import images, network

from spikewise.dynamics import LIF
from spikewise.graph import Flatten, Linear, Neuron

pytestmark = pytest.mark.skipif(DEVICE == "cuda", reason="a GPU has compute-sanitizer for it")


@triton.jit
def copy_kernel(source, out, total, APART: tl.constexpr, SIZE: tl.constexpr):
    at = tl.program_id(0) * APART + tl.arange(0, SIZE)
    tl.store(out + at, tl.load(source + at, mask=at < total), mask=at < total)


@pytest.mark.parametrize(("total", "apart", "said"), [
    (9, 4, "copy_kernel reads outside"), (8, 2, "programs of copy_kernel write to the same place"), (8, 4, None),
])  # fmt: skip
def test_a_kernel_that_leaves_its_memory_or_another_program_no_room_is_named(total, apart, said):
    source, out = torch.arange(8.0), torch.zeros(8)
    with watched():
        if said is None:
            copy_kernel[(3,)](source, out, total, APART=apart, SIZE=4)
        else:
            with pytest.raises(Exception, match=said):
                copy_kernel[(3,)](source, out, total, APART=apart, SIZE=4)
    assert said is not None or torch.equal(source, out)


def test_a_network_is_watched_forwards_and_backwards():
    net = network(Flatten(), Linear(features=17), Neuron(dynamics=LIF(), recurrent=True), Linear(features=3))
    with watched():
        check(net, images(2, (1, 7, 9)))

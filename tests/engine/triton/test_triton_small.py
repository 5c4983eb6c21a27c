"""Cards whose shared memory is smaller than that of the card that the tiles were measured on."""

import pytest

pytest.importorskip("triton")

import triton
from against import check
from cases import images, network

from spikewise.dynamics import ALIF
from spikewise.engine.triton import recurrent
from spikewise.engine.triton.kernels import launch
from spikewise.engine.triton.population import Population
from spikewise.graph import Flatten, Linear, Neuron


class Kernel:
    """One that has room for so many stages."""

    def __init__(self, room):
        self.room, self.asked = room, []

    def __getitem__(self, grid):
        def start(*arguments, num_stages, **named):
            self.asked.append(num_stages)
            if num_stages > self.room:
                raise triton.OutOfResources(196_608, 101_376, "shared memory")

        return start


def test_a_kernel_reads_ahead_as_far_as_the_memory_holds():
    kernel = Kernel(1)
    for _ in range(2):
        launch.launch(kernel, (1,), num_stages=3, SIZE=16)
    launch.launch(kernel, (1,), num_stages=2, SIZE=32)
    assert kernel.asked == [3, 2, 1, 1, 2, 1]


def test_a_kernel_that_has_no_room_at_all_says_so():
    with pytest.raises(triton.OutOfResources):
        launch.launch(Kernel(0), (1,), num_stages=2)


@pytest.mark.parametrize("width", [64, 65])
def test_a_recurrent_matrix_too_wide_for_the_memory_goes_step_by_step(width, monkeypatch):
    monkeypatch.setattr(recurrent, "shared_memory", lambda device: 101_376)
    hidden = Neuron(dynamics=ALIF(learn=("beta", "adaptation"), per="channel"), recurrent=True)
    net = network(Flatten(), Linear(features=width), hidden, Linear(features=2), scale=2.0, image_shape=(1, 3, 5))
    assert recurrent.fits(Population(net.graph.named[2], {"recurrent": net.alif1.recurrent})) == (width == 64)
    check(net, images(2, (1, 3, 5)))

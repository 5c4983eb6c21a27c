"""Sizes of a large card: parts of a tensor lie further apart than 32 bits can say, and so do its ends.

Nothing of that size is filled: memory that nobody touches takes no room.
"""

import math
import tempfile

import pytest

pytest.importorskip("triton")

import torch
from against import DEVICE, EXACT, draw_of
from cases import network
from test_triton_products import named

from spikewise.dynamics import ALIF, LIF, Izhikevich
from spikewise.encoders import Delta, Latency
from spikewise.engine import RunOptions
from spikewise.engine.triton import recurrent
from spikewise.engine.triton.convolutions import ConvShape
from spikewise.engine.triton.inputs import encoded
from spikewise.engine.triton.izhikevich import IzhikevichPopulation
from spikewise.engine.triton.job import Job
from spikewise.engine.triton.kernels import encode, matmul, norm
from spikewise.engine.triton.population import Kept, Population
from spikewise.graph import Conv2d, Flatten, Neuron

APART = 2**30 + 64
"""Numbers from one part to the next: twice as many are no 32-bit number."""


@pytest.fixture(autouse=True)
def interpreted_in_place(monkeypatch):
    """The interpreter copies all memory of its arguments back where it was, which here is the same memory."""
    if DEVICE == "cpu":
        from triton.runtime.interpreter import GridExecutor

        monkeypatch.setattr(GridExecutor, "_restore_args_dev", lambda *arguments: None)


def reserved(count, dtype):
    """Memory for so many numbers, of which those that are used are there."""
    if DEVICE == "cuda":
        return torch.empty(count, dtype=dtype, device=DEVICE)
    with tempfile.NamedTemporaryFile() as file:  # of holes
        return torch.from_file(file.name, shared=True, size=count, dtype=dtype)


def far(parts):
    """The same parts, far apart."""
    room = reserved(2 * APART + parts[0].numel(), parts.dtype)
    strides = (APART, *parts[0].stride())
    out = room.as_strided(parts.shape, strides)
    out.copy_(parts)
    return out


def normal(*shape):
    g = torch.Generator().manual_seed(len(shape))
    return torch.randn(*shape, generator=g).to(DEVICE)


def split(value):
    return matmul.split(value, EXACT.parts, EXACT.dtype)


def test_parts_of_a_split_tensor():
    source, room = normal(40), reserved(2 * APART + 40, EXACT.dtype)
    matmul._split[(1,)](source, room, source, 1.0, 40, APART, PARTS=3, CHECK=False, SIZE=1024)
    assert torch.equal(room.as_strided((3, 40), (APART, 1)), split(source))


def test_operands_of_a_product():
    a, b = split(normal(3, 5)), split(normal(5, 4))
    assert torch.equal(matmul.product(far(a), far(b)), matmul.product(a, b))


@pytest.mark.parametrize("neuron", [LIF(), Izhikevich()], ids=str)
def test_gradients_of_neurons(neuron):
    net = network(Flatten(), Neuron(dynamics=neuron), image_shape=(1, 2, 3)).to(DEVICE)
    population = (IzhikevichPopulation if neuron.kind == "izhikevich" else Population)(net.graph.named[1], {})
    membrane, given = normal(4, 2, 6), normal(4, 2, 6)
    near, apart = (make(split(membrane * 0)) for make in (torch.clone, far))
    for out in (near, apart):
        population.backward((given, None), Kept(None, membrane, None), out)
    assert near.any()
    assert torch.equal(apart, near)


def test_gradients_of_a_recurrent_layer():
    net = network(Flatten(), Neuron(dynamics=ALIF(), recurrent=True), image_shape=(1, 2, 3)).to(DEVICE)
    population = Population(net.graph.named[1], {})
    membrane, third, given, matrix = normal(4, 2, 6), normal(4, 2, 6).abs(), normal(4, 2, 6), split(normal(6, 6))
    near, apart = (make(split(membrane * 0)) for make in (torch.clone, far))
    for out in (near, apart):
        totals = {"current": torch.empty(2, 6, device=DEVICE)}
        recurrent.back(population, (given, None), Kept(None, membrane, third), matrix, out, totals)
    assert near.any()
    assert torch.equal(apart, near)


def test_gradients_of_a_normalisation():
    given, values, facts, sums = normal(6, 3), normal(6, 3), normal(4, 3), normal(2, 3)
    near, apart = (make(split(values * 0)) for make in (torch.clone, far))
    for out in (near, apart):
        norm._apply[(1, 1)](given, values, facts, sums, out, out.stride(0), 6, BATCH=True, C=3, PARTS=3, RP=8, CP=4)
    assert near.any()
    assert torch.equal(apart, near)


def test_products_of_convolutions():
    shape = ConvShape(named(Conv2d(channels=4, kernel=3, padding=1), (2, 5, 6)))
    maps, given = split(normal(1, 2, 5, 6, 2)), split(normal(1, 2, 5, 6, 4))
    weight = split(normal(3, 3, 2, 4))
    assert torch.equal(shape.currents(far(maps), weight, None), shape.currents(maps, weight, None))
    assert torch.equal(shape.input_gradient(far(given), None, weight), shape.input_gradient(given, None, weight))
    found = shape.weight_gradient(far(given), None, far(maps))
    assert torch.equal(found, shape.weight_gradient(given, None, maps))


LANES = 6 * 357_913_942
"""More than 32 bits can number, by four."""


@pytest.fixture
def last_program(monkeypatch):
    """Of a launch, the interpreter runs the last program alone: the others take a day."""
    if DEVICE == "cpu":
        from triton.runtime import interpreter

        call, builder = interpreter.GridExecutor.__call__, interpreter.InterpreterBuilder

        def last(self, *arguments, **named):
            (count,), self.grid = self.grid, (1,)
            monkeypatch.setattr(builder, "set_grid_idx", lambda it, *_: setattr(it, "grid_idx", (count - 1, 0, 0)))
            call(self, *arguments, **named)

        monkeypatch.setattr(interpreter.GridExecutor, "__call__", last)


@pytest.mark.usefixtures("last_program")
def test_more_neurons_than_32_bits_can_number():
    net = network(Flatten(), Neuron(dynamics=LIF(threshold=0.5)), image_shape=(1, 2, 3)).to(DEVICE)
    population = Population(net.graph.named[1], {})
    current, membrane = (reserved(LANES, torch.float32).view(1, -1, 6) for _ in range(2))
    after = tuple(reserved(LANES, torch.float32).view(-1, 6) for _ in range(2))
    drive = torch.tensor([0.25, 0.5, 0.75, 1.25], device=DEVICE)
    current[0, -1, 2:] = drive
    kept = Kept(reserved(LANES, EXACT.dtype).view(1, -1, 6), membrane, None)
    population.forward(current, 1, kept, None, (*after, after[0]))
    assert kept.spikes[0, -1, 2:].tolist() == [0, 0, 1, 1]
    assert after[0][-1, 2:].tolist() == [0.25, 0.5, 0.25, 0.75]
    population.backward((current, None), kept, membrane)
    torch.testing.assert_close(membrane[0, -1, 2:], drive / (1 + (torch.pi * (drive - 0.5)).square()))


@pytest.mark.usefixtures("last_program")
def test_more_numbers_to_split_than_32_bits_can_number():
    source, parts = (reserved(LANES, torch.float32) for _ in range(2))
    source[-3:] = torch.tensor([1.0, -2.0, 3.0])
    matmul._split[(-(-LANES // 1024),)](
        source, parts, source, 1.0, LANES, LANES, PARTS=1, CHECK=False, SIZE=1024,
    )  # fmt: skip
    assert parts[-3:].tolist() == [1.0, -2.0, 3.0]


class Asked:
    """In place of a kernel: what grid it is asked to run on."""

    def __getitem__(self, grid):
        self.grid = grid
        return lambda *arguments, **named: None


@pytest.mark.parametrize("encoder", [Latency(steps=70_000), Delta(steps=70_000)], ids=str)
def test_more_steps_than_the_second_axis_of_a_grid_has_programs(encoder, monkeypatch):
    asked = Asked()
    monkeypatch.setattr(encode, "_delta" if encoder.kind == "delta" else "_periodic", asked)
    batch = torch.zeros(2, 1, 30, 40, dtype=torch.uint8, device=DEVICE)
    job = Job(draw_of(2), RunOptions(), EXACT, {}, {}, False, torch.zeros(1), None)
    encoded(encoder, batch, job)
    assert math.prod(asked.grid) == 3 * 70_000
    assert all(programs <= 65_535 for programs in asked.grid[1:])

"""Compile every kernel of some networks for an H100 without one: `python compiles.py`.

Triton makes another kernel of an argument that is 1 (a constant then, not a number of the device) or divisible by 16,
which its interpreter does not. The launches are the engine's own; only the last step, the launch, is left out.
"""

import sys
from pathlib import Path

import torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver, jit

sys.path.append(str(Path(__file__).parents[1] / "native"))

from cases import images, network

from spikewise.dynamics import ALIF, IF, LIF, CubaLIF, Izhikevich, TwoPhaseIF
from spikewise.encoders import Delta, Direct, Encoder, Latency, Periodic, Rate
from spikewise.engine.contract import RunOptions
from spikewise.engine.triton import run as engine
from spikewise.engine.triton.job import Operands
from spikewise.graph import BatchNorm, Conv2d, Dropout, Flatten, GlobalAvgPool, Linear, MaxPool, Neuron, Residual
from spikewise.network import Network
from spikewise.types import Draw

ONE, SIXTEEN = (1, 1, 1), (1, 16, 16)


class Absent:
    """A driver of a device that nothing is launched on."""

    get_current_target = staticmethod(lambda: GPUTarget("cuda", 90, 32))
    get_current_device = staticmethod(lambda: 0)
    get_current_stream = staticmethod(lambda device: 0)


def only_compile() -> None:
    driver.set_active(Absent())
    launch = jit.JITFunction.run
    jit.JITFunction.run = lambda self, *args, warmup, **rest: launch(self, *args, warmup=True, **rest)


def dense(encoder: Encoder, size: int) -> Network:
    hidden = Neuron(dynamics=ALIF(learn=("beta",), per="channel"), recurrent=True)
    return network(Flatten(), Dropout(p=0.5), Linear(features=size), hidden, Linear(features=size),
                   Neuron(dynamics=LIF()), encoder=encoder, image_shape=ONE if size == 1 else SIXTEEN)  # fmt: skip


def others(encoder: Encoder, size: int) -> Network:
    kinds = (CubaLIF(learn=("alpha",)), IF(initial=0.5), TwoPhaseIF(learn=("threshold",)), Izhikevich())
    layers = [layer for kind in kinds for layer in (Linear(features=size), Neuron(dynamics=kind))]
    return network(Flatten(), *layers, encoder=encoder, image_shape=ONE if size == 1 else SIXTEEN)


def maps(steps: int, channels: int) -> Network:
    return network(
        Conv2d(channels=channels, kernel=3), MaxPool(), Neuron(dynamics=LIF(learn=("beta",))),
        Conv2d(channels=channels, kernel=1, stride=2, padding=1), Neuron(dynamics=ALIF()), Flatten(),
        Linear(features=2), encoder=Rate(steps=steps), image_shape=(1, 8, 8),
    )  # fmt: skip


def joined(steps: int, channels: int) -> Network:
    block = Residual(main=(Neuron(dynamics=LIF()), Conv2d(channels=channels, kernel=3, padding=1), BatchNorm()))
    return network(
        BatchNorm(), Conv2d(channels=channels, kernel=3, padding=1), BatchNorm(), block, Neuron(dynamics=LIF()),
        Residual(main=(Conv2d(channels=channels, kernel=3, padding=1), Neuron(dynamics=LIF()))), GlobalAvgPool(),
        Linear(features=2), encoder=Direct(steps=steps), image_shape=(1, 8, 8),
    )  # fmt: skip


def learn(net: Network, batch: int) -> None:
    draw, options = Draw(1, 1, torch.arange(batch)), RunOptions(training=True)
    pixels = images(batch, net.graph.image_shape)
    result = engine.run_encoding(net.graph, net.weights, pixels, draw, options, Operands.of("float32"))
    net.graph.readout(result.trajectory).sum().backward()
    with torch.no_grad():
        engine.run_encoding(net.graph, net.weights, pixels, draw, RunOptions(), Operands.of("bfloat16"))


def main() -> None:
    only_compile()
    for size in (1, 16):
        encoders = [kind(steps=size) for kind in (Rate, Latency, Periodic, Direct, Delta)]
        for net in (
            *(dense(encoder, size) for encoder in encoders),
            others(encoders[0], size),
            maps(size, size),
            joined(size, size),
        ):
            learn(net, size)
    print("compiled")


if __name__ == "__main__":
    main()

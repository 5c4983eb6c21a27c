"""Networks of every layer that a graph can say: what engines are held against the reference with."""

import torch
from cases import network

from spikewise.dynamics import ALIF, LIF, CubaLIF, Izhikevich, LeakyIntegrator
from spikewise.encoders import Encoder
from spikewise.graph import (
    Activation,
    AvgPool,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Linear,
    MaxPool,
    Neuron,
    Residual,
    SpikingActivation,
    SumPool,
)
from spikewise.network import Network
from spikewise.surrogates import Boxcar

SHAPE = (2, 9, 11)


def conv(channels=6, kernel=3, **more):
    return Conv2d(channels=channels, kernel=kernel, padding=kernel // 2, **more)


def spiking(**more):
    return Neuron(dynamics=LIF(**more))


LEAKY = Neuron(dynamics=LeakyIntegrator())
END = (Flatten(), Linear(features=3), LEAKY)
CUBA = CubaLIF(learn=("alpha", "beta", "threshold"), per="channel")
CASES = {
    **{
        f"activation {name}": (conv(), Activation(function=name), conv(5), spiking(), MaxPool(), conv(4),
                               Activation(function=name), *END)
        for name in ("relu", "leaky_relu", "sigmoid", "tanh", "softplus", "gelu")
    },
    "a block whose path begins and ends in dropout": (
        conv(), spiking(),
        Residual(main=(Dropout(p=0.5), spiking(), Dropout(p=0.25), conv())), spiking(), *END,
    ),
    "spiking activations": (conv(), SpikingActivation(dt=0.25), MaxPool(), conv(5),
                            SpikingActivation(random_start=False), Flatten(), Linear(features=3)),
    "plain in training, and last": (conv(), SpikingActivation(dt=0.25, spiking_aware=False), Flatten(),
                                    Linear(features=3), SpikingActivation(dt=0.5)),
    "izhikevich": (conv(), Neuron(dynamics=Izhikevich()), Flatten(), Linear(features=20),
                   Neuron(dynamics=Izhikevich(per="channel", spread=0.2)), Linear(features=3)),
    "current-based": (conv(), Neuron(dynamics=CUBA), Flatten(), Linear(features=20),
                      Neuron(dynamics=CubaLIF(learn=("alpha", "beta"), reset_delay=True)), Linear(features=3)),
    "current-based, reset to zero later": (
        Flatten(), Linear(features=70),
        Neuron(dynamics=CubaLIF(learn=("alpha",), reset="zero", reset_delay=True), recurrent=True),
        Linear(features=3), Neuron(dynamics=CubaLIF(reset="none"))),
    "current-based, gradient through the reset": (
        Flatten(), Linear(features=70), Neuron(dynamics=CubaLIF(learn=("alpha",), reset_gradient=True), recurrent=True),
        Linear(features=3), spiking()),
    "rectangular kernels": (Conv2d(channels=5, kernel=(3, 2), stride=(1, 2), padding=(0, 1)), spiking(),
                            Conv2d(channels=7, kernel=(1, 3), padding=(2, 0)), spiking(), *END),
    "groups and dilation": (conv(), spiking(),
                            Conv2d(channels=12, kernel=3, groups=3, dilation=2, padding=2), spiking(),
                            Conv2d(channels=12, kernel=3, groups=12, bias=False), spiking(), *END),
    "many channels": (conv(70), spiking(), Conv2d(channels=66, kernel=(3, 2), padding=(1, 0)), spiking(), AvgPool(),
                      conv(20, stride=2), spiking(), Conv2d(channels=5, kernel=1, padding=1), spiking(), *END),
    "few gradients": (conv(), spiking(surrogate=Boxcar(width=0.05)), conv(20), spiking(surrogate=Boxcar(width=0.05)),
                      conv(17), spiking(), *END),
    "sums of windows": (conv(), spiking(), SumPool(size=(2, 3)), conv(4), spiking(),
                        SumPool(size=3, stride=2, padding=1), *END),
    "padded pools": (conv(), MaxPool(size=3, stride=2, padding=1), spiking(), AvgPool(size=2, padding=1), conv(4),
                     spiking(), MaxPool(size=3, stride=1, padding=1), *END),
    "global average": (conv(), spiking(), conv(4), spiking(), GlobalAvgPool(), Linear(features=3)),
    "global average of currents": (conv(), GlobalAvgPool(), spiking(), Linear(features=3), spiking()),
    "dropout anywhere": (
        Dropout(p=0.5), conv(), Dropout(p=0.5), spiking(), MaxPool(), conv(4), spiking(), Dropout(p=0.5), Flatten(),
        Dropout(p=0.75), Linear(features=12), Dropout(p=0.5), spiking(), Linear(features=3)),
    "currents added": (
        conv(), spiking(), Residual(main=(conv(), spiking(), conv())), spiking(),
        Residual(main=(conv(4, stride=2), spiking(), conv(4)), shortcut=(Conv2d(channels=4, kernel=1, stride=2),)),
        spiking(), *END),
    "spikes added": (conv(), spiking(), Residual(main=(conv(), spiking(), conv(), spiking())),
                     Residual(main=(conv(), spiking())), MaxPool(), conv(), spiking(), *END),
    "membranes past the neurons": (
        conv(), Residual(main=(spiking(), conv(), spiking(), conv())), Residual(main=(spiking(), conv())), spiking(),
        GlobalAvgPool(), Linear(features=3), LEAKY),
    "the image past a convolution": (Residual(main=(conv(2),)), spiking(), *END),
    "neurons behind a flat map": (conv(), Flatten(), Neuron(dynamics=ALIF(learn=("beta",), per="channel", spread=0.1)),
                                  Linear(features=3), spiking()),
}  # fmt: skip
NORMS = {
    "values": (conv(), BatchNorm(), LEAKY, conv(4), BatchNorm(), MaxPool(), Flatten(), Linear(features=17), BatchNorm(),
               LEAKY, Linear(features=3)),
    "spikes": (conv(), BatchNorm(), spiking(), conv(4), BatchNorm(), spiking(), Flatten(), Linear(features=17),
               BatchNorm(), spiking(), Linear(features=3)),
    "odd places": (BatchNorm(), conv(), MaxPool(), BatchNorm(), LEAKY, Flatten(), BatchNorm(), Linear(features=3)),
    "residual": (
        conv(), BatchNorm(), Residual(main=(spiking(), conv(), BatchNorm(), spiking(), conv(), BatchNorm())),
        Residual(main=(spiking(), conv(8, stride=2), BatchNorm()),
                 shortcut=(spiking(), Conv2d(channels=8, kernel=1, stride=2, bias=False), BatchNorm())),
        spiking(), GlobalAvgPool(), Linear(features=3), LEAKY),
}  # fmt: skip


def normalised(name: str, encoder: Encoder, seed: int) -> Network:
    """A network whose normalisations are not at their start."""
    net = network(*NORMS[name], image_shape=SHAPE, encoder=encoder, scale=2.0, seed=seed)
    g = torch.Generator().manual_seed(seed)
    for key, value in net.state_dict().items():
        if key.startswith("batch_norm"):
            wide = torch.rand if key.endswith("var") else torch.randn
            value.add_(wide(value.shape, generator=g), alpha=0.3)
    return net

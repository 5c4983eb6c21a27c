"""The Python file: encoder, layers, readout and ties, as a person would write them for snnTorch."""

import json
from typing import Final

from spikewise import __version__
from spikewise.encoders import Delta, Direct, Encoder, Latency, Periodic, Rate
from spikewise.errors import ConfigError
from spikewise.graph import Neuron
from spikewise.interop.deployed import Deployed
from spikewise.interop.runtime import Wish
from spikewise.interop.snntorch.layers import Lines, lines_of
from spikewise.readouts import FilteredSum, LastMembrane, MaxMembrane, MeanMembrane, Readout, SpikeCount
from spikewise.ties import NUDGE, PLACE_0, RELATIVE

__all__ = ["source_of"]

_HEAD: Final = '''"""The network "{network}" for images of {shape} pixels, in snnTorch. Written by spikewise {version}.

    model = load()            # reads {name}.safetensors beside this file
    scores = model(images)    # bytes (uint8) [B, {shape}], 0 black and 255 white -> [B, {classes}]

The highest score is the answer: CLASSES[int(scores[0].argmax())]. `model(images, sent)` fills the dictionary `sent`
with the spikes of each layer at each step. Dropout and foldable normalisation are gone; what is left can be trained on.
"""

from pathlib import Path

{imports}from safetensors.torch import load_file
from torch import nn

STEPS = {steps}
CLASSES = {names}


def load(path=Path(__file__).with_suffix(".safetensors")):
    """The trained network, ready to answer."""
    return Network(load_file(path)).eval()


def filled(module, weights, name):
    """A layer with its trained values."""
    module.load_state_dict({{key: weights[f"{{name}}.{{key}}"] for key in module.state_dict()}})
    return module

'''
_NOW: Final = '''
class Now:
    """Neurons that subtract the threshold once, in the step of the spike.

    With reset_delay=False snnTorch subtracts once more in the next step where a membrane was above two thresholds.
    """

    def mem_reset(self, mem):
        """No reset is left from the step before."""
        return torch.zeros_like(mem)

    def fire(self, mem):
        """Spikes; what met the threshold is kept, for readouts."""
        self.met = mem
        return super().fire(mem)

'''
_SUBCLASS: Final = '''
class {kind}Now(Now, snn.{kind}):
    """`snn.{kind}` that resets in the step of the spike."""

'''
_RECURRENT: Final = '''
def recurrent(matrix):
    """Connections of a layer to itself."""
    layer = nn.Linear(*matrix.T.shape, bias=False)
    layer.load_state_dict({"weight": matrix})
    return layer

'''
_TIES: Final = '''
def without_ties(scores, membrane):
    """Of equal highest scores the one of the higher mean membrane wins; where these are equal too, a fixed draw."""
    best = scores == scores.amax(1, keepdim=True)
    high = best & (membrane == torch.where(best, membrane, -torch.inf).amax(1, keepdim=True))
    chosen = high & (high.cumsum(1) - 1 == {place} % high.sum(1, keepdim=True).clamp(min=1))
    tied = best.sum(1, keepdim=True) > 1
    return torch.where(tied & chosen, scores + (scores.abs() * {relative!r}).clamp(min={nudge!r}), scores)
'''
_CHARGED: Final = """first = self.first_spikes[images.long()]  # step of the first spike
for step in range(STEPS):
    yield ({when}).float()"""
_DELTA: Final = """light = images.float() / 255
before = torch.zeros_like(light)
for down, right in {path}:  # of the sensor over the image
    now = torch.zeros_like(light)
    now[..., down:, right:] = light[..., : max({height} - down, 0), : max({width} - right, 0)]
    change, before = now - before, now
    yield torch.cat([change > {threshold!r}, change < -{threshold!r}], 1).float()"""


def source_of(network: Deployed, wish: Wish) -> str:
    """The text of NAME.py; it depends on nothing but the graph, its numbers and the version.

    Raises:
        ConfigError: snnTorch cannot say the encoder or a layer, which is named.
    """
    graph = network.graph
    last = graph.named[-1]
    lines = {at.name: lines_of(network, at, last=at is last) for at in graph.named}
    made = [line for one in lines.values() for line in one.made]
    kinds = [kind for kind in ("Leaky", "Synaptic") if any(f"= {kind}Now(" in line for line in made)]
    body = [
        *_constructor(graph.encoder, made),
        "",
        *_encoder(graph.encoder, graph.image_shape),
        "",
        *_forward(network, lines),
    ]
    spiking = any(isinstance(at.layer, Neuron) for at in graph.named)
    head = _HEAD.format(
        network=wish.name,
        shape=", ".join(map(str, graph.image_shape)),
        version=__version__,
        name=wish.name,
        classes=graph.classes,
        steps=graph.steps,
        names=json.dumps(list(wish.classes)),
        imports="import snntorch as snn\nimport torch\n" if spiking else "import torch\n",
    )
    own = _NOW if kinds else ""
    own += "".join(_SUBCLASS.format(kind=kind) for kind in kinds)
    own += _RECURRENT if any("recurrent(weights" in line for line in made) else ""
    ties = _TIES.format(place=PLACE_0, relative=RELATIVE, nudge=NUDGE)
    rows = ["", "", "class Network(nn.Module):", '    """Layers, and how they work together in time."""', "", *body]
    text = head + own + ties + "\n".join(rows).replace("\n    \n", "\n\n") + "\n"
    return "\n".join(line.rstrip() for line in text.split("\n"))


def _indented(lines: list[str], depth: int) -> list[str]:
    return [" " * 4 * depth + line for line in lines]


def _constructor(encoder: Encoder, made: list[str]) -> list[str]:
    tables = {"rate": ["random_bytes"], "latency": ["first_spikes"], "periodic": ["first_spikes"]}
    held = [f'self.register_buffer("{name}", weights["{name}"])' for name in tables.get(encoder.kind, [])]
    return ["    def __init__(self, weights):", *_indented(["super().__init__()", *held, *made], 2)]


def _encoder(encoder: Encoder, shape: tuple[int, int, int]) -> list[str]:
    words = f'"""What the first layer receives at each step, [B, C, H, W]: code \'{encoder.kind}\'."""'
    return ["    def encode(self, images):", *_indented([words, *_steps_of(encoder, shape).split("\n")], 2)]


def _steps_of(encoder: Encoder, shape: tuple[int, int, int]) -> str:
    match encoder:
        case Direct():
            return _direct(encoder)
        case Rate():
            return (
                "level = images.short() + (images >= 128)\n"
                "for drawn in self.random_bytes:  # the same for every image\n"
                "    yield (drawn < level).float()"
            )
        case Latency():
            return _CHARGED.format(when="first == step")
        case Periodic():
            return _CHARGED.format(when="(step > 0) & (step % first == 0)")
        case Delta():
            values = {"path": encoder.path(), "height": shape[1], "width": shape[2], "threshold": encoder.threshold}
            return _DELTA.format(**values)
    raise ConfigError(f"The encoder '{encoder.label}' is Python from outside the package; export a network of another.")


def _direct(encoder: Direct) -> str:
    currents = "images.float() / 255"
    if encoder.mean:
        mean, deviation = (
            f"torch.tensor({list(values)!r}, device=images.device).view(-1, 1, 1)"
            for values in (encoder.mean, encoder.deviation)
        )
        currents = f"({currents} - {mean}) / {deviation}"
    return f"currents = {currents}\nfor _ in range(STEPS):\n    yield currents"


def _forward(network: Deployed, lines: dict[str, Lines]) -> list[str]:
    graph = network.graph
    last = graph.named[-1].name
    begun = [line for one in lines.values() for line in one.begun]
    called = [line for one in lines.values() for line in one.called]
    told = [f'    sent.setdefault("{name}", []).append({name})' for name in graph.spiking_layers]
    counts = isinstance(graph.readout, SpikeCount)
    body = [
        '"""Scores [B, K]; `sent`, a dictionary, is filled with the spikes of each layer."""',
        *begun,
        f"{'spikes, ' if counts else ''}membranes = {'[], ' if counts else ''}[]",
        "for x in self.encode(images):",
        *_indented(called, 1),
        *_indented([f"spikes.append({last})"] if counts else [], 1),
        f"    membranes.append({lines[last].membrane})",
        *_indented(["if sent is not None:", *told] if told else [], 1),
        "membranes = torch.stack(membranes)",
        f"scores = {_read(graph.readout)}",
        "return without_ties(scores, membranes.mean(0))",
    ]
    return ["    def forward(self, images, sent=None):", *_indented(body, 2)]


def _read(readout: Readout) -> str:
    match readout:
        case SpikeCount():
            return "torch.stack(spikes).sum(0)"
        case MaxMembrane():
            return "membranes.amax(0)"
        case MeanMembrane():
            return "membranes.mean(0)"
        case LastMembrane(scale=scale):
            return "membranes[-1]" if scale == 1 else f"{scale!r} * membranes[-1]"
        case FilteredSum(decay=decay):
            ages = f"{decay!r} ** torch.arange(STEPS - 1.0, -1, -1, device=membranes.device)"
            return f'torch.einsum("t,tbk->bk", {ages}, membranes)'

"""What "auto" means for the network and its input: what suits images of a size and number of channels."""

from typing import Final, Literal, NamedTuple

from spikewise.config import Config
from spikewise.dynamics import LIF, Dynamics, LeakyIntegrator
from spikewise.encoders import Direct, Encoder, Rate, Steps
from spikewise.experiments.remembered import Remembered
from spikewise.initial import Init, Uniform
from spikewise.models import MLP, Cell, Conv, Model, Share, Size, Width

__all__ = ["AutomaticEncoder", "AutomaticModel", "ChosenNetwork", "chosen"]

Shape = tuple[int, int, int]
_SMALL = 28
"""Pixels a side up to which grey images get a fully connected network, as is usual for digits."""
_SMALLEST = 4
"""Pixels a side that two poolings need."""
_CURRENT_STEPS = 4
_RATE_STEPS = 25
_CHANNELS, _KERNELS, _HIDDEN = (16, 32), (3, 3), (128,)
_DENSE_HIDDEN = (512,)
_MODELS: Final = Remembered[Model]()
_ENCODERS: Final = Remembered[Encoder]()


class AutomaticModel(Config):
    """The network that suits the images.

    Grey images of at most 28 pixels a side: fully connected (`mlp`, 512 neurons). Larger or coloured ones:
    convolutional (`conv`) and as deep and wide as the small CNN: 16 and 32 channels, 128 neurons. What is set here
    holds for either.
    """

    kind: Literal["auto"] = "auto"
    hidden: tuple[Size, ...] | None = None
    """Neurons of each hidden fully connected layer; by default as the kind has them."""
    width: Width = 1.0
    """Multiplies channels and hidden sizes (rounded, at least 1): one knob for the number of parameters."""
    cell: Cell = LIF()
    recurrent: bool = False
    """Recurrent weights in the hidden fully connected layers."""
    bias: bool = True
    """Biases in the convolutions and hidden layers (the output layer always has them)."""
    init: Init = Uniform()
    """How all weights start."""
    output: Dynamics | Literal["none"] = LeakyIntegrator()
    """Neurons of the output layer; "none" leaves its linear layer bare."""
    dropout: Share = 0.0
    """Share of each hidden layer that is silenced in training."""

    def chosen(self, image_shape: Shape) -> MLP | Conv:
        """The network for images of channels, height, width."""
        given = self.model_dump(exclude={"kind", "hidden"})
        if is_small(image_shape):
            return MLP(hidden=_DENSE_HIDDEN if self.hidden is None else self.hidden, **given)
        hidden = _HIDDEN if self.hidden is None else self.hidden
        return Conv(channels=_CHANNELS, kernels=_KERNELS, hidden=hidden, **given)


class AutomaticEncoder(Config):
    """The input that suits the images.

    Grey images of at most 28 pixels a side: spikes at the rate of the intensity (`rate`, 25 steps). Larger or coloured
    ones: a constant current (`direct`, 4 steps), which the first layer learns to turn into spikes; source: Wu et al.,
    "Direct training for spiking neural networks: faster, larger, better", AAAI 2019, sec. 4 (encoding layer).
    """

    kind: Literal["auto"] = "auto"
    steps: Steps | None = None
    """Number of time steps T; by default as the kind has them."""

    def chosen(self, image_shape: Shape) -> Encoder:
        """The encoder for images of channels, height, width."""
        if is_small(image_shape):
            return Rate(steps=self.steps or _RATE_STEPS)
        return Direct(steps=self.steps or _CURRENT_STEPS)

    def drawn(self) -> Encoder:
        """The encoder for a picture of what an encoder does: spikes, whatever the image."""
        return Rate(steps=self.steps or _RATE_STEPS)


class ChosenNetwork(NamedTuple):
    """A network and its input."""

    model: Model
    encoder: Encoder


def chosen(model: Model | AutomaticModel, encoder: Encoder | AutomaticEncoder, image_shape: Shape) -> ChosenNetwork:
    """The network and the input for images of channels, height, width, where "auto" leaves them open."""
    return ChosenNetwork(
        _MODELS.of(model, image_shape, lambda: _own_model(model, image_shape)),
        _ENCODERS.of(encoder, image_shape, lambda: _own_encoder(encoder, image_shape)),
    )


def _own_model(model: Model | AutomaticModel, image_shape: Shape) -> Model:
    return model.chosen(image_shape) if isinstance(model, AutomaticModel) else model


def _own_encoder(encoder: Encoder | AutomaticEncoder, image_shape: Shape) -> Encoder:
    return encoder.chosen(image_shape) if isinstance(encoder, AutomaticEncoder) else encoder


def is_small(image_shape: Shape) -> bool:
    """Whether images are grey and small, as digits are, or too small to be pooled twice."""
    channels, *sides = image_shape
    return (channels == 1 and max(sides) <= _SMALL) or min(sides) < _SMALLEST


def said(before: ChosenNetwork | tuple[object, object], after: ChosenNetwork, image_shape: Shape) -> str | None:
    """What was chosen and why, in one line; None where nothing was left open."""
    model, encoder = before
    parts = []
    if isinstance(model, AutomaticModel):
        kind = "fully connected" if isinstance(after.model, MLP) else "convolutional"
        parts.append(f"{kind} (model.kind={after.model.kind})")
    if isinstance(encoder, AutomaticEncoder):
        parts.append(f"{after.encoder.kind} input over {after.encoder.steps} steps (encoder.kind={after.encoder.kind})")
    if not parts:
        return None
    shape = "x".join(map(str, image_shape))
    why = "small and grey" if is_small(image_shape) else "coloured" if image_shape[0] > 1 else "larger than 28 pixels"
    return f"Network: {', '.join(parts)}, as the images ({shape}) are {why}; --set model.kind=... decides otherwise."

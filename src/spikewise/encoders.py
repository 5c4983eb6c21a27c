"""Encoders turn uint8 images into spikes or currents over time; each is a frozen config that is its own function.

The same key (`Draw`) gives the same spikes on any engine, batch composition, thread count or device.
"""

import functools
import json
from abc import abstractmethod
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from pydantic import Field, PrivateAttr
from torch import Tensor

from spikewise.config import Config, parse
from spikewise.config.registered import found
from spikewise.errors import ConfigError, ShapeError
from spikewise.randomness import bytes_of_steps, random_bytes
from spikewise.types import Draw, Signal

__all__ = [
    "Delta",
    "Direct",
    "Encoder",
    "ImageEncoder",
    "Latency",
    "Periodic",
    "Rate",
    "RegisteredEncoder",
    "Steps",
    "charging_time",
    "intensities",
    "levels_there",
]

Images = UInt8[Tensor, "B C H W"]
Currents = Float[Tensor, "T B C2 H W"]
Steps = Annotated[int, Field(ge=1, le=100_000)]
_LEVELS = 256
_BYTES_AT_ONCE = 1 << 23
"""Random bytes drawn together on a GPU, whose time goes by the number of operations; each takes 16 bytes meanwhile."""


class ImageEncoder(Config):
    """Base of the encoders."""

    kind: str
    emits: ClassVar[Signal]
    """What it sends."""
    differentiable: ClassVar[bool]
    """Whether the mean of what it sends is the intensity, or linear in it, at every step, so that gradients pass to the
    image: exactly where it sends currents, by expectation where it sends spikes."""
    steps: Steps
    """Number of time steps T."""

    @abstractmethod
    def __call__(self, images: Images, draw: Draw) -> Currents:
        """Spikes or currents [T, B, C, H, W]."""

    def per_intensity(self, gradient: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """A gradient with respect to what is sent, steps together, as one with respect to the intensities."""
        return gradient

    @property
    def label(self) -> str:
        """What it is called in reports."""
        return self.kind

    def channels(self, image_channels: int) -> int:
        """Channels that leave the encoder."""
        return image_channels

    def expected(self, images: Images) -> Currents:
        """Mean [T, B, C, H, W] of what a differentiable encoder sends."""
        assert self.differentiable
        return intensities(images).expand(self.steps, *images.shape)


class Rate(ImageEncoder):
    """Each pixel spikes at each step with the probability of its intensity (Bernoulli).

    A random byte below  p + [p >= 128]  is a spike, so black never fires, white always does and the probability is
    within 1/512 of p / 255. Source: e.g. Eshraghian et al., Proc. IEEE 111(9), 2023, sec. III.A.
    """

    kind: Literal["rate"] = "rate"
    emits: ClassVar[Signal] = Signal("spikes")
    differentiable: ClassVar[bool] = True
    steps: Steps = 25

    def __call__(self, images: Images, draw: Draw) -> Currents:
        """Spikes [T, B, C, H, W] as 0.0 or 1.0."""
        pixels = images.flatten(1)
        out = torch.empty(self.steps, *pixels.shape, device=images.device)
        for steps, spikes in self._spikes(pixels, draw):
            out[steps.start : steps.stop] = spikes
        return out.view(self.steps, *images.shape)

    def mean(self, images: Images, draw: Draw) -> Images:
        """The images as the spikes show them: of each pixel the share of steps with a spike, as a byte.

        So much noise a rate code brings: a pixel p becomes Binomial(T, p) / T, counted from the spikes of the same key.
        """
        pixels = images.flatten(1)
        counts = torch.zeros(pixels.shape, device=images.device)
        for _, spikes in self._spikes(pixels, draw):
            counts += spikes.sum(0)
        seen: Images = counts.mul_(_LEVELS - 1).div_(self.steps).round_().to(torch.uint8).view_as(images)
        return seen

    def _spikes(self, pixels: UInt8[Tensor, "B P"], draw: Draw) -> Iterator[tuple[range, Bool[Tensor, "t B P"]]]:
        """The spikes of some steps at a time."""
        # uint8 cannot hold 256, so "r < p + 1" is "r <= p" for the bright half
        bright = pixels >= 128
        at_once = 1 if pixels.device.type == "cpu" else max(1, _BYTES_AT_ONCE // max(pixels.numel(), 1))
        for start in range(0, self.steps, at_once):
            steps = range(start, min(start + at_once, self.steps))
            if len(steps) == 1:
                r = random_bytes(draw, start, pixels.shape[1])[None]
            else:
                r = bytes_of_steps(draw, steps, pixels.shape[1])
            yield steps, (r < pixels) | (bright & (r == pixels))


def intensities(images: Images) -> Float[Tensor, "B C H W"]:
    """Pixels as numbers from 0 (black) to 1 (white), of the same bits on every device."""
    if images.device.type == "cpu":
        return images.float() / (_LEVELS - 1)
    return levels_there(images.device)[images.long()]


@functools.cache  # nothing is dropped: a recorded step of a GPU goes on reading it
def levels_there(device: torch.device) -> Float[Tensor, " 256"]:
    """The 256 intensities on a device: quotients of the CPU, for a GPU multiplies by the rounded reciprocal instead."""
    return (torch.arange(_LEVELS).float() / (_LEVELS - 1)).to(device)


def charging_time(x: Float[Tensor, "*F"], steps: int, tau: float, threshold: float) -> Int64[Tensor, "*F"]:
    """Step at which a LIF neuron under constant current `x` reaches threshold; `steps` or later where it is too late.

        k = trunc(tau ln(x / (x - threshold)))   for x >= threshold (clipped to threshold + 1e-7)

    Source: the membrane equation  tau dv/dt = x - v  solved for v(t) = threshold; Gerstner et al.,
    *Neuronal Dynamics*, 2014, sec. 1.3.
    """
    x = x.double()
    clipped = x.clamp(min=threshold + 1e-7)
    k = (tau * (clipped / (clipped - threshold)).log()).trunc().long()
    return torch.where(x < threshold, steps, k)


class _Charging(ImageEncoder):
    steps: Steps = 100
    tau: Annotated[float, Field(gt=0)] = 20.0
    """Membrane time constant in steps."""
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Intensity (0..1) below which a pixel never spikes."""

    def first_spikes(self) -> Int64[Tensor, " 256"]:
        """Step of the first spike for each of the 256 intensities."""
        return charging_time(torch.arange(_LEVELS).double() / (_LEVELS - 1), self.steps, self.tau, self.threshold)

    @abstractmethod
    def spike_table(self) -> Int64[Tensor, " 256"]:
        """What says when the 256 levels of a pixel spike."""

    def _of_pixels(self, images: Images) -> Int64[Tensor, "B C H W"]:
        """The table's entry for each pixel."""
        return _spike_table_there(self, images.device)[images.long()]


@functools.cache  # nothing is dropped: a recorded step of a GPU goes on reading it
def _spike_table_there(encoder: _Charging, device: torch.device) -> Int64[Tensor, " 256"]:
    """On a device once and for all: made on the CPU (logarithms differ), and a recorded step cannot copy from there."""
    return encoder.spike_table().to(device)


class Latency(_Charging):
    """One spike a pixel: the brighter, the earlier. See `charging_time`."""

    kind: Literal["latency"] = "latency"
    emits: ClassVar[Signal] = Signal("spikes")
    differentiable: ClassVar[bool] = False

    def spike_table(self) -> Int64[Tensor, " 256"]:
        """Step of the only spike of each level of a pixel; T where none comes."""
        return self.first_spikes().clamp(max=self.steps)

    def __call__(self, images: Images, draw: Draw) -> Currents:
        """Spikes [T, B, C, H, W] as 0.0 or 1.0; `draw` is not used."""
        del draw
        when = self._of_pixels(images)
        return (when == _clock(self.steps, images)).float()


class Periodic(_Charging):
    """Spikes at k, 2k, 3k, ... with k the charging time clipped to [1, T - 1]. See `charging_time`."""

    kind: Literal["periodic"] = "periodic"
    emits: ClassVar[Signal] = Signal("spikes")
    differentiable: ClassVar[bool] = False

    def spike_table(self) -> Int64[Tensor, " 256"]:
        """Steps from one spike to the next of each level of a pixel, from 1."""
        return self.first_spikes().clamp(1, max(self.steps - 1, 1))

    def __call__(self, images: Images, draw: Draw) -> Currents:
        """Spikes [T, B, C, H, W] as 0.0 or 1.0; `draw` is not used."""
        del draw
        period = self._of_pixels(images)
        clock = _clock(self.steps, images)
        return ((clock > 0) & (clock % period == 0)).float()


class Direct(ImageEncoder):
    """The intensity as a constant current at every step; one step is a conventional network's input.

    current = intensity                        (0..1) without `mean` and `deviation`
    current = (intensity - mean) / deviation   of the pixel's channel, in float32, with them
    """

    kind: Literal["direct"] = "direct"
    emits: ClassVar[Signal] = Signal("values", constant=True, pixels=True)
    differentiable: ClassVar[bool] = True
    steps: Steps = 10
    mean: tuple[float, ...] = ()
    """Intensity (0..1) of each channel that becomes a current of 0; one for all channels, or none."""
    deviation: tuple[Annotated[float, Field(gt=0)], ...] = ()
    """Intensity of each channel that makes a current of 1 more; as many as there are means."""

    def model_post_init(self, context: object) -> None:
        """Check that means and deviations belong together."""
        del context
        if len(self.mean) != len(self.deviation):
            raise ConfigError(
                f"encoder.mean has {len(self.mean)} entries and encoder.deviation {len(self.deviation)}; give one of "
                "each for each channel of the images."
            )

    def __call__(self, images: Images, draw: Draw) -> Currents:
        """Currents [T, B, C, H, W], the same at every step; `draw` is not used."""
        del draw
        return self.expected(images)

    def channels(self, image_channels: int) -> int:
        """Those of the image.

        Raises:
            ShapeError: means are of another number of channels.
        """
        if len(self.mean) not in (0, 1, image_channels):
            raise ShapeError(
                f"encoder.mean and encoder.deviation are of {len(self.mean)} channels, and the images have "
                f"{image_channels}"
            )
        return image_channels

    def expected(self, images: Images) -> Currents:
        """The currents."""
        return self.currents(images).expand(self.steps, *images.shape)

    def currents(self, images: Images) -> Float[Tensor, "B C H W"]:
        """Those of one step, of the same bits on every device."""
        if not self.mean:
            return intensities(images)
        if images.device.type == "cpu":
            mean, deviation = (torch.tensor(values).view(-1, 1, 1) for values in (self.mean, self.deviation))
            return (intensities(images) - mean) / deviation
        table = _currents_there(self.mean, self.deviation, images.device)
        rows = torch.arange(len(table), device=images.device).view(-1, 1, 1)
        return table[rows, images.long()]

    def per_intensity(self, gradient: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """A gradient with respect to the currents as one with respect to the intensities."""
        if not self.mean:
            return gradient
        return gradient / torch.tensor(self.deviation, dtype=gradient.dtype, device=gradient.device).view(-1, 1, 1)


@functools.cache  # nothing is dropped: a recorded step of a GPU goes on reading it
def _currents_there(
    mean: tuple[float, ...], deviation: tuple[float, ...], device: torch.device
) -> Float[Tensor, "C 256"]:
    """Currents of the 256 levels of each channel, made on the CPU: a GPU's quotients are rounded otherwise."""
    levels = torch.arange(_LEVELS).float() / (_LEVELS - 1)
    return ((levels - torch.tensor(mean)[:, None]) / torch.tensor(deviation)[:, None]).to(device)


class Delta(ImageEncoder):
    """Change events of a sensor that starts dark and moves over the image along a triangle, as an event camera does.

    Channel c holds the brightenings, channel C + c the darkenings, by more than `threshold` since the last step.
    Source for the motion: Orchard et al., "Converting static image datasets to spiking neuromorphic datasets using
    saccades", Frontiers in Neuroscience 9:437, 2015.
    """

    kind: Literal["delta"] = "delta"
    emits: ClassVar[Signal] = Signal("spikes")
    differentiable: ClassVar[bool] = False
    steps: Steps = 24
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Smallest change of intensity (0..1) that makes an event."""
    amplitude: Annotated[int, Field(ge=1, le=64)] = 2
    """Reach of the motion in pixels."""

    def channels(self, image_channels: int) -> int:
        """Brightenings and darkenings."""
        return 2 * image_channels

    def __call__(self, images: Images, draw: Draw) -> Currents:
        """Events [T, B, 2C, H, W] as 0.0 or 1.0; `draw` is not used."""
        del draw
        x = intensities(images)
        frames = torch.stack([torch.zeros_like(x), *(_shifted(x, *at) for at in self.path())])
        change = frames.diff(dim=0)
        return torch.cat([change > self.threshold, change < -self.threshold], dim=2).float()

    def path(self) -> list[tuple[int, int]]:
        """Offset (down, right) in pixels at each step: along three edges of a triangle and back to the start."""
        corners = [(0, 0), (self.amplitude, self.amplitude), (0, 2 * self.amplitude), (0, 0)]
        points = []
        for step in range(self.steps):
            edge, part = divmod(3 * step / self.steps, 1)
            (y0, x0), (y1, x1) = corners[int(edge)], corners[int(edge) + 1]
            points.append((round(y0 + part * (y1 - y0)), round(x0 + part * (x1 - x0))))
        return points


def _shifted(x: Tensor, down: int, right: int) -> Tensor:
    height, width = x.shape[-2:]
    out = torch.zeros_like(x)
    if down < height and right < width:
        out[..., down:, right:] = x[..., : height - down, : width - right]
    return out


def _clock(steps: int, images: Tensor) -> Tensor:
    return torch.arange(steps, device=images.device).view(-1, *[1] * images.ndim)


class RegisteredEncoder(ImageEncoder):
    """An encoder from outside the package: its kind and its settings. It does what its class says.

    Raises:
        ConfigError: no such encoder is registered in this process, or its settings are wrong.
    """

    kind: Literal["registered"] = "registered"
    family: ClassVar[type[Config]] = ImageEncoder
    name: str
    """The kind of the registered class."""
    settings: dict[str, Any] = Field(default_factory=dict)
    steps: Steps = 1
    """Those of the registered class, which decides where the settings name them."""
    _own: ImageEncoder = PrivateAttr()

    def model_post_init(self, context: object) -> None:
        """Make the encoder, and take over what others ask of it."""
        del context
        steps = {"steps": self.steps} if "steps" in self.model_fields_set and "steps" not in self.settings else {}
        own = found(self.name, ImageEncoder, "encoder")  # type: ignore[type-abstract]  # a concrete one
        self._own = parse(own, {**self.settings, **steps})
        object.__setattr__(self, "steps", self._own.steps)  # frozen for users

    def __hash__(self) -> int:
        return hash((self.name, self.steps, json.dumps(self.settings, sort_keys=True)))

    @property
    def label(self) -> str:
        """Its own kind."""
        return self.name

    @property
    def emits(self) -> Signal:  # type: ignore[override]  # each registered class has its own
        """What it sends."""
        return self._own.emits

    @property
    def differentiable(self) -> bool:  # type: ignore[override]  # as above
        """Whether gradients pass to the image."""
        return self._own.differentiable

    def channels(self, image_channels: int) -> int:
        """Those of the registered class."""
        return self._own.channels(image_channels)

    def expected(self, images: Images) -> Currents:
        """That of the registered class."""
        return self._own.expected(images)

    def per_intensity(self, gradient: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """That of the registered class."""
        return self._own.per_intensity(gradient)

    def __call__(self, images: Images, draw: Draw) -> Currents:
        """Spikes or currents [T, B, C, H, W]."""
        return self._own(images, draw)


Encoder = Annotated[Rate | Latency | Periodic | Direct | Delta | RegisteredEncoder, Field(discriminator="kind")]

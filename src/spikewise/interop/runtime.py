"""What every export format is, and what runs an exported file: the seam between the check and the formats."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int16, Int64, UInt8

from spikewise.dynamics import SpikingNeuron
from spikewise.engine import RunOptions
from spikewise.engine.parameters import neuron_parameters
from spikewise.errors import ConfigError
from spikewise.evaluation.ties import logits_without_ties
from spikewise.graph import Neuron
from spikewise.interop.deployed import Deployed
from spikewise.network import Network
from spikewise.types import Draw

__all__ = [
    "Exported",
    "Format",
    "Here",
    "Numbers",
    "Opened",
    "PageContent",
    "Reader",
    "Runtime",
    "Sent",
    "Wish",
    "Written",
]

Numbers = Literal["float32", "int8"]


class Sent(NamedTuple):
    """What a runtime says about a batch of images."""

    scores: Float[np.ndarray, "B K"]
    """Logits with ties broken (`spikewise.ties`, as for an image at place 0): the highest is the answer."""
    spikes: Mapping[str, Int16[np.ndarray, "T B *F"]]
    """What each spiking layer sent at each step, by the name that the layer has in the network: 0 or 1; more, or less
    than zero, where a layer sends such."""


@runtime_checkable
class Runtime(Protocol):
    """Something that runs a network on images: one of our engines, or a foreign program that has read the file."""

    @property
    def name(self) -> str:
        """What it is, with its version."""

    def __call__(self, images: UInt8[np.ndarray, "B C H W"]) -> Sent:
        """Scores and spikes; each image gets the random numbers that `predict` gives it (seed as in the file)."""


class Reader(NamedTuple):
    """A tool that reads the file otherwise than it is meant, such as one that knows another reset."""

    name: str
    why: str
    runtime: Runtime


class Opened(NamedTuple):
    """An exported file, ready to be checked."""

    runtime: Runtime
    """The foreign runtime that must do the same."""
    reference: Runtime | None = None
    """What it must equal where that isn't the network itself: a simulator of its integers, or its rounded weights."""
    integers: bool = False
    """Whether the reference computes in integers, so that nothing may differ."""
    readers: tuple[Reader, ...] = ()
    """Others, whose differences are measured and told."""
    alone: Callable[[UInt8[np.ndarray, "B C H W"]], object] | None = None
    """What is timed in place of the runtime: the file as it stands, where spikes are got by adding to it."""


class Written(NamedTuple):
    """What a format has written into a folder."""

    main: str
    """Name of the file that the user is after."""
    files: tuple[str, ...]
    """Names of all files, with the main one."""
    warnings: tuple[str, ...] = ()
    """What a reader of the file has to know, in sentences."""
    facts: Mapping[str, int | float | str] = {}
    """Sizes and the like that the format knows, for the table: {"flash, bytes": 412}."""
    opened: Opened | None = None
    """What `open` would give, where the files had to be read back to be written whole: not done twice then."""
    levels: int | None = None
    """What weights are rounded to, so that the files stay small: multiples of their root mean square divided by it."""


class PageContent(NamedTuple):
    """What a page shows beside the network."""

    name: str = "snn"
    """Of the network in its run."""
    run: str = ""
    """Name of the run folder."""
    twin: Deployed | None = None
    images: UInt8[np.ndarray, "N C H W"] | None = None
    """Test images; without `shown` only what they have in common is told."""
    labels: Int64[np.ndarray, " N"] | None = None
    shown: bool = False
    aspect: str = "stretch"
    """How images come to the network's size: "stretch" or "keep"."""
    background: str = "black"
    """Behind transparent pixels, and beside images that keep their proportions."""
    exit_at: float | None = None
    """Confidence from which a run may end early."""


class Wish(NamedTuple):
    """What an export is asked for beside its format."""

    name: str = "network"
    """Of the files, and of what is in them where they have names."""
    tool: str | None = None
    """The tool that is to read it, where the format has dialects."""
    numbers: Numbers = "float32"
    classes: tuple[str, ...] = ()
    seed: int = 0
    """Of the random numbers of the encoder."""
    data: str = ""
    """Name of the image set."""
    beside: Callable[[], PageContent] | None = None
    """Gives what a page shows beside the network."""
    foreign: bool = False
    """Whether the files may come from elsewhere and hold anything, so that they are run apart from this process."""
    samples: UInt8[np.ndarray, "N C H W"] = np.zeros((0, 1, 1, 1), np.uint8)
    """Some images of the check, for a format that writes such into its files; none where they may not be passed on."""
    max_size: int | None = None
    """Bytes that the main file may have: its weights are rounded where it would have more."""
    levels: int | None = None
    """To what the files were rounded for that; `open` reads it."""

    def only(self, name: str, *, tools: Collection[str] = (), integers: bool = False, sized: bool = False) -> None:
        """Refuse what a format does not have.

        Args:
            name: of the format.
            tools: dialects that it has.
            integers: whether it has them.
            sized: whether it can round weights, to stay below a size.
        Raises:
            ConfigError: something else is wished for.
        """
        if self.tool is not None and self.tool not in tools:
            have = f"it is written for {', '.join(sorted(tools))}" if tools else "it is the same for every tool"
            raise ConfigError(
                f"The format '{name}' has no dialect '{self.tool}'; {have}: leave --for out or change it."
            )
        if self.numbers == "int8" and not integers:
            raise ConfigError(f"The format '{name}' has no integers: leave --int8 out, or export to c, which has.")
        if self.max_size is not None and not sized:
            raise ConfigError(
                f"The format '{name}' keeps all of a network's weights: leave --max-size out, or export to html, "
                "which can round them."
            )


@runtime_checkable
class Format(Protocol):
    """One export format."""

    name: str
    """What `--to` calls it."""
    title: str
    """What people call it, such as "NIR"."""
    about: str
    """One line for people."""
    exact: bool
    """Whether spikes must be equal to the last one; else a few of a million may differ by rounding."""

    def write(self, network: Deployed, folder: Path, wish: Wish) -> Written:
        """Write the files.

        Raises:
            ConfigError: the format cannot say a layer or setting (named, with what to do), or the wish.
            DependencyError: a package is missing.
        """

    def open(self, network: Deployed, folder: Path, main: str, wish: Wish) -> Opened:
        """Read the files back by a foreign runtime.

        Args:
            network: The one they were made of.
        Raises:
            DataError: they are damaged.
            DependencyError: what runs them is not installed.
        """


class Exported(NamedTuple):
    """A finished export."""

    folder: Path
    file: Path


class Here:
    """Our own engine as a runtime: what every export is compared with."""

    def __init__(self, network: Network, *, seed: int = 0) -> None:
        self.network = network.frozen()  # or each call would bring the weights into the engine's order again
        self._seed = seed

    @property
    def name(self) -> str:
        """The engine that ran last."""
        return f"spikewise, engine {self._engine}" if self._engine else "spikewise"

    _engine = ""

    def draw(self, images: int) -> Draw:
        """Key of the random numbers: that of `predict`, the same for every image."""
        return Draw(self._seed, 0, torch.zeros(images, dtype=torch.int64))

    @torch.no_grad()
    def __call__(self, images: UInt8[np.ndarray, "B C H W"]) -> Sent:
        """Scores and spikes."""
        layers = self.network.graph.spiking_layers
        draw = self.draw(len(images))
        output = self.network(torch.from_numpy(images), draw, RunOptions(record=frozenset(layers)))
        self._engine = output.result.engine
        spikes = {}
        for name in layers:
            sent = output.result.traces[name].spikes
            assert sent is not None
            spikes[name] = sent.round().to(torch.int16).numpy()
        return Sent(logits_without_ties(output, draw.index).numpy(), spikes)

    @torch.no_grad()
    def alone(self, images: UInt8[np.ndarray, "B C H W"]) -> Float[np.ndarray, "B K"]:
        """Scores, without keeping spikes."""
        draw = self.draw(len(images))
        return logits_without_ties(self.network(torch.from_numpy(images), draw), draw.index).numpy()

    @torch.no_grad()
    def distance(self, image: UInt8[np.ndarray, "1 C H W"], layer: str) -> Float[np.ndarray, "T *F"] | None:
        """How far each neuron of a layer was above its threshold at each step; None where it has none."""
        at = next(at for at in self.network.graph.named if at.name == layer)
        if not isinstance(at.layer, Neuron) or not isinstance(at.layer.dynamics, SpikingNeuron):
            return None
        output = self.network(torch.from_numpy(image), self.draw(1), RunOptions(record=frozenset([layer])))
        trace = output.result.traces[layer]
        assert trace.spikes is not None
        found = at.layer.dynamics.distance(trace.output, trace.spikes, neuron_parameters(at, self.network.weights))
        return found[:, 0].numpy()

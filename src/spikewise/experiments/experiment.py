"""`Experiment`: everything that decides a result, in one typed value that a TOML file can hold."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, field_validator

from spikewise.config import Config, parse
from spikewise.data import AugmentConfig, DataConfig, SplitConfig
from spikewise.data.layouts import table_paths
from spikewise.encoders import Encoder
from spikewise.engine import EngineName
from spikewise.errors import ConfigError, quoted
from spikewise.evaluation.sections import SECTION_NAMES, SectionName
from spikewise.experiments.automatic import AutomaticEncoder, AutomaticModel, ChosenNetwork, Shape, chosen
from spikewise.experiments.older import as_before
from spikewise.experiments.remembered import Remembered
from spikewise.experiments.standard import Standard
from spikewise.losses import CrossEntropy, Loss, RatePenalty
from spikewise.models import MLP, Conv, Model
from spikewise.readouts import MeanMembrane, Readout
from spikewise.training.config import TrainConfig

__all__ = ["CandidateKind", "Experiment", "RunKind", "parse_experiment"]

CandidateKind = Literal["snn", "twin", "cnn", "twin-noise", "twin-qcfs"]
"""`twin-noise` is a control: the twin, trained with the noise that the spikes of a rate code bring. `twin-qcfs` is
the twin with activations that spikes can carry, to be converted."""
RunKind = Literal["compare", "train"]
"""All sides of an experiment, or the spiking network alone."""
MOST_SEEDS = 1000
DESCRIPTIVE = ("title", "about", "source", "published", "sections", "whole")
"""Fields that change nothing about what is trained."""

_LONGEST_NAME = 120
"""Bytes of a set's name in that of a run folder: file systems take 255 in all."""


_WRITTEN: Final = Remembered[str]()
_DECIDING: Final = Remembered[str]()
"""JSON of settings, as they are written and as they decide: experiments of a sweep have most of them in common."""
_TRAINS: Final = Remembered[TrainConfig]()

AnyEncoder = Annotated[Annotated[Encoder, Field()] | AutomaticEncoder, Field(discriminator="kind")]
AnyModel = Annotated[Annotated[Model, Field()] | AutomaticModel, Field(discriminator="kind")]


class Experiment(Config):
    """A spiking network, its images and its training; the twin and the CNN follow from it.

    Title, about, source, published and sections change nothing about what is trained; everything else decides the
    result and so the run folder's name.
    """

    title: str = "custom"
    about: str = ""
    """One sentence for `spikewise presets`."""
    source: str = ""
    """Where a published system was published."""
    published: dict[str, float] = Field(default_factory=dict)
    """The figures it reports, by metric (shares of 1)."""
    data: DataConfig
    split: SplitConfig = SplitConfig()
    augment: AugmentConfig = AugmentConfig()
    encoder: AnyEncoder = AutomaticEncoder()
    """"auto" is what suits the images: their intensity as spikes where they are small and grey, else as currents."""
    model: AnyModel = AutomaticModel()
    """"auto" is what suits the images: fully connected where they are small and grey, else convolutional."""
    standardise: bool | Standard = True
    """Centre and scale each channel by mean and deviation of the training images where currents enter: in the CNN, and
    in spiking networks and twins behind the encoder `direct`. What was found is recorded here and in the networks."""
    readout: Readout = MeanMembrane()
    loss: Loss = CrossEntropy()
    rate_penalty: RatePenalty | None = None
    """Keeps spike rates low, or in a range; for the spiking network alone."""
    train: TrainConfig = TrainConfig()
    cnn: Conv | MLP | None = None
    """The conventional baseline; None is a small CNN: two 3x3 convolutions (16, 32), pooling, 128 hidden units."""
    twin_gain: Literal["readout"] | Annotated[float, Field(gt=0)] = "readout"
    """Factor of the twin's logits. "readout" is the gain that output neurons and readout give the spiking network's;
    with 1, as before that was done, one learning rate does not suit both."""
    sides: Annotated[tuple[CandidateKind, ...], Field(min_length=1)] = ("snn", "twin", "cnn")
    """Which networks a comparison trains; "twin-noise" is the twin trained with the noise that a rate code brings, and
    "twin-qcfs" the twin as it can become a spiking network: quantised activations, means for largest values."""
    qcfs_levels: Annotated[int, Field(ge=1, le=1024)] = 8
    """Levels of the activations of "twin-qcfs" above zero: the steps in which its spikes say them exactly."""
    tuned: Literal["auto"] | tuple[CandidateKind, ...] = "auto"
    """Sides whose learning rate is looked for before training, with one budget for all; "auto": all sides where
    `train.learning_rate` is "auto", else none. Sides that are not have `train.learning_rate`."""
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (0, 1, 2)
    """One training per seed and side; a seed fixes weights, order, augmentation and encoding."""
    engine: EngineName = "auto"
    sections: tuple[SectionName, ...] = SECTION_NAMES
    """What is looked into after the test, beside accuracy and cost."""
    quick: bool = False
    """Whether this is a first look: "auto" epochs are few, and the answer says that it is one."""
    whole: str = ""
    """The command that asks for more than a first look: the one that was given, without `--quick`."""
    imported: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """SHA-256 of the weights of a spiking network that was made elsewhere, which `spikewise import` sets: it is not
    trained here."""
    device: Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")] = "auto"
    """"auto" takes what trains faster here, by a short trial that is kept; "cuda" is all GPUs, "cuda:1" one of them."""

    def __init__(self, **data: Any) -> None:  # pydantic's own signature
        count = data.get("seeds")
        if isinstance(count, int) and not isinstance(count, bool):
            data = {**data, "seeds": first_seeds(count)}
        super().__init__(**data)

    @field_validator("sides", "tuned", "seeds", "sections")
    @classmethod
    def _each_once(cls, value: tuple[object, ...] | str) -> tuple[object, ...] | str:
        if not isinstance(value, str) and len(set(value)) < len(value):
            raise ValueError("names one twice; each is made once")
        return value

    @field_validator("seeds")
    @classmethod
    def _not_negative(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if min(value) < 0:
            raise ValueError("a seed is a whole number from 0")
        return value

    def network(self, image_shape: Shape) -> ChosenNetwork:
        """The spiking network and its input for images of channels, height, width."""
        return chosen(self.model, self.encoder, image_shape)

    @property
    def standard(self) -> Standard | None:
        """Mean and deviation of each channel; None where currents are the intensities."""
        assert self.standardise is not True, "only a resolved experiment knows the training images"
        return self.standardise or None

    def resolved(
        self, kind: RunKind, *, device: str, train_images: int, image_shape: Shape, standard: Standard | None = None
    ) -> "Experiment":
        """The same with everything decided that "auto" left open, as it is run.

        Args:
            kind: "train" has the spiking network alone.
            device: what the experiment's device means here.
            train_images: how many there are.
            image_shape: channels, height, width.
            standard: of the training images.
        """
        sides: tuple[CandidateKind, ...] = self.sides if kind == "compare" else ("snn",)
        asked = self.tuned
        if asked == "auto":
            asked = sides if self.train.learning_rate == "auto" else ()
        model, encoder = self.network(image_shape)
        ways = (train_images, self.quick)
        decided = {
            "sides": sides,
            "tuned": tuple(side for side in sides if side in asked),
            "device": device,
            "train": _TRAINS.of(self.train, ways, lambda: self.train.resolved(train_images, quick=self.quick)),
            "model": model,
            "encoder": encoder,
            "standardise": (standard or False) if self.standardise is True else self.standardise,
        }
        return self.model_copy(update=decided)  # all of it is right already

    def folder_name(self, kind: str, data: str) -> str:
        """Name of the run folder of a resolved experiment on the image set called `data`; a long name is cut."""
        short = data.encode()[:_LONGEST_NAME].decode(errors="ignore")
        return f"{kind}-{short}-{self.identity()}"

    def identity(self) -> str:
        """Eight hexadecimal digits over everything that decides the result."""
        texts = ", ".join(filter(None, self._texts(_DECIDING_NAMES, _DECIDING, self._deciding)))
        return hashlib.sha256(f"{{{texts}}}".encode()).hexdigest()[:8]

    def as_json(self) -> str:
        """The whole of it as JSON on one line."""
        return f"{{{', '.join(self._texts(_NAMES, _WRITTEN, self._written))}}}"

    def _texts(self, names: Sequence[str], known: Remembered[str], write: Callable[[str], str]) -> Iterator[str]:
        """Each setting as it stands in JSON, with its name; nothing for one that is left out."""
        for name in names:
            value = getattr(self, name)
            text = known.known(value, name)
            if text is None:
                text = write(name)
                if not isinstance(value, dict) and not self._files(name):  # else it may change
                    known.keep(value, name, text)
            yield text

    def _written(self, name: str) -> str:
        return json.dumps(self.model_dump(mode="json", include={name}), allow_nan=False)[1:-1]

    def _deciding(self, name: str) -> str:
        table = self.model_dump(mode="json", include={name})
        said = [_digest(file) for file in self._files(name)]
        if said:  # what they say decides, not where they lie
            table[name][_FILES[name]] = said if len(said) > 1 else said[0]
        return json.dumps(as_before(table), sort_keys=True)[1:-1]

    def _files(self, name: str) -> tuple[Path, ...]:
        """The files that a setting of this name brings in, if some were given."""
        if name == "data":
            return table_paths(self.data)
        return (Path(self.split.file),) if name == "split" and self.split.file is not None else ()


_FILES: Final = {"split": "file", "data": "labels"}
"""Which setting names a file."""
_NAMES: Final = tuple(Experiment.model_fields)
_DECIDING_NAMES: Final = tuple(sorted(set(_NAMES) - set(DESCRIPTIVE)))


def first_seeds(count: int) -> list[int]:
    """The seeds that a mere number of them asks for: 0, 1, 2, ..."""
    if count < 1:
        raise ConfigError(f"The number of seeds is at least 1; got {quoted(count)}.")
    if count > MOST_SEEDS:
        raise ConfigError(
            f"The number of seeds is at most {MOST_SEEDS:,}; got {quoted(count)}. seeds = [7] asks for seed 7."
        )
    return list(range(count))


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:  # reading the split says so in words
        return str(path)


def parse_experiment(table: dict[str, Any]) -> Experiment:
    """The experiment that a table describes; raises ConfigError naming what is wrong."""
    return parse(Experiment, table)

"""`judge`: networks that were made and trained elsewhere, under the protocol; `training_images`: what they may see."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Int64, UInt8
from torch import nn

from spikewise.api.given import Data, as_source
from spikewise.api.runs import Run, asked_experiment
from spikewise.data import load_data, split
from spikewise.errors import ConfigError, quoted
from spikewise.evaluation import Results
from spikewise.evaluation.modules import Caller
from spikewise.experiments import Experiment
from spikewise.experiments.judging import SECTIONS, JudgedNetwork, JudgedSection, judge_modules

__all__ = ["TrainingImages", "judge", "training_images"]

Modules = nn.Module | Sequence[nn.Module]


class TrainingImages(NamedTuple):
    """The images that a network may learn from; those of the test part stay closed."""

    images: UInt8[np.ndarray, "N C H W"]
    labels: Int64[np.ndarray, " N"]
    validation_images: UInt8[np.ndarray, "V C H W"]
    """For choosing: epoch, threshold, settings."""
    validation_labels: Int64[np.ndarray, " V"]
    classes: tuple[str, ...]
    """Name of each label."""

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.images.shape[1:]))
        return (
            f"<{len(self.labels):,} training and {len(self.validation_labels):,} validation images of {shape}, "
            f"{len(self.classes)} classes>"
        )


def training_images(
    data: Data | None = None,
    /,
    *,
    images: Any = None,  # as for `compare`
    labels: Any = None,
    out: str | Path = "runs",
    data_dir: str | Path | None = None,
    **settings: object,
) -> TrainingImages:
    """Training and validation part of the split that `compare` and `judge` use on these images.

    Args:
        data, images, labels, settings: As for `judge`; the same ones give the same split.
    Raises:
        SpikewiseError: the images cannot be read, or not divided.
    """
    experiment = asked_experiment(as_source(data, images, labels, Path(out)), None, None, None, None, settings)
    found = load_data(experiment.data, data_dir=None if data_dir is None else Path(data_dir))
    parts = split(found, experiment.split)
    train, validation = ((found.images[at], found.labels[at]) for at in (parts.train, parts.validation))
    return TrainingImages(*train, *validation, found.classes)


def judge(  # noqa: PLR0913  # one argument per thing a person may ask for
    network: Modules | Mapping[str, Modules],
    data: Data | None = None,
    /,
    *,
    twin: Modules | None = None,
    baseline: Modules | None = None,
    images: Any = None,  # as for `compare`
    labels: Any = None,
    prepare: Callable[[Any], Any] | None = None,
    scores: Callable[[Any], Any] | None = None,
    reset: Callable[[nn.Module], object] | None = None,
    sections: JudgedSection | Sequence[JudgedSection] = SECTIONS,
    out: str | Path = "runs",
    data_dir: str | Path | None = None,
    **settings: object,
) -> Run:
    """Judge trained PyTorch modules (of snnTorch, SpikingJelly, or plain) as `compare` judges its own networks.

    The test part of the split is opened once, accuracy and differences get intervals over seeds and images, and audit,
    yardsticks, calibration and robustness to corrupted images stand beside them. The cost is read off while the module
    runs: where only 0 and 1 arrive at a linear or convolutional layer they are spikes, anything else is multiplied.
    Memory traffic is not modelled. Where a layer of another kind has weights, the cost is not told.

    Args:
        network: A trained module; a list, one for each seed it was trained with; or a mapping of names to those, of
            which the first is the question.
        data: As for `compare`. Train on `training_images(data)` with the same settings, or the split is not yours.
        twin: The same network without spikes, in the same form.
        baseline: Another conventional network.
        prepare: Makes a module's input of uint8 images [B, C, H, W]; None: float32 from 0 (black) to 1 (white).
        scores: Makes scores [B, K] of its output; None: a tensor [B, K], or [T, B, K], which is summed over time; of a
            tuple the first.
        reset: Clears its state before each batch; None does what snnTorch and SpikingJelly ask for.
        sections: What is looked into besides: "audit", "yardsticks", "calibration", "robustness".
        settings: Of the data and the split, nested or dotted, such as `**{"data.size": 64}`.
    Raises:
        ConfigError: no modules, lists of different lengths, or a module that cannot read the images.
        ShapeError: no scores come out; the message says what did.
    """
    asked: Sequence[JudgedSection] = (sections,) if isinstance(sections, str) else sections
    if unknown := [one for one in asked if one not in SECTIONS]:
        raise ConfigError(f"judge has no section {quoted(unknown[0])}. Available: {', '.join(SECTIONS)}.")
    caller = Caller(prepare, scores, reset)
    networks = _networks(network, twin, baseline, caller)
    source = as_source(data, images, labels, Path(out))
    experiment = asked_experiment(source, None, None, len(networks[0].modules), None, settings)
    where = None if data_dir is None else Path(data_dir)
    found = load_data(experiment.data, data_dir=where)
    parts = split(found, experiment.split)
    resolved = _resolved(experiment, len(parts.train), found.image_shape)
    folder = judge_modules(networks, resolved, found, parts, out=Path(out), sections=asked)
    return Run(Results.load(folder.results), folder.path)


def _resolved(experiment: Experiment, images: int, image_shape: tuple[int, int, int]) -> Experiment:
    return experiment.resolved("compare", device="cpu", train_images=images, image_shape=image_shape)


def _networks(
    network: Modules | Mapping[str, Modules], twin: Modules | None, baseline: Modules | None, caller: Caller
) -> list[JudgedNetwork]:
    named: list[tuple[str, Literal["spiking", "twin", "baseline"], Any]] = []
    if isinstance(network, Mapping):
        named = [(str(name), "baseline" if at else "spiking", one) for at, (name, one) in enumerate(network.items())]
    else:
        named.append(("snn", "spiking", network))
    if twin is not None:
        named.append(("twin", "twin", twin))
    if baseline is not None:
        named.append(("baseline", "baseline", baseline))
    names = [name for name, _, _ in named]
    if len(set(names)) < len(names) or not names:
        raise ConfigError(f"Every network has a name of its own; got {', '.join(names) or 'none'}.")
    return [JudgedNetwork(name, role, _modules(name, one), caller) for name, role, one in named]


def _modules(name: str, given: Any) -> list[nn.Module]:
    found = [given] if isinstance(given, nn.Module) else list(given) if isinstance(given, Sequence) else [given]
    wrong = [one for one in found if not isinstance(one, nn.Module)]
    if wrong or not found:
        what = type(wrong[0]).__name__ if wrong else "an empty list"
        raise ConfigError(f"'{name}' is a trained torch.nn.Module, or a list with one for each seed; got {what}.")
    return found

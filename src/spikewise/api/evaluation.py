"""`evaluate`: the networks of a run on its test part once more, or on another set of the same classes."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, Int64

from spikewise.api.seen import seen_images
from spikewise.api.trained import Trained, load
from spikewise.data import DataConfig, ImageSet, Progress, Role, load_data, split
from spikewise.data.classes import match_classes
from spikewise.data.layouts import laid_out_like
from spikewise.data.names import as_path, listed
from spikewise.data.seen import SeenImages
from spikewise.errors import ConfigError, DataError, nearest
from spikewise.evaluation import DataFacts, Results, classification_metrics, confusion
from spikewise.evaluation.prediction import predict
from spikewise.experiments import RunFolder
from spikewise.experiments.noted_images import NotedImages
from spikewise.experiments.settings import Change, changed, changes_of, parse_change
from spikewise.report.numbers import percent
from spikewise.shell import word

__all__ = ["Evaluation", "evaluate"]


class Evaluation(NamedTuple):
    """What one network of a run is worth on a set."""

    network: str
    seed: int
    data: str
    images: int
    seen: int | None
    """Images of another set that were left out: pixel for pixel, networks of the run were trained on them or chosen by
    them. None where nobody can know: the run kept no digests, and its images are not where they lay."""
    metrics: dict[str, float | None]
    positive: str | None
    """With two classes: the one that `recall`, `specificity`, `precision` and `f1` are about."""
    confusion: Int[np.ndarray, "K K"]
    """Images by true class (row) and predicted class (column)."""

    def __repr__(self) -> str:
        right = self.metrics.get("accuracy")
        figure = "" if right is None else f": accuracy {percent(right)}"
        return f"<{self.network}, seed {self.seed}, on {self.images:,} images of {self.data}{figure}>"


def evaluate(  # noqa: PLR0913  # one argument per thing a person may ask for
    run: str | PathLike[str],
    data: str | Path | None = None,
    *,
    network: str | None = None,
    seed: int | None = None,
    data_dir: Path | None = None,
    device: str = "auto",
    skip_bad: bool = False,
    settings: Sequence[str] = (),
    decoding: Progress | None = None,
    **named: object,
) -> list[Evaluation]:
    """Evaluate networks of a finished run.

    Args:
        data: None is the run's own test part, and the run folder records that it was opened again. Of another set
            the published test part counts if it has one, else all its images; they are brought to the run's size. Those
            that the run learned from, by their pixels, are left out; those of its test are recorded as opened.
        network: One of the run's networks; None is all.
        seed: One of the run's seeds; None is all.
        skip_bad: Leave out image files that cannot be decoded.
        settings: How the other set is read, where not as the run's own, such as ["data.levels=class/subject"].
        named: The same by name, such as `**{"data.levels": "class/subject"}`.
    Raises:
        ConfigError: a setting that is not about how images are read.
        RunError: no finished run, or its images have changed since.
        DataError: the other set has a class that the run does not know, or nothing that it did not learn from.
    """
    folder = RunFolder.open(Path(run))
    results = Results.load(folder.results)
    names = [results.network(network).name] if network else [one.name for one in results.networks]
    seeds = results.protocol.seeds if seed is None else (seed,)
    models = [load(run, name, one, device=device) for name in names for one in seeds]
    changes = [*map(parse_change, settings), *changes_of(named)]
    if changes and data is None:
        raise ConfigError("Settings say how another set is read; give data. The run's own is read as it was.")
    asked = {"skip_bad": skip_bad, **_asked(changes)}
    chosen = _images(folder, results, data, data_dir, asked, decoding)
    if not chosen.opens:
        chosen = _without_seen(chosen, seen_images(folder, data_dir, decoding), folder.path)
    out = []
    for model in models:
        if chosen.opens:
            folder.note_opening(model.name, model.seed, "evaluate")
        out.append(_evaluate(model, chosen, results.data))
    return out


class _Chosen(NamedTuple):
    """Images to evaluate on."""

    images: ImageSet
    labels: Int64[np.ndarray, " n"]
    """As the run numbers them."""
    at: Int64[np.ndarray, " n"]
    opens: bool
    """Whether images of the run's own test part are among them."""
    seen: int | None
    """How many others were left out; None where that is not known."""


def _without_seen(chosen: _Chosen, seen: SeenImages | None, run: Path) -> _Chosen:
    """The same without those that networks of the run learned from, whatever files they lie in."""
    if seen is None:
        return chosen._replace(seen=None)
    images, at = chosen.images, chosen.at
    learned = seen.learned_from(images.images, at)
    if learned.all():
        raise DataError(
            f"All {len(at):,} images of {images.name} are, pixel for pixel, among those that networks of {run} were "
            f"trained on or chosen by; what they are worth there says nothing of others. `spikewise evaluate "
            f"{word(run)}` tests them on the images that were kept for that."
        )
    opens = seen.tested_on(images.images, at[~learned])
    return _Chosen(images, chosen.labels[~learned], at[~learned], opens, int(learned.sum()))


def _images(  # private, each passed on from `evaluate`
    folder: RunFolder,
    results: Results,
    data: str | Path | None,
    data_dir: Path | None,
    asked: Mapping[str, object],
    decoding: Progress | None,
) -> _Chosen:
    experiment = folder.experiment()
    if data is None:
        images = folder.images(data_dir, decoding)
    else:
        config = _as_own(experiment.data, results, data, asked)
        images = load_data(config, data_dir=data_dir, progress=decoding, expected=results.data.classes)
    if images.fingerprint == folder.facts()["fingerprint"]:
        told = {key: getattr(experiment.data, key) for key in ("group_pattern", "read_subjects")}
        if data is not None and any(getattr(config, key) != said for key, said in told.items()):
            # Who is on an image decides on which side it was, and names that tell it are not in the fingerprint.
            images = load_data(config.replace(**told), data_dir=data_dir, progress=decoding)
        if folder.has_images(NotedImages.of(images)):
            index = split(images, experiment.split).test
            return _Chosen(images, _renumbered(images, index, results.data.classes), index, opens=True, seen=0)
    tests = np.flatnonzero(images.roles == Role.TEST)
    index = tests if len(tests) else np.arange(len(images))
    return _Chosen(images, _renumbered(images, index, results.data.classes), index, opens=False, seen=0)


def _as_own(own: DataConfig, results: Results, data: str | Path, asked: Mapping[str, object]) -> DataConfig:
    """How other images are read: to the run's size, and as its own where they are laid out so; else as any are."""
    channels, *size = results.data.image_shape
    source, folder = str(data), as_path(str(data)).is_dir()
    like = {
        "source": source,
        "subjects": None,
        "group_pattern": None,
        "positive": None,
        "roles": own.roles or not folder,
        # Subjects that a pattern told are told by nothing else.
        "read_subjects": (own.read_subjects and own.group_pattern is None) or not folder,
        **_without_rivals(laid_out_like(own, source, results.data.classes), asked),
        **asked,
        "size": tuple(size),
        "aspect": results.data.aspect,
        "grey": channels == 1,
    }
    return own.replace(**like)


def _without_rivals(like: dict[str, object], asked: Mapping[str, object]) -> dict[str, object]:
    """The run's own layout, without what another setting that was asked for now says."""
    if "levels" in asked:
        return {**like, "labels": None, "columns": {}}
    return {**like, "levels": None} if {"labels", "columns"} & {*asked} else like


def _asked(changes: Sequence[Change]) -> dict[str, object]:
    """Settings of the data, by their names."""
    for change in changes:
        table, _, name = change.key.partition(".")
        if table != "data" or name.partition(".")[0] in {"", "source", "size", "aspect", "grey"}:
            raise ConfigError(
                f"'{change.key}' cannot be set here: the run decides it. Settings say how the other images are read, "
                "such as data.levels=class/subject."
            )
    return dict(changed({}, changes).get("data", {}))


def _renumbered(images: ImageSet, index: Int64[np.ndarray, " n"], classes: Sequence[str]) -> Int64[np.ndarray, " n"]:
    """The label in the run of each of these images, by the name of its class."""
    present = [images.classes[label] for label in np.unique(images.labels[index])]
    known = match_classes(present, classes)
    strange = [name for name in present if name not in known]
    if strange:
        close = nearest(strange[0], classes)
        hint = f" Did you mean '{close}'?" if close else ""
        raise DataError(
            f"{images.name} has classes that the run does not know: {listed(strange)}.{hint} "
            f"The run's classes: {', '.join(classes)}."
        )
    in_run = np.array([known.get(name, 0) for name in images.classes], dtype=np.int64)
    labels: Int64[np.ndarray, " n"] = in_run[images.labels[index]]
    return labels


def _evaluate(model: Trained, chosen: _Chosen, data: DataFacts) -> Evaluation:
    images, labels, index, _, seen = chosen
    said = predict(model.network, images, index, seed=model.seed)
    figures = classification_metrics(labels, said.probabilities, positive=data.positive_label)
    matrix = confusion(labels, said.predicted, len(model.classes))
    return Evaluation(model.name, model.seed, images.name, len(index), seen, figures, data.positive, matrix)

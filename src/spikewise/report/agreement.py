"""Whether the arrays of a run folder belong to its results: networks, classes, steps and sizes of images."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from spikewise.evaluation import Results
from spikewise.reading import damaged
from spikewise.report.artifacts import Artifacts, Disagreements, Traces

__all__ = ["check_artifacts", "check_explanations"]

_REMEDY: Final = "Run it again, or delete the file to report without it."


def check_artifacts(path: Path, artifacts: Artifacts, results: Results) -> None:
    """Raises RunError where the arrays of `artifacts.npz` are of another run than the results."""
    found = _grid(artifacts, results)
    found = found or (_of_traces(artifacts.traces, results) if artifacts.traces else None)
    found = found or (_of_pairs(artifacts.disagreements, results) if artifacts.disagreements else None)
    if found:
        raise damaged(path, found, _REMEDY)


def check_explanations(path: Path, arrays: dict[str, NDArray[Any]], results: Results) -> None:
    """Raises RunError where the arrays of `sections/explanations.npz` are of another run than the results."""
    section = results.sections.explanations
    if section is None:
        return
    count, classes = len(section.shown), len(results.data.classes)
    for name, array in arrays.items():
        kind = name.partition(".")[0]
        steps = next((one.steps for one in results.networks if name == f"{kind}.{one.name}"), None)
        expected: tuple[int, ...] | None = {
            "images": (count, *results.data.image_shape),
            "map": (count, *results.data.image_shape[1:]),
            "sure": (count, steps or 0),
            "over_time": (count, steps or 0),
            "rates": (classes, *array.shape[1:2]),
        }.get(kind)
        finite = array.dtype.kind == "f" and bool(np.isfinite(array).all())
        fits = array.dtype == np.uint8 if kind == "images" else finite
        if expected is not None and (array.shape != expected or not fits):
            raise damaged(path, f"'{name}' is {array.shape} of {array.dtype}, not {expected}", _REMEDY)


def _grid(artifacts: Artifacts, results: Results) -> str | None:
    if len(artifacts.grid_images) not in (0, len(artifacts.grid_labels)):
        return f"{len(artifacts.grid_images)} images of classes with {len(artifacts.grid_labels)} labels"
    images = _images("grid_images", artifacts.grid_images, results)
    return images or _labels("grid_labels", artifacts.grid_labels, results)


def _of_traces(traces: Traces, results: Results) -> str | None:
    network = next((one for one in results.networks if one.name == traces.network), None)
    if network is None:
        return f"traces of '{traces.network}', which is no network of the run"
    if traces.membrane.shape[1:] != (network.steps, len(results.data.classes)):
        steps, classes = traces.membrane.shape[1:]
        return f"traces of {steps} steps and {classes} classes; the run has others"
    if len(traces.encoded) and traces.encoded.shape[1] != network.steps:
        return f"an input of {traces.encoded.shape[1]} steps; the run has {network.steps}"
    return (
        _labels("traces.labels", traces.labels, results)
        or _labels("traces.predicted", traces.predicted, results)
        or _images("traces.images", traces.images, results)
    )


def _of_pairs(pairs: Disagreements, results: Results) -> str | None:
    for name in (pairs.a, pairs.b):
        if name not in {one.name for one in results.networks}:
            return f"answers of '{name}', which is no network of the run"
    if min(pairs.both_right, pairs.only_a, pairs.only_b, pairs.both_wrong, *pairs.index, 0) < 0:
        return "negative numbers of images, or places of them"
    return (
        _labels("disagreements.labels", pairs.labels, results)
        or _labels("disagreements.predicted_a", pairs.predicted_a, results)
        or _labels("disagreements.predicted_b", pairs.predicted_b, results)
        or _images("disagreements.images", pairs.images, results)
    )


def _labels(name: str, labels: NDArray[Any], results: Results) -> str | None:
    known = len(results.data.classes)
    if labels.size and not 0 <= labels.min() <= labels.max() < known:
        return f"'{name}' has classes beyond the {known} of the run"
    return None


def _images(name: str, images: NDArray[Any], results: Results) -> str | None:
    expected = tuple(results.data.image_shape)
    if len(images) and images.shape[1:] != expected:
        return f"'{name}' has images {images.shape[1:]}; those of the run are {expected}"
    return None

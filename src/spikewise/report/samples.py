"""Test images one by one: how they were encoded, what the neurons did, and where two networks disagree."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from spikewise import viz
from spikewise.report.artifacts import Artifacts, Disagreements, Traces
from spikewise.report.numbers import percent
from spikewise.report.pictures import PicturePanel, data_address, image_address
from spikewise.viz import DARK, LIGHT, OutputTrace

__all__ = ["Animation", "Dispute", "GridRow", "Sample", "disputes", "grid_rows", "samples"]

_COUNTED = 15
"""Classes up to which the output counts are animated: more bars than that do not fit."""


class Animation(NamedTuple):
    """Moving pictures with a still one for those who want no motion; `dark` where it has to differ."""

    light: str
    still: str
    dark: str = ""
    dark_still: str = ""


class Sample(NamedTuple):
    """One test image on its way through the spiking network."""

    truth: str
    answer: str
    right: bool
    image: str
    encoded: Animation | None
    gathered: Animation | None
    counts: Animation | None
    raster: PicturePanel | None
    membrane: PicturePanel | None
    evidence: PicturePanel | None


class Dispute(NamedTuple):
    """One test image on which two networks differ."""

    image: str
    position: int
    truth: str
    answer_a: str
    answer_b: str
    sure_a: str
    sure_b: str
    right_a: bool
    right_b: bool


class GridRow(NamedTuple):
    """Sample images of one class."""

    name: str
    images: tuple[str, ...]


def grid_rows(artifacts: Artifacts, classes: Sequence[str]) -> list[GridRow]:
    """Sample images by class."""
    shown = [k for k in range(len(classes)) if (artifacts.grid_labels == k).any()]
    chosen = [artifacts.grid_images[artifacts.grid_labels == k][:8] for k in shown]
    return [
        GridRow(classes[k], tuple(image_address(x) for x in images)) for k, images in zip(shown, chosen, strict=True)
    ]


def disputes(pairs: Disagreements, classes: Sequence[str]) -> list[Dispute]:
    """The stored disagreements, in their order."""
    return [
        Dispute(
            image=image_address(pairs.images[at]) if len(pairs.images) else "",
            position=int(pairs.index[at]),
            truth=classes[pairs.labels[at]],
            answer_a=classes[pairs.predicted_a[at]],
            answer_b=classes[pairs.predicted_b[at]],
            sure_a=percent(float(pairs.probability_a[at]), 0),
            sure_b=percent(float(pairs.probability_b[at]), 0),
            right_a=bool(pairs.predicted_a[at] == pairs.labels[at]),
            right_b=bool(pairs.predicted_b[at] == pairs.labels[at]),
        )
        for at in range(len(pairs))
    ]


def samples(traces: Traces, classes: Sequence[str]) -> list[Sample]:
    """Every traced image; nothing moves and no raster is drawn for a network of one time step."""
    return [sample(traces, at, classes) for at in range(len(traces))]


def sample(traces: Traces, at: int, classes: Sequence[str]) -> Sample:
    """One traced image."""
    truth, answer = int(traces.labels[at]), int(traces.predicted[at])
    moving = traces.membrane.shape[1] > 1
    encoded = viz.condensed(traces.encoded[at]) if len(traces.encoded) and moving else None
    spikes = None if traces.spikes is None or not moving else traces.spikes[at]
    return Sample(
        truth=classes[truth],
        answer=classes[answer],
        right=truth == answer,
        image=image_address(traces.images[at]) if len(traces.images) else "",
        encoded=None if encoded is None or not _changes(encoded) else _animate(viz.encoded_frames(encoded)),
        gathered=None
        if encoded is None or not _changes(encoded)
        else _animate(viz.encoded_frames(viz.accumulated(encoded))),
        counts=_count(spikes, classes) if spikes is not None and len(classes) <= _COUNTED else None,
        raster=_raster(traces, at) if moving else None,
        membrane=_membrane(traces, at, classes) if moving else None,
        evidence=_evidence(traces, at, classes) if moving else None,
    )


def _changes(encoded: np.ndarray) -> bool:
    return bool((encoded != encoded[:1]).any())


def _animate(frames: Sequence[Image.Image], *, colours: int = 32) -> Animation:
    return Animation(
        data_address(viz.gif_bytes(frames, colours=colours), "gif"), data_address(viz.still(frames), "png")
    )


def _count(spikes: np.ndarray, classes: Sequence[str]) -> Animation:
    every = 1 if len(spikes) <= 25 else -(-len(spikes) // 16)
    light = _animate(viz.count_frames(spikes, classes, every=every, theme=LIGHT), colours=10)
    dark = _animate(viz.count_frames(spikes, classes, every=every, theme=DARK), colours=10)
    return Animation(light.light, light.still, dark.light, dark.still)


def _raster(traces: Traces, at: int) -> PicturePanel | None:
    trains = {}
    if len(traces.encoded) and viz.is_spikes(traces.encoded[at]) and _changes(traces.encoded[at]):
        trains["encoded image, pixel by pixel"] = traces.encoded[at].reshape(traces.encoded.shape[1], -1)
    trains |= {f"layer {name}": spikes[at] for name, spikes in traces.layers.items()}
    if not trains:
        return None
    counts = {f"layer {name}": count for name, count in zip(traces.layers, traces.neurons, strict=False)}
    caption = "Each dash is a spike: one row for each neuron, time to the right."
    rows = int(np.clip(8000 // traces.membrane.shape[1], 40, 160))  # long trains: fewer rows, the same size
    return PicturePanel(f"raster-{at}", viz.raster(trains, limit=rows, counts=counts), caption)


def _shown(traces: Traces, at: int) -> list[tuple[int, str]]:
    """The answer, the true class and the strongest others, at most four, with why each is shown."""
    truth, answer = int(traces.labels[at]), int(traces.predicted[at])
    roles = {answer: "the answer" if answer != truth else "the answer, right"}
    roles.setdefault(truth, "the true class")
    for k in np.argsort(-traces.evidence[at, -1], kind="stable"):
        if len(roles) < 4:
            roles.setdefault(int(k), "runner-up")
    return list(roles.items())


def _membrane(traces: Traces, at: int, classes: Sequence[str]) -> PicturePanel:
    spikes = None if traces.spikes is None else traces.spikes[at]
    outputs = [
        OutputTrace(classes[k], traces.membrane[at, :, k], None if spikes is None else spikes[:, k], role)
        for k, role in _shown(traces, at)
    ]
    hidden = list(traces.layers.values())
    drawn = viz.membrane_traces(hidden[-1][at] if hidden else None, outputs, threshold=traces.threshold)
    marks = "" if traces.threshold is None else "; dashed: threshold"
    marks += "" if spikes is None else "; marks above: spikes sent"
    return PicturePanel(f"membrane-{at}", drawn, f"Membranes of output neurons{marks}.")


def _evidence(traces: Traces, at: int, classes: Sequence[str]) -> PicturePanel:
    shown = [k for k, _ in _shown(traces, at)]
    drawn = viz.evidence_over_time(traces.evidence[at], classes, shown)
    return PicturePanel(
        f"evidence-{at}", drawn, "Evidence for each class up to each time step; the highest at the end is the answer."
    )

"""The proof of an export: what a foreign runtime answers to images, beside what the network here answers."""

import time
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Bool, Int16, Int64, UInt8

from spikewise.evaluation import mcnemar_exact
from spikewise.evaluation.record import Many, Record
from spikewise.evaluation.statistics.simple import wilson
from spikewise.graph import Graph
from spikewise.interop.runtime import Here, Numbers, Opened, Reader, Sent
from spikewise.readouts import SpikeCount
from spikewise.ties import NUDGE

__all__ = ["Accuracy", "Divergence", "ExportCheck", "File", "Judged", "LayerCheck", "ReaderCheck", "Source", "judge"]

_NEAR: Final = 0.01
"""Two scores no further apart than this share of all scores of their image are nearly tied."""
Progress = Callable[[str, int, int], None]


class Source(Record):
    """The network that was exported."""

    run: str
    """Name of the run folder."""
    network: str
    seed: int
    classes: Many[str]
    data: str
    """Name of the image set."""
    draws: bool | None = None
    """Whether its encoder draws random numbers; None in checks that were made before this was kept."""
    reported: float | None = None
    """Accuracy on all test images in the run's report, where each image has its own random numbers; None where they
    are the same numbers, or the check was made before this was kept."""


class Accuracy(Record):
    """Of one network on the images of the check."""

    value: float
    low: float
    """Of Wilson's interval of 95 %."""
    high: float


class LayerCheck(Record):
    """The spikes of one layer."""

    name: str
    neurons: int
    sent: int
    """Spikes that the network here sent, over all images and steps."""
    differing: int
    """Neuron-steps at which the two sent differently."""
    per_million: float
    """The same, of a million neuron-steps."""


class Divergence(Record):
    """Where the two went apart first: in the earliest layer that differs, at its earliest step."""

    image: int
    """Place among the images of the check."""
    layer: str
    step: int
    """From 1."""
    neuron: Many[int]
    """Position in the layer, from 0."""
    here: int
    """Spikes sent here."""
    there: int
    distance: float | None
    """Membrane minus threshold, here; None where the layer has no threshold."""


class Judged(Record):
    """A runtime against the one that it must equal."""

    runtime: str
    against: str
    equal_decisions: int
    near_ties: int = 0
    """Of the other decisions: those whose two classes are nearly tied, their scores one output spike apart or 1 % of
    the range of all scores of the image."""
    per_million: float
    """Differing spikes of a million neuron-steps of all layers."""
    largest_score_difference: float
    relative_score_difference: float = 0.0
    """The largest one as a share of the range of an image's scores."""
    layers: Many[LayerCheck]
    first: Divergence | None


class ReaderCheck(Record):
    """What a tool that reads the file otherwise makes of it."""

    name: str
    why: str
    equal_decisions: int
    per_million: float
    accuracy: Accuracy
    layers: Many[LayerCheck]


class File(Record):
    """One file of the export."""

    name: str
    bytes: int
    sha256: str


class ExportCheck(Record):
    """Everything that was compared; `check.json`."""

    schema_version: int = 1
    format: str
    tool: str | None
    numbers: Numbers
    max_size: int | None = None
    """Bytes that the main file was to have at most."""
    levels: int | None = None
    """What weights are rounded to for that: multiples of their root mean square divided by it; None keeps them."""
    name: str
    spikewise: str
    source: Source
    main: str
    files: Many[File]
    images: int
    steps: int
    judged: Judged
    agreeing: int | None = None
    """Decisions that are those of the network itself, where the file must equal something else, such as a simulator."""
    exact: bool
    """Whether nothing at all may differ."""
    accuracy_here: Accuracy
    accuracy_there: Accuracy
    only_here: int
    """Images that only the network here gets right."""
    only_there: int
    p_value: float
    """McNemar's exact test of the two accuracies."""
    milliseconds_here: float
    """Of one image alone; median."""
    milliseconds_there: float
    readers: Many[ReaderCheck]
    warnings: Many[str]
    facts: dict[str, int | float | str]
    passed: bool
    verdict: str


class Compared(NamedTuple):
    """What a comparison over all images found."""

    judged: Judged
    agreeing: int
    """Decisions that are those of the network itself."""
    correct_here: Bool[np.ndarray, " N"]
    """Of the network itself, in floating point."""
    correct_there: Bool[np.ndarray, " N"]
    milliseconds_here: float
    milliseconds_there: float
    readers: tuple[ReaderCheck, ...]


class _Counter:
    """Counts differing spikes as batches pass, and remembers where the first one was."""

    def __init__(self, spike: float = 0.0) -> None:
        """Start at nothing.

        Args:
            spike: what one output spike adds to a score; 0 where scores are no counts.
        """
        self.equal = self.near = 0
        self.largest = self.relative = 0.0
        self._spike = spike
        self._sent: dict[str, int] = {}
        self._differing: dict[str, int] = {}
        self._places: dict[str, int] = {}
        self._neurons: dict[str, int] = {}
        self._first: dict[str, tuple[int, int, tuple[int, ...], int, int]] = {}

    def add(self, start: int, ours: Sent, theirs: Sent) -> None:
        """One batch more, whose first image is the one at `start`."""
        answers = theirs.scores.argmax(1)
        equal = ours.scores.argmax(1) == answers
        spread, apart = np.ptp(ours.scores, 1), np.abs(ours.scores - theirs.scores).max(1, initial=0.0)
        gap = ours.scores.max(1) - ours.scores[np.arange(len(answers)), answers]
        self.equal += int(equal.sum())
        self.near += int((~equal & (gap <= np.maximum(_NEAR * spread, self._spike))).sum())
        self.largest = max(self.largest, float(apart.max(initial=0.0)))
        self.relative = max(self.relative, float((apart / np.maximum(spread, 1e-30)).max(initial=0.0)))
        for name, sent in ours.spikes.items():
            self._add_layer(start, name, sent, theirs.spikes[name])

    def _add_layer(
        self, start: int, name: str, ours: Int16[np.ndarray, "T B *F"], theirs: Int16[np.ndarray, "T B *F"]
    ) -> None:
        apart = ours != theirs
        self._neurons[name] = int(np.prod(ours.shape[2:]))
        self._sent[name] = self._sent.get(name, 0) + int(np.abs(ours).astype(np.int64).sum())
        self._places[name] = self._places.get(name, 0) + ours.size
        self._differing[name] = self._differing.get(name, 0) + int(apart.sum())
        if apart.any():
            at = tuple(int(place) for place in np.argwhere(apart)[0])
            found = (at[0] + 1, start + at[1], at[2:], int(ours[at]), int(theirs[at]))
            self._first[name] = min(self._first.get(name, found), found)

    def layers(self) -> tuple[LayerCheck, ...]:
        """Each layer's count."""
        return tuple(
            LayerCheck(
                name=name,
                neurons=self._neurons[name],
                sent=self._sent[name],
                differing=self._differing[name],
                per_million=1e6 * self._differing[name] / max(self._places[name], 1),
            )
            for name in self._sent
        )

    @property
    def per_million(self) -> float:
        """Of all layers together."""
        return 1e6 * sum(self._differing.values()) / max(sum(self._places.values()), 1)

    def first(self, images: UInt8[np.ndarray, "N C H W"], here: Here) -> Divergence | None:
        """The first divergence in the order of the layers, with the distance to the threshold here."""
        for name in self._sent:
            if name not in self._first:
                continue
            step, image, neuron, ours, theirs = self._first[name]
            distance = here.distance(images[image : image + 1], name)
            found = None if distance is None else float(distance[(step - 1, *neuron)])
            return Divergence(
                image=image, layer=name, step=step, neuron=neuron, here=ours, there=theirs, distance=found
            )
        return None


def judge(
    here: Here,
    opened: Opened,
    images: UInt8[np.ndarray, "N C H W"],
    labels: Int64[np.ndarray, " N"],
    *,
    batch: int,
    progress: Progress | None = None,
) -> Compared:
    """Run images through both, and count.

    Args:
        batch: images at a time.
        progress: told what is done, with the images so far and all.
    """
    must = here if opened.reference is None else opened.reference
    spike = _spike_of(here.network.graph)
    main, others = _Counter(spike), [_Counter(spike) for _ in opened.readers]
    answers: dict[str, list[Int64[np.ndarray, " B"]]] = {"here": [], "there": []}
    read: list[list[Int64[np.ndarray, " B"]]] = [[] for _ in opened.readers]
    for start, part in _parts(images, batch):
        own, found = here(part), opened.runtime(part)
        main.add(start, own if opened.reference is None else opened.reference(part), found)
        answers["here"].append(own.scores.argmax(1))
        answers["there"].append(found.scores.argmax(1))
        for reader, counter, said in zip(opened.readers, others, read, strict=True):
            other = reader.runtime(part)
            counter.add(start, own, other)
            said.append(other.scores.argmax(1))
        if progress is not None:
            progress("checking", start + len(part), len(images))
    judged = Judged(
        runtime=opened.runtime.name,
        against=must.name,
        equal_decisions=main.equal,
        near_ties=main.near,
        per_million=main.per_million,
        largest_score_difference=main.largest,
        relative_score_difference=main.relative,
        layers=main.layers(),
        first=main.first(images, here) if opened.reference is None else None,
    )
    ours, theirs = (np.concatenate(answers[side]) for side in ("here", "there"))
    return Compared(
        judged,
        int((ours == theirs).sum()),
        ours == labels,
        theirs == labels,
        _milliseconds(here.alone, images),
        _milliseconds(opened.alone or opened.runtime, images),
        tuple(
            _read(reader, counter, np.concatenate(said) == labels)
            for reader, counter, said in zip(opened.readers, others, read, strict=True)
        ),
    )


def accuracy_of(correct: Bool[np.ndarray, " N"]) -> Accuracy:
    """With Wilson's interval."""
    low, high = wilson(int(correct.sum()), len(correct))
    return Accuracy(value=float(correct.mean()), low=low, high=high)


def paired(found: Compared) -> tuple[int, int, float]:
    """Images that only one of the two gets right, and McNemar's p."""
    test = mcnemar_exact(found.correct_here, found.correct_there)
    return int(test[0]), int(test[1]), float(test[2])


def _spike_of(graph: Graph) -> float:
    """What one output spike adds to a score, and what breaks a tie; 0 where scores are no counts."""
    return graph.named[-1].leaving.quantum + NUDGE if isinstance(graph.readout, SpikeCount) else 0.0


def _read(reader: Reader, counter: _Counter, correct: Bool[np.ndarray, " N"]) -> ReaderCheck:
    return ReaderCheck(
        name=reader.name,
        why=reader.why,
        equal_decisions=counter.equal,
        per_million=counter.per_million,
        accuracy=accuracy_of(correct),
        layers=counter.layers(),
    )


def _parts(images: UInt8[np.ndarray, "N C H W"], size: int) -> Iterator[tuple[int, UInt8[np.ndarray, "B C H W"]]]:
    for start in range(0, len(images), size):
        yield start, np.ascontiguousarray(images[start : start + size])


def _milliseconds(
    runtime: Callable[[UInt8[np.ndarray, "B C H W"]], object], images: UInt8[np.ndarray, "N C H W"], times: int = 20
) -> float:
    """Median time of one image alone, after one that warms up."""
    runtime(images[:1])
    taken = []
    for at in range(times):
        one = images[at % len(images)][None]
        start = time.perf_counter()
        runtime(one)
        taken.append(time.perf_counter() - start)
    return 1e3 * float(np.median(taken))

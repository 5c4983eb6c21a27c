"""Answers about images as records: what `spikewise predict` prints and `spikewise serve` sends."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from spikewise.api.stepping import walk
from spikewise.api.trained import Answers, Source, Trained

__all__ = ["IncomingImage", "answer_records", "incoming", "remarks_on"]

AnswerRecord = dict[str, Any]  # JSON
_GREYED: Final = "is in colour, which was dropped: the network learned from grey images"


class IncomingImage(NamedTuple):
    """An image as the network reads it."""

    name: str
    pixels: UInt8[np.ndarray, "C H W"]
    greyed: bool
    """Whether it lost colours."""


def incoming(model: Trained, name: str, source: Source, white: float | None = None) -> IncomingImage:
    """Read one file, or the bytes of one.

    Args:
        white: The number that is white in it; None: as in the images that the network learned from.
    Raises:
        DataError: it cannot be decoded.
    """
    pixels = model.pixels(source, white=white)[0]
    return IncomingImage(name, pixels, white is None and model.drops_colour(source))


def answer_records(
    model: Trained,
    images: Sequence[IncomingImage],
    *,
    evidence: bool = False,
    exits: Sequence[float | None] | None = None,
) -> list[AnswerRecord]:
    """One for each image; an image's answer does not depend on its companions.

    Args:
        evidence: How the evidence grew, and the spikes that were sent.
        exits: For each image the confidence at which its run ends; None, and a threshold of None, runs all steps.
            Given, the records say how many steps were taken.
    """
    if not images:
        return []
    pixels = np.stack([image.pixels for image in images])
    odd = remarks_on(model, images)
    if exits is None:
        found = list(_whole(model.answers(pixels, layers=None if evidence else ())))
    else:
        found = _early(model, pixels, exits, evidence)
    return [_record(model, image, unlike, one, evidence) for image, unlike, one in zip(images, odd, found, strict=True)]


def remarks_on(model: Trained, images: Sequence[IncomingImage]) -> list[str | None]:
    """For each image, why its answer is worth little; None where nothing is known against it."""
    odd = model.unlike(np.stack([image.pixels for image in images]))
    return [_GREYED if image.greyed else unlike for image, unlike in zip(images, odd, strict=True)]


class _Answer(NamedTuple):
    """What the network says about one image."""

    probabilities: Float[np.ndarray, " K"]
    evidence: list[list[float]]
    spikes: list[int] | None
    layer_spikes: dict[str, int]
    steps: int | None = None


def _whole(said: Answers) -> Iterator[_Answer]:
    for at, probabilities in enumerate(said.probabilities):
        yield _Answer(
            probabilities,
            said.evidence[at].tolist(),
            None if said.spikes is None else said.spikes[at].tolist(),
            {layer: int(count[at]) for layer, count in said.layer_spikes.items()},
        )


def _early(
    model: Trained, pixels: UInt8[np.ndarray, "N C H W"], exits: Sequence[float | None], evidence: bool
) -> list[_Answer]:
    found: list[_Answer | None] = [None] * len(pixels)
    grown: list[list[list[float]]] = [[] for _ in pixels]
    for step in walk(model, pixels, exits, layers=None if evidence else ()):
        for row, at in enumerate(step.images.tolist()):
            grown[at].append(step.evidence[row].tolist())
            if step.last[row]:
                spikes = None if step.spikes is None else step.spikes[row].tolist()
                sent = {layer: int(count[row]) for layer, count in step.layer_spikes.items()}
                found[at] = _Answer(step.probabilities[row], grown[at], spikes, sent, step.number)
    return [one for one in found if one is not None]


def _record(model: Trained, image: IncomingImage, unlike: str | None, said: _Answer, evidence: bool) -> AnswerRecord:
    probabilities = dict(zip(model.classes, said.probabilities.tolist(), strict=True))
    label = model.classes[int(said.probabilities.argmax())]
    grown = {"spikes": said.spikes, "layer_spikes": said.layer_spikes, "evidence": said.evidence}
    return {
        "image": image.name,
        "label": label,
        "probability": probabilities[label],
        "probabilities": probabilities,
        **(grown if evidence else {}),
        **({} if said.steps is None else {"steps": said.steps}),
        "unlike": unlike,
        "network": model.name,
        "seed": model.seed,
    }

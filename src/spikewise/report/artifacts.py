"""`Artifacts`: what the report shows beside the figures of `Results`: sample images, traces and disagreements."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Num, UInt8
from numpy.typing import NDArray

from spikewise.errors import ShapeError
from spikewise.evaluation.stored import NUMBERS, check_array, read_arrays
from spikewise.files import write_npz
from spikewise.reading import damaged

__all__ = ["Artifacts", "Disagreements", "Traces"]

_REMEDY = "Run it again, or delete the file to report without it."


@dataclass(frozen=True)
class Traces:
    """One spiking network, step by step, on S test images.

    Raises:
        ShapeError: the arrays do not agree on S, T or K.
    """

    network: str
    seed: int
    images: UInt8[np.ndarray, "S C H W"]
    """Empty for a set that must not be shown; then `encoded` is empty too."""
    labels: Int[np.ndarray, " S"]
    predicted: Int[np.ndarray, " S"]
    encoded: Num[np.ndarray, "S T C2 H W"]
    """Spikes (0 and 1, or signed events) or currents that enter the network."""
    layers: Mapping[str, UInt8[np.ndarray, "S T F"]]
    """Spikes of at most 128 sampled neurons of each hidden spiking layer, in network order."""
    membrane: Float[np.ndarray, "S T K"]
    evidence: Float[np.ndarray, "S T K"]
    """The readout's sum up to each step."""
    spikes: Num[np.ndarray, "S T K"] | None = None
    """Spikes of the output neurons, which are not among `layers`; None where they do not spike."""
    threshold: float | None = None
    neurons: tuple[int, ...] = ()
    """How many each of `layers` has in all; none where that was not noted."""

    def __post_init__(self) -> None:
        samples, steps = self.membrane.shape[:2]
        wrong = [len(x) for x in (self.labels, self.predicted) if len(x) != samples]
        wrong += [x.shape[1] for x in (self.evidence, *self.layers.values()) if x.shape[:2] != (samples, steps)]
        wrong += [len(x) for x in (self.images, self.encoded) if len(x) not in (0, samples)]
        wrong += [len(self.neurons)] * (len(self.neurons) not in (0, len(self.layers)))
        if self.spikes is not None and self.spikes.shape != self.membrane.shape:
            wrong.append(len(self.spikes))
        if wrong or self.evidence.shape != self.membrane.shape:
            raise ShapeError(f"Traces of {samples} images and {steps} steps hold arrays of other lengths: {wrong}.")

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Disagreements:
    """Test images on which two networks of the same seed give different answers, and how many there are in all.

    Raises:
        ShapeError: the arrays differ in length.
    """

    a: str
    b: str
    seed: int
    images: UInt8[np.ndarray, "D C H W"]
    """Empty for a set that must not be shown."""
    index: Int[np.ndarray, " D"]
    """Position in the test part."""
    labels: Int[np.ndarray, " D"]
    predicted_a: Int[np.ndarray, " D"]
    predicted_b: Int[np.ndarray, " D"]
    probability_a: Float[np.ndarray, " D"]
    """Probability that `a` gives its own answer."""
    probability_b: Float[np.ndarray, " D"]
    both_right: int
    only_a: int
    only_b: int
    both_wrong: int

    def __post_init__(self) -> None:
        columns = (self.labels, self.predicted_a, self.predicted_b, self.probability_a, self.probability_b)
        lengths = {len(column) for column in columns} | {len(self.index)} | ({len(self.images)} - {0})
        if len(lengths) > 1:
            raise ShapeError(f"The columns of the disagreements have {sorted(lengths)} rows; they must agree.")

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Artifacts:
    """Everything a report shows beside `Results`; `artifacts.npz` of a run folder.

    Args:
        grid_images: A few images of each class; empty for a set that must not be shown.
        grid_labels: Their classes.
    """

    grid_images: UInt8[np.ndarray, "M C H W"]
    grid_labels: Int[np.ndarray, " M"]
    traces: Traces | None = None
    disagreements: Disagreements | None = None

    def without_images(self) -> "Artifacts":
        """The same without any image, nor the encoded input that an image could be rebuilt from."""
        traces, pairs = self.traces, self.disagreements
        return dataclasses.replace(
            self,
            grid_images=self.grid_images[:0],
            grid_labels=self.grid_labels[:0],
            traces=traces and dataclasses.replace(traces, images=traces.images[:0], encoded=traces.encoded[:0]),
            disagreements=pairs and dataclasses.replace(pairs, images=pairs.images[:0]),
        )

    def save(self, path: Path) -> None:
        """Write an `.npz` without pickles, whole or not at all."""
        arrays: dict[str, NDArray[Any]] = {"grid_images": self.grid_images, "grid_labels": self.grid_labels}
        if self.traces is not None:
            arrays |= _pack_traces(self.traces)
        if self.disagreements is not None:
            content = vars(self.disagreements)
            arrays |= {f"disagreements.{name}": np.asarray(value) for name, value in content.items()}
        write_npz(path, **arrays)

    @classmethod
    def load(cls, path: Path) -> "Artifacts":
        """Read what `save` wrote.

        Raises:
            RunError: the file is missing or damaged.
        """
        stored = _Stored(path, read_arrays(path, _REMEDY))
        try:
            return cls(
                grid_images=stored.images("grid_images"),
                grid_labels=stored.whole("grid_labels"),
                traces=_unpack_traces(stored) if "traces.network" in stored.arrays else None,
                disagreements=_unpack_disagreements(stored) if "disagreements.a" in stored.arrays else None,
            )
        except ShapeError as error:
            raise damaged(path, error, _REMEDY) from None


class _Stored(NamedTuple):
    """The arrays of an `artifacts.npz`; each is asked for as what it must be."""

    path: Path
    arrays: dict[str, NDArray[Any]]

    def array(self, name: str, kinds: str, axes: int) -> NDArray[Any]:
        """An array with so many axes, of one of NumPy's kinds of type."""
        return check_array(self.path, self.arrays, name, kinds, axes, _REMEDY)

    def images(self, name: str) -> UInt8[np.ndarray, "N C H W"]:
        """Pictures."""
        found = self.array(name, "u", 4)
        if found.dtype != np.uint8 or found.shape[1] not in (1, 3):
            raise damaged(self.path, f"'{name}' holds no pictures", _REMEDY)
        return found

    def whole(self, name: str) -> Int[np.ndarray, " N"]:
        """Whole numbers."""
        return self.array(name, "iu", 1)

    def number(self, name: str) -> float:
        """One number."""
        return float(self.array(name, "iuf", 0))

    def text(self, name: str) -> str:
        """One text."""
        return str(self.array(name, "U", 0))


def _pack_traces(traces: Traces) -> dict[str, NDArray[Any]]:
    plain = {
        name: value for name, value in vars(traces).items() if name not in ("layers", "neurons") and value is not None
    }
    arrays = {f"traces.{name}": np.asarray(value) for name, value in plain.items()}
    if traces.neurons:
        arrays["traces.neurons"] = np.array(traces.neurons, dtype=np.int64)
    arrays["traces.layer_names"] = np.array(list(traces.layers), dtype=np.str_)
    return arrays | {f"traces.layer.{at}": spikes for at, spikes in enumerate(traces.layers.values())}


def _unpack_traces(stored: _Stored) -> Traces:
    names = [str(name) for name in stored.array("traces.layer_names", "U", 1)]
    there = stored.arrays
    return Traces(
        network=stored.text("traces.network"),
        seed=int(stored.number("traces.seed")),
        images=stored.images("traces.images"),
        labels=stored.whole("traces.labels"),
        predicted=stored.whole("traces.predicted"),
        encoded=stored.array("traces.encoded", NUMBERS, 5),
        layers={name: stored.array(f"traces.layer.{at}", NUMBERS, 3) for at, name in enumerate(names)},
        membrane=stored.array("traces.membrane", "f", 3),
        evidence=stored.array("traces.evidence", "f", 3),
        spikes=stored.array("traces.spikes", NUMBERS, 3) if "traces.spikes" in there else None,
        threshold=stored.number("traces.threshold") if "traces.threshold" in there else None,
        neurons=tuple(stored.whole("traces.neurons").tolist()) if "traces.neurons" in there else (),
    )


def _unpack_disagreements(stored: _Stored) -> Disagreements:
    def column(name: str) -> NDArray[Any]:
        return stored.array(f"disagreements.{name}", "f" if name.startswith("probability") else "iu", 1)

    def count(name: str) -> int:
        return int(stored.number(f"disagreements.{name}"))

    return Disagreements(
        a=stored.text("disagreements.a"),
        b=stored.text("disagreements.b"),
        seed=count("seed"),
        images=stored.images("disagreements.images"),
        index=column("index"),
        labels=column("labels"),
        predicted_a=column("predicted_a"),
        predicted_b=column("predicted_b"),
        probability_a=column("probability_a"),
        probability_b=column("probability_b"),
        both_right=count("both_right"),
        only_a=count("only_a"),
        only_b=count("only_b"),
        both_wrong=count("both_wrong"),
    )

"""`Artifacts`: what the report shows beside the figures of `Results`: sample images, traces and disagreements."""

import dataclasses
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Num, UInt8
from numpy.typing import NDArray

from spikewise.errors import RunError, ShapeError
from spikewise.files import write_npz

__all__ = ["Artifacts", "Disagreements", "Traces"]

_DAMAGED = (
    KeyError,
    ValueError,
    TypeError,
    EOFError,
    OSError,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    NotImplementedError,  # from zipfile, for a compression it does not know
)


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

    def __post_init__(self) -> None:
        samples, steps = self.membrane.shape[:2]
        wrong = [len(x) for x in (self.labels, self.predicted) if len(x) != samples]
        wrong += [x.shape[1] for x in (self.evidence, *self.layers.values()) if x.shape[:2] != (samples, steps)]
        wrong += [len(x) for x in (self.images, self.encoded) if len(x) not in (0, samples)]
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
        try:
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                stored = {name: file[name] for name in file.files}
            return cls(
                grid_images=stored["grid_images"],
                grid_labels=stored["grid_labels"],
                traces=_unpack_traces(stored) if "traces.network" in stored else None,
                disagreements=_unpack_disagreements(stored) if "disagreements.a" in stored else None,
            )
        except FileNotFoundError:
            raise RunError(f"{path} is missing. Is this a finished run folder?") from None
        except _DAMAGED as error:
            raise RunError(
                f"{path} is damaged ({error}). Run it again, or delete the file to report without it."
            ) from error


def _pack_traces(traces: Traces) -> dict[str, NDArray[Any]]:
    plain = {name: value for name, value in vars(traces).items() if name != "layers" and value is not None}
    arrays = {f"traces.{name}": np.asarray(value) for name, value in plain.items()}
    arrays["traces.layer_names"] = np.array(list(traces.layers), dtype=np.str_)
    return arrays | {f"traces.layer.{at}": spikes for at, spikes in enumerate(traces.layers.values())}


def _unpack_traces(stored: Mapping[str, NDArray[Any]]) -> Traces:
    names = [str(name) for name in stored["traces.layer_names"]]
    threshold = stored.get("traces.threshold")
    return Traces(
        network=str(stored["traces.network"]),
        seed=int(stored["traces.seed"]),
        images=stored["traces.images"],
        labels=stored["traces.labels"],
        predicted=stored["traces.predicted"],
        encoded=stored["traces.encoded"],
        layers={name: stored[f"traces.layer.{at}"] for at, name in enumerate(names)},
        membrane=stored["traces.membrane"],
        evidence=stored["traces.evidence"],
        spikes=stored.get("traces.spikes"),
        threshold=None if threshold is None else float(threshold),
    )


def _unpack_disagreements(stored: Mapping[str, NDArray[Any]]) -> Disagreements:
    fields = {field.name: stored[f"disagreements.{field.name}"] for field in dataclasses.fields(Disagreements)}
    whole = {name: int(fields.pop(name)) for name in ("seed", "both_right", "only_a", "only_b", "both_wrong")}
    a, b = str(fields.pop("a")), str(fields.pop("b"))
    return Disagreements(a=a, b=b, **whole, **fields)  # type: ignore[arg-type]  # the rest are arrays

"""What a conversion found: the content of convert.json."""

from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from spikewise.evaluation.record import Count, Estimate, Figures, Many, Record, Share
from spikewise.files import write_json
from spikewise.reading import read_record

__all__ = ["FILE", "Beside", "Conversion", "ConvertedSteps", "CountCheck", "LayerError", "Method"]

FILE: Final = "convert.json"
"""In RUN/conversions/NETWORK-METHOD."""

_ROUNDING: Final = 1e-9
Method = Literal["balance", "qcfs"]
"""Thresholds by percentiles of the activations, or those that quantised activations have learned."""


class LayerError(Record):
    """How far the spikes of one layer are from the activations that they stand for, on validation images."""

    layer: str
    """Name of the activation."""
    neurons: str
    """Name of the neurons."""
    error: float
    """Mean |rate x threshold - activation| over the mean activation."""
    clipped: float
    """The part of it that no number of steps mends: what activations exceed their thresholds by."""


class CountCheck(Record):
    """Whether the spike counts of one layer are the levels of its quantised activations: whole numbers, compared."""

    layer: str
    neurons: str
    images: Count
    counts: Count
    """Neurons times images."""
    equal: Count
    """Of them, equal in float64."""
    equal_float32: Count
    """Of them, equal where the spiking network computes in float32: sums near a half are rounded the other way."""


class ConvertedSteps(Record):
    """The converted network in one number of steps; costs are per image, means over seeds."""

    steps: Count
    """In which the spikes of a layer say its activations."""
    waits: bool
    """Each layer fires only when all of its input has come."""
    duration: Count
    """Steps from the image to the answer: of a waiting network, `steps` for each layer of neurons."""
    validation: Share
    """Accuracy on the validation images, mean over seeds: what a number of steps is chosen by."""
    accuracy: Estimate
    accuracy_per_seed: Many[Share]
    difference: Estimate
    """Accuracy minus that of the networks that were converted, on the same images, seed by seed."""
    p: Share
    """Exact paired test over the images of that difference (with one seed McNemar's), times the number of rows."""
    significant: bool
    """The interval leaves out zero, and p is below 1 - its level."""
    spikes: float
    """Sent by all neurons for one image."""
    macs: float
    synaptic_operations: float
    state_updates: float
    energy_nanojoule: Figures = Field(default_factory=dict)
    """By cost model."""
    layers: Many[LayerError]
    """Mean over seeds, in the order of computing."""

    @property
    def worst(self) -> LayerError:
        """The layer that loses most."""
        return max(self.layers, key=lambda layer: layer.error)


class Beside(Record):
    """A network of the run, to compare with."""

    network: str
    steps: Count
    accuracy: Estimate
    macs: float
    synaptic_operations: float
    energy_nanojoule: Figures = Field(default_factory=dict)


class Conversion(Record):
    """A conventional network of a run as spikes, after each of several numbers of steps."""

    spikewise_version: str
    run: str
    """Name of the run's folder."""
    data: str
    network: str
    """That was converted."""
    method: Method
    percentile: float | None = None
    """Of the activations, for `balance`."""
    levels: int | None = None
    """Of the activations, for `qcfs`."""
    calibration_images: Count
    """Training images that set the thresholds; 0 where they were learned."""
    seeds: Many[int]
    test_images: Count
    original: Beside
    """The network that was converted."""
    direct: Beside | None = None
    """The spiking network that the run trained directly."""
    original_validation: Share
    """Its accuracy on the validation images, mean over seeds."""
    tolerance: Share
    """Accuracy on the validation images that may be lost where the fewest steps are chosen."""
    rows: Many[ConvertedSteps]
    """By rising steps; at the same steps, the waiting network comes second."""
    checks: Many[CountCheck] = ()
    """Of the waiting network in as many steps as there are levels, over all seeds; for `qcfs` alone."""

    @property
    def chosen(self) -> ConvertedSteps | None:
        """The row with the shortest way to an answer that loses no more than tolerated on the validation images."""
        least = self.original_validation - self.tolerance - _ROUNDING
        kept = [row for row in self.rows if row.validation >= least]
        return min(kept, key=lambda row: row.duration, default=None)

    @property
    def shown(self) -> ConvertedSteps:
        """The row whose layers are told: of quantised activations at their levels, of others at the most steps."""
        plain = [row for row in self.rows if not row.waits]
        return next((row for row in plain if row.steps == self.levels), max(plain, key=lambda row: row.steps))

    @property
    def exact(self) -> bool | None:
        """Whether all counts are equal; None where none had to be."""
        return all(check.equal == check.counts for check in self.checks) if self.checks else None

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        write_json(path, self.model_dump(mode="json"))

    @classmethod
    def load(cls, path: Path) -> "Conversion":
        """Read it back.

        Raises:
            RunError: the file is missing or damaged.
        """
        return read_record(path, cls)

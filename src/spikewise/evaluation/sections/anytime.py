"""Records of the section on answers before the last step."""

from typing import Literal

from pydantic import Field

from spikewise.evaluation.record import Count, Estimate, Figures, Many, Number, Record, Share

__all__ = ["Anytime", "AnytimeStep", "EarlyExit", "NetworkAnytime", "Option"]


class AnytimeStep(Record):
    """One network if it answered every test image after this step; costs are per image, means over seeds."""

    step: Count
    accuracy: Estimate
    accuracy_per_seed: Many[Share]
    auc: Estimate | None = None
    """Area under the ROC curve; null where a class is absent, and, of more than 25 steps, at those between."""
    macs: float
    """Multiply-accumulates so far; those of a constant current are all done in the first step."""
    synaptic_operations: float
    """Additions caused by spikes so far."""
    state_updates: float
    energy_nanojoule: Figures = Field(default_factory=dict)
    """By cost model."""
    latency_ms: float | None = None
    """Measured: one image, already encoded, all steps so far in one call; the median. Null as for `auc`."""


class EarlyExit(Record):
    """One network if it answered each test image as soon as it was sure enough; costs are per image."""

    tolerance: Share
    """Accuracy that was given away at most, on the validation images."""
    thresholds: Many[Number]
    """One for each seed: the confidence (largest softmax of the evidence) that ends the run; null ends none early."""
    accuracy: Estimate
    difference: Estimate
    """Accuracy minus that of the same networks after all steps, on the same images."""
    steps: Estimate
    """Steps taken."""
    exits: Many[Share]
    """Share of test images answered after each step, mean over seeds."""
    macs: float
    synaptic_operations: float
    state_updates: float
    energy_nanojoule: Figures = Field(default_factory=dict)
    """The comparison with the threshold, K exponentials a step, is left out."""


class NetworkAnytime(Record):
    """One network with time steps."""

    network: str
    counted_images: Count
    """Test images on which spikes were counted step by step; all test images gave the totals."""
    stream_step_ms: float
    """Measured: one step of one image when steps run one by one, as they must where a run may end early; the median."""
    curve: Many[AnytimeStep]
    """After each step; the last one is the whole run."""
    early_exit: Many[EarlyExit]
    """By rising tolerance."""


class Option(Record):
    """One way to answer the test images, with what it costs."""

    network: str
    how: Literal["step", "early exit", "whole"]
    """Every image after the same step; each as soon as the network is sure enough; a network without time."""
    steps: float
    """Taken, mean over images; 1 for a network without time."""
    accuracy: Share
    operations: float
    """Additions for spikes and multiply-accumulates."""
    energy_nanojoule: float
    """By `Anytime.energy_model`."""
    front_of_operations: bool
    """No other option is at least as accurate with as few operations, and better in one of the two."""
    front_of_energy: bool
    """The same for energy, by `Anytime.energy_model` and on hardware that skips multiplications by zero."""


class Anytime(Record):
    """Every network of a run that has time steps, beside those that have none."""

    networks: Many[NetworkAnytime]
    options: Many[Option]
    tolerance: Share
    """The tolerance of the early exit that tables name first."""
    energy_model: str

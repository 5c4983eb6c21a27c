"""Records of the section on diagnosis: what is wrong inside the trained networks, and what to change."""

from typing import Annotated, Literal

from pydantic import AliasChoices, Field

from spikewise.evaluation.record import Count, Figures, Many, Number, Record, Share

__all__ = [
    "Diagnosis",
    "FindingCode",
    "InputHealth",
    "LayerHealth",
    "NetworkDiagnosis",
    "NetworkFinding",
    "SeedDiagnosis",
    "Severity",
]

Severity = Literal["serious", "warning", "note"]
"""`serious`: the network cannot learn so. `warning`: it costs accuracy or spikes. `note`: worth knowing."""

FindingCode = Literal[
    "input_silent",
    "leak_too_strong",
    "weights_too_small",
    "threshold_too_high",
    "threshold_too_low",
    "weights_too_large",
    "died_in_training",
    "saturated_in_training",
    "some_neurons_idle",
    "dead_units",
    "outputs_silent",
    "surrogate_too_narrow",
    "gradient_vanishes_through_time",
    "gradient_explodes_through_time",
    "gradient_vanishes_through_layers",
    "not_finite",
    "learning_rate_too_high",
    "learning_rate_too_low",
    "nothing_to_learn",
    "not_learning",
    "worse_than_linear",
    "overfitting",
    "too_few_epochs",
    "unfinished",
]


class NetworkFinding(Record):
    """One thing that is wrong, or worth knowing, in one network."""

    code: FindingCode
    severity: Annotated[Severity, Field(validation_alias=AliasChoices("severity", "gravity"))]  # older runs: gravity
    network: str
    layer: str | None = None
    """None where the finding is about the network as a whole."""
    seeds: Many[int]
    """The trainings it was found in; the evidence is from the first."""
    text: str
    """What was found."""
    evidence: Figures
    """The figures it was found by, by name."""
    advice: str
    """What to do about it."""
    settings: Many[str] = ()
    """The same as `--set` takes it: key=value."""


class InputHealth(Record):
    """What the encoder sends for the examined images."""

    events: float
    """Mean magnitude of an input at one step: for spikes, their share."""
    silent_images: Share
    """Images for which nothing is sent at any step."""


class LayerHealth(Record):
    """One layer of neurons, or of units with an activation function, on the validation images."""

    layer: str
    neurons: Count
    rate: float
    """Spikes per neuron and step; share of the outputs above zero where there are no spikes."""
    rate_before_training: float | None = None
    """The same for the initial weights, on the examined batch."""
    dead: Share
    """Neurons that never spike, units that are never above zero."""
    saturated: Share
    """Neurons that spike at nearly every step."""
    membrane_low: Number = None
    """1 % of the membranes (all neurons, steps and images of the batch) lie below; in thresholds."""
    membrane_median: Number = None
    membrane_high: Number = None
    """99 % of the membranes lie below; in thresholds."""
    window: Share | None = None
    """Membranes at which the surrogate passes at least a tenth of its peak."""
    passed: float | None = None
    """Mean derivative of the surrogate over its peak: the share of the gradient that gets through."""
    gradient_norms: Many[float] = ()
    """Norm of d loss / d membrane at each step: root of the sum over neurons of squares, mean over images."""


class SeedDiagnosis(Record):
    """One training."""

    seed: int
    epochs_run: Count
    epochs: Count
    validation_accuracy: Number = None
    """At the kept epoch."""
    train_accuracy: Number = None
    """In the same epoch, while training."""
    input: InputHealth
    layers: Many[LayerHealth] = ()
    weight_change: Figures = Field(default_factory=dict)
    """For each weight matrix the distance from its start, over the norm at the start."""
    answers: Count = 0
    """Different classes among the answers to the validation images."""


class NetworkDiagnosis(Record):
    """One network, each of its trainings."""

    network: str
    steps: Count
    seeds: Many[SeedDiagnosis]


class Diagnosis(Record):
    """Every network of a run; `findings` are ordered by severity."""

    findings: Many[NetworkFinding] = ()
    networks: Many[NetworkDiagnosis] = ()
    images: Count
    """Validation images in the batch of which membranes and gradients were taken."""
    chance: Share
    """Accuracy of always giving the most frequent class, on the validation images."""
    linear_accuracy: Share | None = None
    """Validation accuracy of ridge regression on the pixels."""

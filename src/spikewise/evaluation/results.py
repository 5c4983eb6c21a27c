"""`Results`: what a run found out, as the documented and versioned content of its `results.json`.

`Results` holds the data, the protocol, one `NetworkResult` per candidate with one `SeedResult` per seed, one
`PairComparison` per pair, and the `Verdict`. JSON knows neither nan nor infinity: what could not be had is null.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, model_validator

from spikewise.config import parse
from spikewise.errors import ConfigError, RunError, unknown_choice
from spikewise.evaluation.agreement import contradictions
from spikewise.evaluation.data_facts import DataFacts
from spikewise.evaluation.record import Count, Estimate, Figures, Many, Number, Record, Share
from spikewise.evaluation.sections import Sections
from spikewise.evaluation.tuning import Tuning
from spikewise.files import write_json
from spikewise.reading import damaged, read_json

SCHEMA_VERSION: Final = 1
"""Version of `results.json`; raised by every change that an older reader could misread."""


Outcome = Literal["spiking_better", "no_difference", "spiking_worse", "cannot_tell"]
"""`no_difference`: none that is significant. `cannot_tell`: one seed, or nothing to compare with."""

Answer = Literal[
    "yes",
    "better_but_dearer",
    "as_good_and_cheaper",
    "as_good_as_dear",
    "as_good_but_dearer",
    "cheaper_but_worse",
    "no",
    "depends",
    "cannot_tell",
    "not_trained",
]
"""Whether the spiking network is worth it, over accuracy and energy, against every conventional opponent of the run.

Better or worse in accuracy: significantly; as good: no significant difference. Cheaper in energy: by every model that
prices both; dearer: by some, and cheaper by none. `yes`: better and not dearer. `no`: worse than one that costs no more
or while another is as good for less energy. `depends`: the models, or early exit, do not agree on the energy.
`cannot_tell`: one seed, or nothing to compare with. `not_trained`: a candidate did not train properly: no comparison.
"""


class Environment(Record):
    """Where a run took place; `cores` are those this process may use, `threads` those each operation used, `processes`
    how many trained together."""

    python: str
    torch: str
    numpy: str
    platform: str
    cpu: str
    cores: Count
    threads: Count
    device: str = "cpu"
    processes: Count = 1


class Protocol(Record):
    """The rules every candidate kept."""

    seeds: Many[int]
    epochs: Count
    test_opened: Count
    """How often test images were predicted, over all runs: once each if all is well."""
    opened_elsewhere: Count = 0
    """The same for this image set in the run folders beside this one, when this one was tested."""
    selection: str = "validation accuracy"
    batch_size: Count | None = None
    augmentation: str | None = None
    quick: bool = False
    """Whether this is a first look: few epochs, no sections; the answer of a whole run may be another."""
    whole: str = ""
    """The command for a whole run in place of a first look; empty where nobody knows."""


class EpochRecord(Record):
    """One epoch of one run; `spike_rates` are spikes per neuron and step of each spiking layer."""

    epoch: Count
    train_loss: Number
    """Mean of what was minimised: the loss of the experiment with its smoothing, class weights and penalty."""
    train_cross_entropy: Number = None
    """Mean cross-entropy of softmax(logits) over the same batches, nothing added, in nats; null in older runs."""
    train_accuracy: Number = None
    validation_loss: Number
    """Mean cross-entropy of softmax(logits), whatever was minimised, in nats."""
    validation_accuracy: Number
    learning_rate: float
    seconds: float
    images_per_second: float
    spike_rates: Figures = Field(default_factory=dict)


class Thresholded(Record):
    """A run of two classes that answers "positive" from a probability chosen on validation, instead of 1/2."""

    threshold: Share
    test: dict[str, Number]
    """Test metrics that depend on the answers."""


class Ties(Record):
    """Shares of the test images whose highest logit several classes share; `ties.py` has the rule."""

    tied: Share
    """The mean membrane of the outputs decides."""
    silent: Share = 0.0
    """No output neuron spiked, where spikes are counted."""
    undecided: Share = 0.0
    """The membranes are equal as well: one of the equals is drawn, by the image's place in its set."""


class SeedResult(Record):
    """One training of one network."""

    seed: int
    best_epoch: Count
    epochs_run: Count
    """0 for a network that was made elsewhere and only tested here; its `history` has at most what it knew then."""
    stopped_early: bool
    validation: dict[str, Number]
    """Metrics on the validation part, by name; null where one is not defined, such as AUC with a class absent."""
    test: dict[str, Number]
    confusion: Many[Many[Count]]
    """Test images by true class (row) and predicted class (column)."""
    history: Many[EpochRecord] = ()
    spike_rates: Figures = Field(default_factory=dict)
    """Spikes per neuron and step of each spiking layer, on the test part."""
    warnings: Many[str] = ()
    ties: Ties | None = None
    """Null in older runs, in which the first of equals was the answer."""
    thresholded: Thresholded | None = None
    """With two classes: the same run with the threshold that is best on validation (Youden)."""
    train_seconds: float


class QuantisedTwin(Record):
    """A twin with few bits: quantised after training, on the test part; docs/cost.md says how."""

    weight_bits: Count
    activation_bits: Count
    accuracy: Share
    """Mean over seeds."""
    energy_nanojoule: Figures
    """By the cost models of integers, at these bits."""


class Cost(Record):
    """What one image costs; every figure is per image unless it says otherwise. docs/cost.md says how each is counted.

    `macs`: multiply-accumulates of layers that receive real numbers; `state_updates`: neurons times steps;
    `energy_nanojoule`: by cost model, which used `constants` in picojoule per operation. A model that has no price for
    a network is absent. A model named "..., zeros skipped" is of hardware that skips multiplications by zero; the one
    without that addition multiplies zeros too. No claim about energy rests on one of the two alone.
    """

    macs: float
    synaptic_operations: float | None = None
    """Additions caused by spikes, counted on the test part; null for a network without spikes."""
    state_updates: float = 0
    additions: float = 0
    """Of the sums of residual blocks, as far as they are not made with the products of weighted layers."""
    several_spikes: bool = False
    """Whether more than one spike may arrive at an input in one step: sums of spikes, pools that add, activations."""
    effective_macs: float | None = None
    """Those multiply-accumulates whose input is not zero, counted on the test part."""
    dense_operations: float | None = None
    """Operations of all weighted layers if no input were ever zero."""
    activation_sparsity: float | None = None
    """Share of zeros among what the spiking layers send; null for a network without spikes."""
    connection_sparsity: float | None = None
    """Share of zeros among the weights."""
    memory_traffic_bytes: float | None = None
    """Bytes read and written, counted by a stated data flow."""
    parameters: Count
    bytes: Count
    """Size of the weights."""
    energy_nanojoule: Figures = Field(default_factory=dict)
    spikes_per_synapse_and_step: float | None = None
    """Mean over synapses and steps; null for a network without spikes."""
    spikes_per_synapse_and_inference: float | None = None
    """The same over all steps; null for a network without spikes, and in runs that did not say it."""
    break_even_spikes_per_synapse_and_step: Figures = Field(default_factory=dict)
    """By cost model: the spike rate at which the network would cost what its twin costs; 0 where none would do."""
    activation_bits: Count | None = None
    """Bits of an activation in the model of quantised networks: as many as the spiking network's steps carry."""
    quantised: Many[QuantisedTwin] = ()
    """Of a twin: what it still knows at few bits, measured; empty for others, and in runs that did not measure."""
    constants: Figures = Field(default_factory=dict)
    source: str = ""
    train_seconds_per_epoch: Estimate | None = None
    throughput_images_per_second: float | None = None
    latency_ms: float | None = None
    """One image, from pixels to answer, with one thread (in older runs with all): the median."""
    latency_p99_ms: float | None = None
    """The latency that 99 of 100 answers keep."""
    peak_memory_mb: float | None = None
    """Megabytes (of 2^20 bytes in older runs) that training needs at its peak beyond what the process held."""


class NetworkResult(Record):
    """One candidate: its runs, and what they add up to."""

    name: str
    """`snn`, `twin`, `cnn`, or a preset's name."""
    role: Literal["spiking", "twin", "baseline"]
    description: str
    engine: str
    """Which engine trained it."""
    test_engine: str | None = None
    """Which engine answered the test images; null in runs that did not note it."""
    speed_engine: str | None = None
    """Which engine throughput and latency were measured on; null in runs that did not note it."""
    parameters: Count
    steps: Count
    """Time steps; 1 for a network without time."""
    tuning: Tuning | None = None
    """The learning rate and how it was found; null of a network that was made elsewhere, and in older runs, where all
    had the one of the experiment."""
    runs: Many[SeedResult]
    metrics: dict[str, Estimate]
    """By name; with two classes `recall`, `specificity`, `precision` and `f1` are about the positive one (`data`)."""
    cost: Cost

    @property
    def trained_here(self) -> bool:
        """Whether any of its trainings was one of this run; else it was made elsewhere."""
        return any(run.epochs_run for run in self.runs)

    @property
    def train_seconds(self) -> float | None:
        """Seconds that one training took, the mean over seeds; None where it was not trained here."""
        return sum(run.train_seconds for run in self.runs) / len(self.runs) if self.trained_here else None


class SeedComparison(Record):
    """McNemar's exact test between the networks of one seed; `only_a` test images only `a` gets right."""

    seed: int
    only_a: Count
    only_b: Count
    p: Share


class EffectSize(Record):
    """How large a difference in accuracy is, apart from how sure; means over all pairs of runs of both sides."""

    discordant: Share
    """Share of test images on which exactly one of two runs is right."""
    cohens_h: float
    """Difference of 2 arcsin(sqrt(accuracy)): 0.2 is called small, 0.5 medium, 0.8 large."""
    cohens_g: float | None
    """Share of `a` in the discordant images, minus 1/2; null where there is none."""
    odds_ratio: float | None
    """Images only `a` gets right for each that only `b` gets right; null where `b` has none."""


class MetricComparison(Record):
    """A further metric of a pair: `difference` is a - b. Its p values are not corrected for looking at many."""

    difference: Estimate
    p: Share | None = None
    """Over seeds and images: 1 - level of the widest interval that leaves out zero; null without an interval."""
    p_images: Share | None = None
    """DeLong's test of the areas under the curve (two classes): other images, the same trained networks."""


class PairComparison(Record):
    """Two candidates on the same test images; `difference` is a - b; `significant` null: one seed cannot tell."""

    a: str
    b: str
    metric: str
    difference: Estimate
    p: Share
    """Exact sign-flip test over test images of the mean of all seeds; with one seed it is McNemar's."""
    p_interval: Share | None = None
    """Over seeds and images: 1 - level of the widest interval that leaves out zero; null without an interval."""
    p_adjusted: Share | None = None
    """The larger of the two, corrected for the `family` pairs of its kind (Holm):
    `significant` goes by it, and by the interval."""
    family: Annotated[int, Field(ge=1)] = 1
    """The main pair is a family of its own; all others are one."""
    main: bool = False
    """Whether this pair is the question that the comparison was made for: it does not pay for the others."""
    p_images_adjusted: Share | None = None
    """`p` alone, corrected in the same way: whether the networks trained here differ on such images."""
    per_seed: Many[SeedComparison] = ()
    effect: EffectSize | None = None
    standard_error: float | None = None
    """Of `difference`, over seeds and images."""
    freedom: float | None = None
    """Degrees of freedom of `standard_error`."""
    detectable: float | None = None
    """True difference that such a comparison would find with 80 % power; 1 where none would do; null with one seed."""
    seeds_to_tell: Count | None = None
    """Seeds a candidate with which a true difference as large as the one seen would be found with 80 % power, by the
    variances seen; null where a thousand would not do, or with one seed."""
    others: dict[str, MetricComparison] = Field(default_factory=dict)
    images: Count
    units: Count
    """What was resampled: subjects where they are known, else images."""
    significant: bool | None
    sentence: str

    @property
    def deciding_p(self) -> float:
        """The p that `significant` goes by: what is shown beside it."""
        return self.p if self.p_adjusted is None else self.p_adjusted


class CollapsedRun(Record):
    """A training that learned nothing: its answers tell classes apart no better than one constant answer."""

    network: str
    seed: int
    answer: str
    """Its most frequent answer."""
    share: Share
    """Of the test images that got that answer."""
    balanced_accuracy: Share


class WithoutCollapsed(Record):
    """The figures once more without the collapsed runs; those elsewhere hold all runs, and decide."""

    runs: Many[CollapsedRun]
    metrics: dict[str, dict[str, Estimate]]
    """By network, of those that have runs left."""
    comparisons: Many[PairComparison] = ()
    """Of pairs of which both networks have runs left."""


class Verdict(Record):
    """The answer in words, never stronger than the figures."""

    headline: str
    """The answer to "is the spiking network worth it?", in at most two short sentences."""
    paragraph: str
    """The sentences in one piece."""
    sentences: Many[str]
    """All that was found, with figures."""
    outcome: Outcome
    """Of the spiking network's accuracy against its twin, or the first baseline where there is none."""
    answer: Answer | None = None
    """Null in results of versions whose headline told of accuracy alone."""
    grounds: Many[str] = ()
    """What the headline rests on: intervals and p, what could have shown, reservations, what is still to come."""
    remedy: str | None = None
    """A command to copy where a candidate did not train properly, or is behind and might do better."""


class Results(Record):
    """The content of `results.json`."""

    schema_version: Literal[1] = SCHEMA_VERSION
    kind: Literal["compare", "train", "judge"]
    """"judge": networks that were trained elsewhere, and only tested here."""
    created: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    spikewise_version: str
    environment: Environment
    data: DataFacts
    protocol: Protocol
    networks: Many[NetworkResult]
    comparisons: Many[PairComparison] = ()
    without_collapsed: WithoutCollapsed | None = None
    """Null where no run collapsed."""
    verdict: Verdict
    sections: Sections = Sections()
    """What was looked into besides, such as robustness; empty where it was switched off."""
    seconds: float

    @model_validator(mode="after")
    def _parts_agree(self) -> "Results":
        if (found := next(contradictions(self), None)) is not None:
            raise ValueError(found)
        return self

    def network(self, name: str) -> NetworkResult:
        """The candidate of that name; "snn", whom nobody names, is the only network of a run, spiking or not.

        Raises:
            ConfigError: there is none.
        """
        for network in self.networks:
            if network.name == name:
                return network
        if name == "snn" and len(self.networks) == 1:
            return self.networks[0]
        raise unknown_choice("network", name, [network.name for network in self.networks])

    def save(self, path: Path) -> None:
        """Write `results.json`, whole or not at all.

        Raises:
            ConfigError: its parts contradict one another, so that `load` would refuse it; what stands there stays.
        """
        content = self.model_dump(mode="json")
        parse(type(self), content)  # parts that were put in by `model_copy` have not met the others yet
        write_json(path, content)

    @classmethod
    def load(cls, path: Path) -> "Results":
        """Read a `results.json`.

        Raises:
            RunError: it is missing, damaged or of another schema version.
        """
        content = _read_object(path)
        found = content.get("schema_version")
        if found != SCHEMA_VERSION:
            raise RunError(
                f"{path} has schema version {found!r}; this spikewise reads version {SCHEMA_VERSION}. "
                "Read it with the spikewise that wrote it (its 'spikewise_version' says which), or run it again."
            )
        try:
            return parse(cls, content)
        except ConfigError as error:
            raise RunError(f"{path} does not hold complete results; run it again. Problems:\n{error}") from None


def results_json_schema() -> dict[str, Any]:  # JSON Schema is whatever JSON can hold
    """JSON Schema of `results.json`, for the documentation and for readers in other languages."""
    return Results.model_json_schema()


def _read_object(path: Path) -> dict[str, Any]:
    content = read_json(path, finite=False)
    if isinstance(content, dict):
        return content
    raise damaged(path, f"no JSON object but {type(content).__name__}")

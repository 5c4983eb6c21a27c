"""The first screen: one picture, one small table, and what to do next."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from spikewise import viz
from spikewise.data.audit import advice
from spikewise.evaluation import Estimate, NetworkResult, Results
from spikewise.evaluation.sections.anytime import EarlyExit, Option
from spikewise.evaluation.units import Unit, energy_unit, latency_unit
from spikewise.evaluation.wording import called, capital
from spikewise.report.names import title
from spikewise.report.numbers import NONE, brief, duration, interval, percent
from spikewise.report.pictures import PicturePanel
from spikewise.shell import word
from spikewise.viz import LIGHT

__all__ = ["FrontTable", "NextStep", "energy_model", "front_picture", "front_table", "next_steps", "skipping_energy"]

_SKIPPED: Final = ", zeros skipped"
_ALIKE: Final = 0.995
"""Ratio of two energies above which one figure stands for both."""
_MOST_STEPS: Final = 3
_MOST_SEEDS: Final = 20
"""More seeds than that are not advised: they would take days."""


class FrontRow(NamedTuple):
    """One way to answer these images; figures that it does not have are dashes."""

    name: str
    position: int | None
    """Of its colour; None for what has no mark in the picture."""
    accuracy: str
    ends: str
    energy: str = NONE
    skipping: str = ""
    """Its energy where zeros are skipped, if that differs."""
    latency: str = NONE
    training: str = NONE
    kind: str = "network"
    """`network`, `exit` (of the network above) or `simple`."""
    short: str = ""
    """Its name in the tables further down."""


class FrontTable(NamedTuple):
    """The rows, and what the figures are."""

    rows: tuple[FrontRow, ...]
    level: str
    """Of the intervals, in percent."""
    energy_model: str

    @property
    def priced(self) -> bool:
        """Whether any row has an energy."""
        return any(row.energy != NONE for row in self.rows)


class NextStep(NamedTuple):
    """Something to do, and what to type for it."""

    what: str
    command: str


def energy_model(results: Results) -> str | None:
    """The energy model of the first screen: that of the front, or the first that prices the first network."""
    anytime = results.sections.anytime
    if anytime is not None and any(anytime.energy_model in one.cost.energy_nanojoule for one in results.networks):
        return anytime.energy_model
    return next((model for network in results.networks for model in network.cost.energy_nanojoule), None)


def skipping_energy(network: NetworkResult, model: str) -> float | None:
    """Nanojoules where multiplications by zero are skipped; None where that is unknown, or makes no difference."""
    dense, skipping = (network.cost.energy_nanojoule.get(name) for name in (model, model + _SKIPPED))
    return None if dense is None or skipping is None or skipping > _ALIKE * dense else skipping


def front_table(results: Results) -> FrontTable:
    """Accuracy, energy, latency and training time of every network; early exit; accuracy of simple classifiers."""
    model = energy_model(results) or ""
    prices = [one.cost.energy_nanojoule.get(m) for one in results.networks for m in (model, model + _SKIPPED)]
    exits = {network.name: _early(results, network.name) for network in results.networks}
    prices += [early.energy_nanojoule.get(model) for early in exits.values() if early is not None]
    units = energy_unit(prices), latency_unit([network.cost.latency_ms for network in results.networks])
    rows: list[FrontRow] = []
    for position, network in enumerate(results.networks):
        rows.append(_network_row(network, position, model, units))
        early = exits[network.name]
        if early is not None and early.steps.mean < network.steps - 0.5:
            rows.append(_exit_row(network, early, model, units[0]))
    yardsticks = results.sections.yardsticks
    for one in () if yardsticks is None else sorted(yardsticks.models, key=lambda one: -one.accuracy.mean):
        name = one.name[:1].upper() + one.name[1:]
        rows.append(FrontRow(name, None, percent(one.accuracy.mean), interval("accuracy", one.accuracy), kind="simple"))
    accuracies = [network.metrics["accuracy"] for network in results.networks if "accuracy" in network.metrics]
    return FrontTable(tuple(rows), brief(100 * accuracies[0].level) if accuracies else "", model)


def front_picture(results: Results) -> PicturePanel | None:
    """Accuracy against energy; None where no network has a price."""
    model, anytime = energy_model(results), results.sections.anytime
    if model is None:
        return None
    options = () if anytime is None or anytime.energy_model != model else anytime.options
    networks = {
        title(network): _priced(network, model, options, _exits(results, network.name, model))
        for network in results.networks
        if model in network.cost.energy_nanojoule and "accuracy" in network.metrics
    }
    if not networks:
        return None
    front = [(1e-9 * one.energy_nanojoule, one.accuracy) for one in options if one.front_of_energy]
    colours = {title(network): LIGHT.colour(at) for at, network in enumerate(results.networks)}
    drawn = viz.accuracy_against_energy(networks, front, simple=_simple(results), colours=colours)
    return PicturePanel("answer", drawn, _caption(results, networks, model, bool(front), bool(options)))


def next_steps(results: Results, command: str | None, run: str, source: str | None = None) -> list[NextStep]:
    """At most three things to do, the most urgent first; a step without a command has it in its words, or needs none.

    Args:
        command: what makes the run again; None where nobody knows.
        run: the run folder, as a command names it.
        source: the images, as a command names them.
    """
    found = [*_mending(results, source), *_telling(results, command)]
    best = max((one for one in results.networks if "accuracy" in one.metrics), default=None, key=_accuracy)
    run = word(run)
    if best is not None and results.kind != "judge":  # whose networks are not the run's to load
        ask = f"spikewise predict {run} IMAGE... --network {word(best.name)}"
        level = sum(_accuracy(one) == _accuracy(best) for one in results.networks if "accuracy" in one.metrics) > 1
        which = "one of the most accurate networks" if level else "the most accurate network"
        found.append(NextStep(f"Classify images with {which}, the {_in_prose(best)}", ask))
    if results.sections.robustness is None and results.kind == "compare":
        found.append(NextStep("See what noise and damage change", f"spikewise robustness {run}"))
    return found[:_MOST_STEPS]


def _mending(results: Results, source: str | None) -> list[NextStep]:
    """What makes the answer doubtful, and how it is mended."""
    steps, audit = list[NextStep](), results.sections.audit
    if results.verdict.remedy:
        looks = results.verdict.remedy.startswith("spikewise diagnose")
        what = "See what went wrong" if looks else "Train again with the setting that mends what went wrong"
        steps.append(NextStep(what, results.verdict.remedy))
    leaks = results.data.overlap
    sure = leaks.duplicates or leaks.near_duplicates or (leaks.subjects and results.data.subjects_trust != "doubtful")
    if sure and source is not None:
        told = "Take a split that does not leak: write one, then compare with --set split.file=clean.json"
        return [*steps, NextStep(told, f"spikewise audit {word(source)} --fix clean.json")]
    if audit is not None and any(one.severity == "red" for one in audit.findings):
        steps += [NextStep(line, "") for line in advice(audit)[:1]]
    return steps


def _telling(results: Results, command: str | None) -> list[NextStep]:
    """A whole run after a first look; more seeds, where these are what is missing."""
    if results.protocol.quick:
        return [NextStep("Ask for more than a first look: all seeds and epochs", results.protocol.whole)]
    if command is None:
        return []
    seeds = len(results.protocol.seeds)
    if seeds < 2:
        return [NextStep("Ask again with three seeds: one cannot tell a difference from luck", f"{command} --seeds 3")]
    open_pair = next((pair for pair in results.comparisons if pair.main and pair.significant is False), None)
    wanted = None if open_pair is None else open_pair.seeds_to_tell
    if open_pair is None or wanted is None or not seeds < wanted <= _MOST_SEEDS:
        return []
    told = (
        f"Ask again with {wanted} seeds: a true difference between {called(open_pair.a)} and {called(open_pair.b)} as "
        "large as the one seen would then show"
    )
    return [NextStep(told, f"{command} --seeds {wanted}")]


def _in_prose(network: NetworkResult) -> str:
    words = title(network)
    return words if words == network.name else words[:1].lower() + words[1:]


def _accuracy(network: NetworkResult) -> float:
    return network.metrics["accuracy"].mean


def _network_row(network: NetworkResult, position: int, model: str, units: tuple[Unit, Unit]) -> FrontRow:
    cost, accuracy = network.cost, network.metrics.get("accuracy")
    dense, skipping = cost.energy_nanojoule.get(model), skipping_energy(network, model)
    return FrontRow(
        title(network),
        position,
        percent(None if accuracy is None else accuracy.mean),
        "" if accuracy is None else interval("accuracy", accuracy),
        units[0].text(dense),
        "" if skipping is None else units[0].text(skipping),
        units[1].text(cost.latency_ms),
        duration(network.train_seconds, aligned=True),
        short="" if title(network) == network.name else network.name,
    )


def _exit_row(network: NetworkResult, early: EarlyExit, model: str, unit: Unit) -> FrontRow:
    return FrontRow(
        f"stopping early, {brief(early.steps.mean)} of {network.steps} steps",
        None,
        percent(early.accuracy.mean),
        interval("accuracy", early.accuracy),
        unit.text(early.energy_nanojoule.get(model)),
        kind="exit",
    )


def _early(results: Results, name: str) -> EarlyExit | None:
    """The early exit that tables name first."""
    anytime = results.sections.anytime
    for network in () if anytime is None else anytime.networks:
        if network.network == name:
            return next((one for one in network.early_exit if one.tolerance == anytime.tolerance), None)  # type: ignore[union-attr]  # `network` is of it
    return None


def _priced(
    network: NetworkResult, model: str, options: Sequence[Option], exits: Sequence[EarlyExit]
) -> viz.PricedNetwork:
    cost, accuracy = network.cost, network.metrics["accuracy"]
    joules, skipping = 1e-9 * cost.energy_nanojoule[model], skipping_energy(network, model)
    return viz.PricedNetwork(
        joules,
        accuracy.mean,
        accuracy.low,
        accuracy.high,
        None if skipping is None else 1e-9 * skipping,
        [
            (1e-9 * one.energy_nanojoule, one.accuracy)
            for one in options
            if (one.network, one.how) == (network.name, "step")
        ],
        [(1e-9 * one.energy_nanojoule[model], *_ends(one.accuracy)) for one in exits],
    )


def _ends(estimate: Estimate) -> tuple[float, float | None, float | None]:
    return estimate.mean, estimate.low, estimate.high


def _exits(results: Results, name: str, model: str) -> list[EarlyExit]:
    anytime = results.sections.anytime
    networks = () if anytime is None else anytime.networks
    found = next((one.early_exit for one in networks if one.network == name), ())
    return [early for early in found if model in early.energy_nanojoule]


def _simple(results: Results) -> tuple[str, float] | None:
    """The best simple classifier, if it is not guessing."""
    yardsticks = results.sections.yardsticks
    models = [one for one in (() if yardsticks is None else yardsticks.models) if one.name != "guessing"]
    best = max(models, key=lambda one: one.accuracy.mean, default=None)
    return None if best is None else (capital(best.name), best.accuracy.mean)


def _caption(results: Results, networks: Mapping[str, viz.PricedNetwork], model: str, front: bool, course: bool) -> str:
    levels = {network.metrics["accuracy"].level for network in results.networks if "accuracy" in network.metrics}
    told = [f"Energy by {model}. Upright bars: {100 * max(levels, default=0.95):g} % intervals."]
    if any(one.skipping is not None for one in networks.values()):
        told.append("Dotted to the left: what it would be where multiplications by zero are skipped.")
    if course:
        told.append("Thin line: the answer after each time step.")
        told += [] if front else ["There is no front: what nothing beats by one model is beaten by another."]
    return " ".join(told)

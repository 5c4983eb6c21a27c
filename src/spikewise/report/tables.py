"""Rows of the report's tables and places on its interval strips, made from `Results`."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from spikewise.evaluation import Cost, Estimate, NetworkResult, PairComparison, Results
from spikewise.evaluation.cost import ENERGY_MODELS, PUBLISHED_BREAK_EVEN
from spikewise.evaluation.units import bytes_of, energy, energy_unit, latency
from spikewise.report.numbers import (
    METRICS,
    NONE,
    brief,
    count,
    duration,
    interval,
    metric_label,
    metric_value,
    percent,
    points,
)

__all__ = ["Forest", "MetricTable", "Strip", "TableCell", "TableRow", "cost_rows", "engines", "forest", "metric_table"]


class Strip(NamedTuple):
    """An interval drawn on a line, in percent of its width."""

    low: float
    mean: float
    high: float


class TableCell(NamedTuple):
    """A figure, its interval (or a remark), and the drawing of it."""

    value: str
    small: str = ""
    strip: Strip | None = None
    further: tuple[tuple[str, str], ...] = ()
    """The figures in `small`, each after what it is, for tables that give them rows of their own."""


class TableRow(NamedTuple):
    """One line of a table."""

    label: str
    hint: str
    cells: tuple[TableCell, ...]


class MetricTable(NamedTuple):
    """All figures of accuracy and confidence."""

    rows: tuple[TableRow, ...]
    scale: str
    """Ends of the scale on which the intervals of all shares are drawn; empty where there is none."""
    alike: str
    """Which figures are left out because they say what accuracy says."""


class ForestRow(NamedTuple):
    """One comparison: the difference, and where it lies."""

    pair: PairComparison
    difference: str
    ends: str
    strip: Strip | None


class Forest(NamedTuple):
    """Differences on a common scale with zero in the middle."""

    rows: tuple[ForestRow, ...]
    reach: str
    """The right end of the scale, in points; the left end is its negative."""


def metric_table(results: Results) -> MetricTable:
    """A row for each metric that a network has: known ones in the usual order, then the others.

    Figures that repeat the accuracy of every network, as the balanced one does where classes are of one size, are named
    below the table instead. All shares of right answers are drawn on one scale.
    """
    found = dict.fromkeys(name for network in results.networks for name in network.metrics)
    order = [name for name in METRICS if name in found] + [name for name in found if name not in METRICS]
    alike = [name for name in order if name != "accuracy" and _repeats_accuracy(name, results)]
    shown = [name for name in order if name not in alike]
    ends = [end for name in shown if name in _SHARES for end in _all_ends(name, results)]
    low, high = _with_margin(ends) if ends else (0.0, 1.0)
    rows = [_metric_row(name, results, (low, high) if name in _SHARES else None) for name in shown]
    scale = f"{percent(max(low, 0.0), 0).removesuffix(' %')} to {percent(min(high, 1.0), 0)}" if ends else ""
    return MetricTable(tuple(rows), scale, _alike(alike, results))


def cost_rows(results: Results, *, models: Sequence[str] | None = None) -> list[TableRow]:
    """What each network costs; rows that no network has are left out.

    Args:
        models: Energy models to show; None is all that the run has.
    """
    found = dict.fromkeys(model for network in results.networks for model in network.cost.energy_nanojoule)
    shown = [model for model in found if models is None or model in models]
    bits = next((network.cost.activation_bits for network in results.networks if network.cost.activation_bits), None)
    energies = [
        _energy_row(model, f", {bits}-bit activations" if bits and model in _QUANTISED else "", results.networks)
        for model in shown
    ]
    even = [
        _cost_row(
            f"Break-even rate, {model}",
            "spikes per synapse and step; below it, cheaper than the twin",
            lambda cost, m=model: _break_even(cost.break_even_spikes_per_synapse_and_step.get(m)),  # type: ignore[misc]
            results.networks,
        )
        for model in shown
    ]
    few_bits = [_few_bits(weights, activations, results.networks) for weights, activations in _widths(results)]
    counted, measured = ([_cost_row(*row, results.networks) for row in rows] for rows in (_COUNTED, _MEASURED))
    steps = TableRow("Time steps", "", tuple(TableCell(count(network.steps)) for network in results.networks))
    spent = [duration(network.train_seconds, aligned=True) for network in results.networks]
    training = TableRow("Training, one seed", "", tuple(TableCell(seconds) for seconds in spent))
    rows = [counted[0], steps, *counted[1:], *energies, *few_bits, *even, *measured, training]
    return [row for row in rows if any(cell.value != NONE for cell in row.cells)]


def forest(comparisons: Sequence[PairComparison]) -> Forest:
    """All comparisons on one scale that is symmetric about zero."""
    ends = [abs(x) for pair in comparisons for x in _ends(pair.difference)]
    reach = 1.15 * max([*ends, 1e-4])
    rows = [
        ForestRow(pair, points(pair.difference.mean), _range(pair.difference), _strip(pair.difference, -reach, reach))
        for pair in comparisons
    ]
    return Forest(tuple(rows), points(reach, 1))


_Getter = Callable[[Cost], str | TableCell]


def _per_epoch(cost: Cost) -> str | TableCell:
    seconds = cost.train_seconds_per_epoch
    if seconds is None or seconds.sd is None:
        return duration(seconds.mean if seconds else None, aligned=True)
    spread = duration(seconds.sd, aligned=True)
    return TableCell(
        duration(seconds.mean, aligned=True), f"± {spread} over seeds", further=(("± over seeds", spread),)
    )


def _latency(cost: Cost) -> str | TableCell:
    if cost.latency_p99_ms is None:
        return TableCell(latency(cost.latency_ms))
    most = latency(cost.latency_p99_ms)
    return TableCell(latency(cost.latency_ms), f"99 % within {most}", further=(("99 % within", most),))


def _energy_row(model: str, remark: str, networks: Sequence[NetworkResult]) -> TableRow:
    """All networks in one unit, so that they can be compared at a glance."""
    values = [network.cost.energy_nanojoule.get(model) for network in networks]
    unit = energy_unit(values)
    return TableRow(
        f"Energy, {model}", f"per image, computed{remark}", tuple(TableCell(unit.text(value)) for value in values)
    )


def _break_even(rate: float | None) -> str:
    return "no rate" if rate == 0 else brief(rate)


def _widths(results: Results) -> list[tuple[int, int]]:
    """Bits of weights and of activations at which a twin was measured."""
    found = (one for network in results.networks for one in network.cost.quantised)
    return list(dict.fromkeys((one.weight_bits, one.activation_bits) for one in found))


def _few_bits(weights: int, activations: int, networks: Sequence[NetworkResult]) -> TableRow:
    def cell(cost: Cost) -> TableCell:
        for one in cost.quantised:
            if (one.weight_bits, one.activation_bits) == (weights, activations):
                dense, skipping = (energy(nanojoule) for nanojoule in one.energy_nanojoule.values())
                return TableCell(
                    percent(one.accuracy),
                    f"{dense}, {skipping} with zeros skipped",
                    further=(("energy", dense), ("energy, zeros skipped", skipping)),
                )
        return TableCell(NONE)

    label = f"Accuracy, {weights}-bit weights, {activations}-bit activations"
    return TableRow(label, "quantised after training, measured", tuple(cell(network.cost) for network in networks))


_Rows = tuple[tuple[str, str, _Getter], ...]
_QUANTISED: Final = frozenset(model.name for model in ENERGY_MODELS if model.quantised)
_COUNTED: _Rows = (
    ("Parameters", "", lambda cost: count(cost.parameters)),
    ("Size", "", lambda cost: bytes_of(cost.bytes)),
    ("Zero weights", "", lambda cost: percent(cost.connection_sparsity or None)),
    ("MACs", "per image", lambda cost: count(cost.macs)),
    ("MACs with an input other than 0", "per image", lambda cost: count(cost.effective_macs or None)),
    ("Synaptic operations", "per image", lambda cost: count(cost.synaptic_operations)),
    ("Membrane updates", "per image", lambda cost: count(cost.state_updates or None)),
    ("Additions of residual sums", "per image", lambda cost: count(cost.additions or None)),
    ("Silent neurons and steps", "share of all", lambda cost: percent(cost.activation_sparsity)),
    ("Spikes per synapse and step", "", lambda cost: brief(cost.spikes_per_synapse_and_step)),
    (
        "Spikes per synapse and image",
        f"published break-even {PUBLISHED_BREAK_EVEN[0]:g} to {PUBLISHED_BREAK_EVEN[1]:g}, depending on the hardware",
        lambda cost: brief(cost.spikes_per_synapse_and_inference),
    ),
    ("Memory traffic", "per image, counted without reuse", lambda cost: bytes_of(cost.memory_traffic_bytes)),
)
_MEASURED: _Rows = (
    ("Training, one epoch", "", _per_epoch),
    ("Throughput", "images/s", lambda cost: count(cost.throughput_images_per_second)),
    ("Latency", "one image", _latency),
    (
        "Peak memory",
        "in training",
        lambda cost: bytes_of(None if cost.peak_memory_mb is None else 1e6 * cost.peak_memory_mb),
    ),
)


def _cost_row(label: str, hint: str, get: _Getter, networks: Sequence[NetworkResult]) -> TableRow:
    found = [get(network.cost) for network in networks]
    return TableRow(label, hint, tuple(cell if isinstance(cell, TableCell) else TableCell(cell) for cell in found))


_SHARES: Final = frozenset(name for name, metric in METRICS.items() if metric.percent and name != "ece")
"""Shares of right answers, which can be compared with each other."""
_REPEATS: Final = 0.001
"""Difference below which a figure says what accuracy says: a tenth of a point."""


def _repeats_accuracy(name: str, results: Results) -> bool:
    """Whether a share of right answers is, for every network, its accuracy."""
    pairs = [(one.metrics.get(name), one.metrics.get("accuracy")) for one in results.networks]
    return name in _SHARES and all(a and b and abs(a.mean - b.mean) < _REPEATS for a, b in pairs)


def _alike(names: Sequence[str], results: Results) -> str:
    if not names:
        return ""
    told = "; ".join(metric_label(name, results.data.positive).lower().replace("f1", "F1") for name in names)
    which = "It says" if len(names) == 1 else "They say"
    return f"Left out: {told}. {which} what accuracy says, to a tenth of a point, for every network."


def _all_ends(name: str, results: Results) -> list[float]:
    return [x for network in results.networks if name in network.metrics for x in _ends(network.metrics[name])]


def _with_margin(ends: Sequence[float]) -> tuple[float, float]:
    low, high = min(ends), max(ends)
    margin = 0.08 * (high - low) or 0.01
    return low - margin, high + margin


def _metric_row(name: str, results: Results, scale: tuple[float, float] | None) -> TableRow:
    """On the given scale, or on one of its own."""
    estimates = [network.metrics.get(name) for network in results.networks]
    low, high = _with_margin(_all_ends(name, results)) if scale is None else scale
    cells = [_estimate_cell(name, estimate, low, high) for estimate in estimates]
    known = METRICS.get(name)
    return TableRow(metric_label(name, results.data.positive), known.hint if known else "", tuple(cells))


def _estimate_cell(name: str, estimate: Estimate | None, low: float, high: float) -> TableCell:
    if estimate is None:
        return TableCell("–")
    return TableCell(metric_value(name, estimate.mean), interval(name, estimate), _strip(estimate, low, high))


def _ends(estimate: Estimate) -> list[float]:
    return [x for x in (estimate.low, estimate.mean, estimate.high) if x is not None]


def _range(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return "no interval"
    return f"{points(estimate.low)} to {points(estimate.high)}"


def _strip(estimate: Estimate, left: float, right: float) -> Strip | None:
    if estimate.low is None or estimate.high is None:
        return None
    return Strip(*(round(100 * (x - left) / (right - left), 2) for x in (estimate.low, estimate.mean, estimate.high)))


def engines(network: NetworkResult) -> str:
    """Which engine trained a network, and which answered and was timed where that was another."""
    said = [f"trained on {network.engine}"]
    others = {"tested": network.test_engine, "timed": network.speed_engine}
    differing = [f"{did} on {name}" for did, name in others.items() if name and name != network.engine]
    return network.engine if not differing else ", ".join(said + differing)

"""Figures and tests of a run as rows of text."""

from spikewise.evaluation import NetworkResult, Results, units
from spikewise.evaluation.collapse import collapsed_runs
from spikewise.evaluation.wording import aligned
from spikewise.report.numbers import count, interval, metric_value, p_value, points

__all__ = ["summary", "tests"]

_METRICS = {"accuracy": "test accuracy", "balanced_accuracy": "balanced accuracy", "f1_macro": "F1, macro"}


def summary(results: Results) -> list[list[str]]:
    """A header (empty, then each network's name) and one row for each figure."""
    columns = [_figures(network) for network in results.networks]
    labels = list(dict.fromkeys(label for column in columns for label in column))
    header = ["", *(network.name for network in results.networks)]
    rows = [[label, *(column.get(label, "") for column in columns)] for label in labels]
    return [header, *(row for row in rows if any(row[1:]))]


def tests(results: Results) -> list[list[str]]:
    """A header and a row for each pair: who, difference in points, its interval, corrected p, and what follows."""
    if not results.comparisons:
        return []
    level = results.comparisons[0].difference.level
    rows = [["accuracy", "points", f"{100 * level:g} % interval", "p", ""]]
    for pair in results.comparisons:
        low, high = pair.difference.low, pair.difference.high
        ends = "" if low is None or high is None else f"{points(low)} to {points(high)}"
        words = {True: "significant", False: "not significant", None: "cannot tell"}[pair.significant]
        rows.append([f"{pair.a} − {pair.b}", points(pair.difference.mean), ends, p_value(pair.deciding_p), words])
    return rows


def _figures(network: NetworkResult) -> dict[str, str]:
    cost, out = network.cost, {}
    for name, label in _METRICS.items():
        estimate = network.metrics[name]
        spread = "" if estimate.sd is None else f" ± {metric_value(name, estimate.sd)}".removesuffix(" %")
        out[label] = metric_value(name, estimate.mean).removesuffix(" %") + spread + " %"
        if name == "accuracy":
            out[f"  {100 * estimate.level:g} % interval"] = interval(name, estimate)
    collapsed = collapsed_runs([network])
    out["trainings that learned nothing"] = f"{len(collapsed)} of {len(network.runs)}" if collapsed else ""
    ties = [run.ties.tied for run in network.runs if run.ties is not None]
    out["tied outputs, % of images"] = f"{100 * sum(ties) / len(ties):.2f}" if any(ties) else ""
    out["parameters"] = count(cost.parameters)
    out["MACs / image"] = count(cost.macs)
    out["spike additions / image"] = "" if cost.synaptic_operations is None else count(cost.synaptic_operations)
    out["membrane updates / image"] = count(cost.state_updates) if cost.state_updates else ""
    out["additions of residual sums / image"] = count(cost.additions) if cost.additions else ""
    for model, energy in cost.energy_nanojoule.items():
        out[f"energy / image ({model})"] = units.energy(energy)
    epoch = cost.train_seconds_per_epoch
    out["training, s / epoch"] = "" if epoch is None else aligned(epoch.mean)
    out["inference, images / s"] = (
        "" if cost.throughput_images_per_second is None else count(cost.throughput_images_per_second)
    )
    out["latency"] = "" if cost.latency_ms is None else units.latency(cost.latency_ms)
    return out

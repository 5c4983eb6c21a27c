"""The presets with what was published and what they gave, as rows and as plain data."""

from typing import Any

from spikewise.data import CATALOG
from spikewise.experiments import load_preset, preset_names
from spikewise.experiments.reproduction import Reproduction, main_network, reproductions
from spikewise.report.numbers import interval, metric_label, metric_value

__all__ = ["preset_facts", "preset_rows"]


def preset_facts() -> list[dict[str, Any]]:
    """Each preset as plain data: name, data, about, source, published figures, and every recorded run."""
    out = []
    for name in preset_names():
        table = load_preset(name)
        runs = [one.model_dump(mode="json") for one in _runs(name)]
        facts = {key: table.get(key, "") for key in ("about", "source", "published")}
        out.append({"name": name, "data": table["data"]["source"], **facts, "reproduced": runs})
    return out


def preset_rows() -> list[list[str]]:
    """Name, data, published and reproduced figures in words, and what it is."""
    rows = []
    for name in preset_names():
        table = load_preset(name)
        metric, value = next(iter(table.get("published", {}).items()), ("accuracy", None))
        told = f"{_label(metric, table['data']['source'])} {metric_value(metric, value)}"
        published = "–" if value is None else told
        runs = _runs(name)
        found = "\n".join(words for run in runs if not run.changes and (words := _words(run, name, metric)))
        if not found and any(_words(run, name, metric) for run in runs):
            found = "in part: docs/presets.md"
        about = f"{table['about']} {table['source']}."
        rows.append([name, table["data"]["source"], published, found or "not run yet", about])
    return rows


def _runs(name: str) -> list[Reproduction]:
    """Those of the preset itself, and of the one whose comparison trains the same network."""
    where, _ = main_network(name)
    return [run for run in reproductions() if run.preset in {name, where}]


def _words(run: Reproduction, name: str, metric: str) -> str:
    """The figure of a preset in one run; empty if that run did not have its network."""
    _, network = main_network(name)
    # In a run of its own a network without spikes is called by another name; it is the first one there.
    figures = run.networks[0] if run.preset == name else run.figures(network)
    if figures is None:
        return ""
    estimate = figures.metrics[metric]
    ends = interval(metric, estimate)
    how = "as published " if run.as_published else ""
    said = f"{how}{metric_value(metric, estimate.mean)}" + (f" ({ends})" if ends else "")
    return f"{said} on {run.stand_in}" if run.stand_in else said


def _label(metric: str, source: str) -> str:
    positive = CATALOG[source].positive if source in CATALOG else None
    label = metric_label(metric, positive)
    return label[0].lower() + label[1:] if positive and positive in label else label.lower()

"""The report's section on diagnosis."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from spikewise import viz
from spikewise.evaluation import Results
from spikewise.evaluation.sections.diagnosis import Diagnosis, LayerHealth, NetworkDiagnosis, NetworkFinding
from spikewise.evaluation.untrained import RunPlace, rerun
from spikewise.evaluation.wording import called
from spikewise.report.numbers import NONE, brief
from spikewise.report.pictures import PicturePanel
from spikewise.report.sections.view import View
from spikewise.shell import named

__all__ = ["DiagnosisContent", "DiagnosisRow", "again", "rows", "view"]


class DiagnosisRow(NamedTuple):
    """One layer of one network, means over seeds; shares are in percent."""

    network: str
    layer: str
    rate: str
    before: str
    dead: str
    saturated: str
    membranes: str
    window: str
    passed: str


class DiagnosisContent(NamedTuple):
    """What the template reads."""

    record: Diagnosis
    rows: list[DiagnosisRow]
    command: str
    """How to run again with the first finding's settings; empty where no finding has any."""


def view(results: Results, folder: Path | None) -> View | None:
    """Findings, the table of layers, and figures; None where the section was not made."""
    section = results.sections.diagnosis
    if section is None:
        return None
    content = DiagnosisContent(
        section,
        rows(section),
        again(section.findings, results.kind, Path() if folder is None else Path(named(folder))),
    )
    panels = [*_gradients(section), *_rates(results)]
    seconds = results.sections.seconds.get("diagnosis")
    return View("diagnosis", "Diagnosis", content, panels, seconds, _finding(section))


def _finding(section: Diagnosis) -> str:
    if not section.findings:
        return "Nothing is wrong: neurons are alive, gradients get through, and the learning rate fits."
    first, more = section.findings[0], len(section.findings) - 1
    where = f"{called(first.network)}{f', {first.layer}' if first.layer else ''}"
    rest = f", and {more} more" if more else ""
    return f"{where[:1].upper()}{where[1:]}: {first.code.replace('_', ' ')} ({first.severity}){rest}."


def rows(section: Diagnosis) -> list[DiagnosisRow]:
    """One row for each layer of each network."""
    return [_row(network, layer) for network in section.networks for layer in _layers(network)]


def again(findings: Sequence[NetworkFinding], kind: str, folder: Path) -> str:
    """The command that runs once more with what the gravest finding advises; empty where none has a setting.

    Args:
        folder: of the run, as seen from where the command is given.
    """
    return rerun(findings, RunPlace(kind, folder))


def _layers(network: NetworkDiagnosis) -> list[list[LayerHealth]]:
    """Each layer in all seeds."""
    return [list(layer) for layer in zip(*(seed.layers for seed in network.seeds), strict=True)]


def _row(network: NetworkDiagnosis, layer: list[LayerHealth]) -> DiagnosisRow:
    def mean(name: str) -> float | None:
        values = [getattr(one, name) for one in layer]
        return None if any(value is None for value in values) else sum(values) / len(values)

    low, high = mean("membrane_low"), mean("membrane_high")
    return DiagnosisRow(
        network.network,
        layer[0].layer,
        _percent(mean("rate")),
        _percent(mean("rate_before_training")),
        _percent(mean("dead")),
        _percent(mean("saturated")),
        NONE if low is None or high is None else f"{brief(low)} to {brief(high)}",
        _percent(mean("window")),
        _percent(mean("passed")),
    )


def _percent(share: float | None) -> str:
    return NONE if share is None else f"{100 * share:.1f}"


def _gradients(section: Diagnosis) -> list[PicturePanel]:
    out = []
    for network in section.networks:
        layers = {one.layer: one.gradient_norms for one in network.seeds[0].layers if len(one.gradient_norms) > 1}
        if layers:
            caption = (
                f"{network.network}, seed {network.seeds[0].seed}: how strongly the loss depends on the membranes at "
                "each time step. A line that falls to nothing on the left says that early steps teach nothing."
            )
            out.append(PicturePanel(f"gradients-{network.network}", viz.gradients_over_time(layers), caption))
    return out


def _rates(results: Results) -> list[PicturePanel]:
    out = []
    for network in results.networks:
        names = dict.fromkeys(name for run in network.runs for epoch in run.history for name in epoch.spike_rates)
        curves = {
            name: [[epoch.spike_rates.get(name) for epoch in run.history] for run in network.runs] for name in names
        }
        if curves:
            drawn = viz.learning_curves(curves, ylabel="spikes per neuron and step, %", percent=True)
            caption = f"{network.name}: spike rate of each layer on the validation images after each epoch."
            out.append(PicturePanel(f"rates-over-epochs-{network.name}", drawn, caption))
    return out

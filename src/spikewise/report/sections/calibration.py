"""The report's section on calibration."""

from pathlib import Path
from typing import NamedTuple

from spikewise import viz
from spikewise.evaluation import Results
from spikewise.evaluation.sections.calibration import Calibration, CalibrationFigures, NetworkCalibration
from spikewise.evaluation.wording import called
from spikewise.report.numbers import metric_value
from spikewise.report.pictures import PicturePanel, colours
from spikewise.report.sections.view import View

__all__ = ["rows", "view"]


class CalibrationRow(NamedTuple):
    """One network before or after scaling."""

    network: str
    state: str
    ece: str
    corrected: str
    brier: str
    nll: str
    temperature: str


def view(results: Results, folder: Path | None) -> View | None:
    """Table and reliability diagrams; None where the section was not made."""
    del folder  # this section has no arrays
    section = results.sections.calibration
    if section is None:
        return None
    colour = colours(results.networks)
    panels = [
        _diagram(section, "reliability", "as trained", colour, scaled=False),
        _diagram(section, "reliability-scaled", "after temperature scaling", colour, scaled=True),
    ]
    told = ", ".join(f"{called(one.network)} {_error(one)}" for one in section.networks)
    finding = f"How far confidence and accuracy lie apart, as trained and after scaling: {told}." if told else ""
    seconds = results.sections.seconds.get("calibration")
    return View("calibration", "Calibration", rows(section), panels, seconds, finding)


def _error(network: NetworkCalibration) -> str:
    before, after = (100 * figures.ece.mean for figures in (network.as_trained, network.scaled))
    return f"{before:.1f} and {after:.1f} %"


def rows(section: Calibration) -> list[CalibrationRow]:
    """Two rows for each network."""
    return [row for network in section.networks for row in (_row(network, scaled=False), _row(network, scaled=True))]


def _row(network: NetworkCalibration, *, scaled: bool) -> CalibrationRow:
    figures: CalibrationFigures = network.scaled if scaled else network.as_trained
    mean = sum(network.temperatures) / len(network.temperatures)
    return CalibrationRow(
        network.network,
        "scaled" if scaled else "as trained",
        f"{100 * figures.ece.mean:.2f}",
        f"{100 * figures.ece_corrected.mean:.2f}",
        metric_value("brier", figures.brier.mean),
        metric_value("nll", figures.nll.mean),
        f"{mean:.2f}" if scaled else "1",
    )


def _diagram(section: Calibration, key: str, state: str, colour: dict[str, str], *, scaled: bool) -> PicturePanel:
    points = {
        one.network: [
            (b.confidence, b.accuracy, b.low, b.high) for b in (one.scaled if scaled else one.as_trained).reliability
        ]
        for one in section.networks
    }
    drawn = viz.reliability_diagram(points, title=f"reliability, {state}", colours=colour)
    caption = f"Accuracy against confidence {state}: below the dashed line a network is too sure. Bars: 95 % intervals."
    return PicturePanel(key, drawn, caption)

"""What a terminal shows of a finished run below its answer: a screen of lines, each with the command that shows more.

Everything that is left out stands in the report and in `results.json`.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from spikewise.api.wording import summary
from spikewise.evaluation import Results, units
from spikewise.evaluation.opponents import early_exit, spiking_network
from spikewise.report.front import energy_model
from spikewise.report.notices import SHORTENED, notices
from spikewise.report.numbers import points

__all__ = ["Line", "first_table", "lines"]

_SHOWN: Final = ("test accuracy", "  95 % interval", "trainings that learned nothing", "parameters", "latency")
_PER_EPOCH: Final = "training, s / epoch"
_BALANCED: Final = 0.01
"""Difference from accuracy from which balanced accuracy is worth a row."""


class Line(NamedTuple):
    """A detail, and the command that shows more of it; empty where the report does."""

    text: str
    more: str = ""


def first_table(results: Results) -> list[list[str]]:
    """A header and the figures that an answer rests on; energy by one model."""
    header, *rows = summary(results)
    shown = [*_SHOWN[:2], *(["balanced accuracy"] if _unbalanced(results) else []), *_SHOWN[2:]]
    by_label = {row[0]: row for row in rows}
    found = [by_label[label] for label in shown if label in by_label]
    model = energy_model(results)
    if model is not None:
        energies = [one.cost.energy_nanojoule.get(model) for one in results.networks]
        found.append(["energy / image", *("" if one is None else units.energy(one) for one in energies)])
    if _PER_EPOCH in by_label:
        found.append(["training / epoch", *(f"{cell} s" if cell else "" for cell in by_label[_PER_EPOCH][1:])])
    return [header, *found]


def lines(results: Results) -> list[Line]:
    """Reservations first, then what was looked into, then what was left out."""
    return [
        *_reservations(results),
        *_energy(results),
        *_early_exit(results),
        *_sections(results),
        Line("All figures, and why", "report.html"),
    ]


def _unbalanced(results: Results) -> bool:
    apart = (one.metrics["balanced_accuracy"].mean - one.metrics["accuracy"].mean for one in results.networks)
    return any(abs(one) >= _BALANCED for one in apart)


def _reservations(results: Results) -> Iterator[Line]:
    yield from (Line(f"Note: {caution}") for caution in results.data.cautions)
    titles = dict.fromkeys(one.title for one in notices(results) if one.title != SHORTENED)
    yield from (Line(f"Reservation: {title}") for title in titles)


def _energy(results: Results) -> Iterator[Line]:
    model = energy_model(results)
    models = {name for one in results.networks for name in one.cost.energy_nanojoule}
    if model is not None:
        yield Line(f"Energy, computed by '{model}'; {len(models) - 1} more models", "spikewise cost RUN")


def _early_exit(results: Results) -> Iterator[Line]:
    spiking, anytime = spiking_network(results.networks), results.sections.anytime
    early = None if spiking is None else early_exit(spiking.name, anytime)
    if spiking is not None and early is not None:
        lost = points(early.difference.mean)
        yield Line(
            f"Early exit: {early.steps.mean:.3g} of {spiking.steps} steps, {lost} points", "spikewise anytime RUN"
        )


def _sections(results: Results) -> Iterator[Line]:
    sections = results.sections
    best = None if sections.yardsticks is None else max(sections.yardsticks.models, key=lambda one: one.accuracy.mean)
    if best is not None:
        yield Line(f"Best simple classifier: {best.name}, {100 * best.accuracy.mean:.2f} %")
    found = () if sections.diagnosis is None else [one for one in sections.diagnosis.findings if one.severity != "note"]
    if found:
        yield Line(
            f"Diagnosis: {len(found)} finding{'s' * (len(found) > 1)} about the training", "spikewise diagnose RUN"
        )
    if sections.less:
        yield Line(f"Shorter than usual: {', '.join(sections.less)}", "--thorough")
    for name, why in sections.skipped.items():
        command = why.partition("`")[2].partition("`")[0]
        yield Line(f"Left out: {name}", command or "--thorough")

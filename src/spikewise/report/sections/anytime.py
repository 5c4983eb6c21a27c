"""The report's section on answers before the last step."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from spikewise import viz
from spikewise.evaluation import Estimate, Results
from spikewise.evaluation.sections.anytime import Anytime, AnytimeStep, EarlyExit, NetworkAnytime, Option
from spikewise.evaluation.units import Unit, energy_unit, latency, latency_unit
from spikewise.evaluation.wording import called
from spikewise.report.numbers import brief, count, interval, percent, points
from spikewise.report.pictures import PicturePanel, colours
from spikewise.report.sections.view import View

__all__ = ["EXIT_HEADER", "STEP_HEADER", "Block", "blocks", "view"]

STEP_HEADER: Final = ("step", "accuracy, %", "interval", "AUC", "additions, %", "energy", "latency")
EXIT_HEADER: Final = (
    "tolerance, points",
    "threshold",
    "accuracy, %",
    "against all steps",
    "interval",
    "steps",
    "additions, %",
    "energy",
)
_ROWS = 9


class Block(NamedTuple):
    """One network in words and rows."""

    name: str
    total: int
    """Time steps."""
    counted: str
    steps: list[list[str]]
    """Rows under `STEP_HEADER`."""
    exits: list[list[str]]
    """Rows under `EXIT_HEADER`."""
    sentence: str
    timing: str


class AnytimeContent(NamedTuple):
    """What the template reads."""

    blocks: list[Block]
    step_header: tuple[str, ...]
    exit_header: tuple[str, ...]
    energy_model: str


def view(results: Results, folder: Path | None) -> View | None:
    """Tables and figures; None where the section was not made."""
    del folder  # this section has no arrays
    section = results.sections.anytime
    if section is None:
        return None
    colour = colours(results.networks)
    content = AnytimeContent(blocks(section), STEP_HEADER, EXIT_HEADER, section.energy_model)
    panels = _panels(section, colour) if section.networks else []
    seconds = results.sections.seconds.get("anytime")
    return View("anytime", "Anytime", content, panels, seconds, _finding(section))


def _finding(section: Anytime) -> str:
    told = []
    for network in section.networks:
        early = next((one for one in network.early_exit if one.tolerance == section.tolerance), None)
        last = network.curve[-1].step
        if early is None or all(threshold is None for threshold in early.thresholds):
            told.append(f"{called(network.network)} needs all of its {last} steps")
        else:
            told.append(
                f"{called(network.network)} may stop after {brief(early.steps.mean)} of {last} steps on "
                f"average, for {points(early.difference.mean)} points of accuracy"
            )
    text = "; ".join(told)
    return f"{text[:1].upper()}{text[1:]}." if text else "No network of this run has time steps."


def blocks(section: Anytime) -> list[Block]:
    """One for each network with time steps."""
    return [_block(section, network) for network in section.networks]


def _block(section: Anytime, network: NetworkAnytime) -> Block:
    last = network.curve[-1]
    shown = [network.curve[t - 1] for t in np.unique(np.geomspace(1, last.step, _ROWS).round().astype(int))]
    units = _units(shown, network.early_exit, section.energy_model)
    return Block(
        network.network,
        last.step,
        count(network.counted_images),
        [_step_row(one, last, section.energy_model, units) for one in shown],
        [_exit_row(one, last, section.energy_model, units) for one in network.early_exit],
        _sentence(network, section),
        _timing(network, section),
    )


class Units(NamedTuple):
    """What the columns of a network's tables are written in."""

    energy: Unit
    latency: Unit


def _units(steps: Sequence[AnytimeStep], exits: Sequence[EarlyExit], model: str) -> Units:
    energies = [step.energy_nanojoule.get(model) for step in steps]
    energies += [early.energy_nanojoule.get(model) for early in exits]
    return Units(energy_unit(energies), latency_unit([step.latency_ms for step in steps]))


def _step_row(step: AnytimeStep, last: AnytimeStep, model: str, units: Units) -> list[str]:
    return [
        count(step.step),
        _bare(step.accuracy.mean),
        interval("accuracy", step.accuracy) or "–",
        f"{step.auc.mean:.4f}" if step.auc else "–",
        _share(step, last),
        units.energy.text(step.energy_nanojoule.get(model)),
        units.latency.text(step.latency_ms),
    ]


def _exit_row(early: EarlyExit, last: AnytimeStep, model: str, units: Units) -> list[str]:
    return [
        f"{100 * early.tolerance:g}",
        _thresholds(early),
        _bare(early.accuracy.mean),
        points(early.difference.mean),
        _ends(early.difference),
        brief(early.steps.mean),
        _share(early, last),
        units.energy.text(early.energy_nanojoule.get(model)),
    ]


def _sentence(network: NetworkAnytime, section: Anytime) -> str:
    early = next(one for one in network.early_exit if one.tolerance == section.tolerance)
    last = network.curve[-1]
    given = f"Allowed to give up {100 * early.tolerance:g} points on the validation images"
    if all(threshold is None for threshold in early.thresholds):
        return f"{given}, {network.network} cannot stop early: every threshold costs more."
    ends = _ends(early.difference)
    against = f"{points(early.difference.mean)} points against all steps" + (f", {ends}" if ends != "–" else "")
    return (
        f"{given}, {network.network} stops after {brief(early.steps.mean)} of {last.step} steps on average, with "
        f"{_share(early, last)} % of the additions; test accuracy {percent(early.accuracy.mean)} ({against})."
    )


def _timing(network: NetworkAnytime, section: Anytime) -> str:
    early = next(one for one in network.early_exit if one.tolerance == section.tolerance)
    step, whole = network.stream_step_ms, network.curve[-1].latency_ms
    if whole is None:
        return ""
    saves = step * early.steps.mean < whole
    return (
        f"On this machine a step alone takes {latency(step)} and all {network.curve[-1].step} in one call "
        f"{latency(whole)}, so stopping early {'saves time' if saves else 'saves no time'} here."
    )


def _panels(section: Anytime, colour: dict[str, str]) -> list[PicturePanel]:
    whole = [one for one in section.options if one.how == "whole"]
    courses = {network.network: _course(network) for network in section.networks}
    over_steps = viz.accuracy_over_steps(courses, {one.network: one.accuracy for one in whole}, colours=colour)
    return [
        PicturePanel(
            "anytime-accuracy",
            over_steps,
            "Accuracy if every image were answered after the same step: mean, band for its interval, a faint line for "
            "each seed. Diamonds: each image answered when the network is sure enough, at its mean number of steps. "
            "Level lines: networks without time. The first steps may lie below the frame.",
        ),
        _cost_panel(section, colour, "anytime-energy", f"energy per image ({section.energy_model})"),
        _cost_panel(section, colour, "anytime-operations", "additions and multiply-accumulates per image"),
    ]


_FRONT = "Grey: the front, where nothing is more accurate for less."
_NO_FRONT = "There is no front: whatever is unbeaten by one model of energy is beaten by another."


def _cost_panel(section: Anytime, colour: dict[str, str], key: str, quantity: str) -> PicturePanel:
    def point(option: Option) -> tuple[float, float]:
        cost = 1e-9 * option.energy_nanojoule if key == "anytime-energy" else option.operations
        return cost, option.accuracy

    networks = {
        network.network: viz.CostCourse(
            [point(one) for one in section.options if (one.network, one.how) == (network.network, "step")],
            [point(one) for one in section.options if (one.network, one.how) == (network.network, "early exit")],
        )
        for network in section.networks
    }
    references = {one.network: point(one) for one in section.options if one.how == "whole"}
    on_front = [
        point(one)
        for one in section.options
        if (one.front_of_energy if key == "anytime-energy" else one.front_of_operations)
    ]
    drawn = viz.accuracy_over_cost(
        networks, references, on_front, what=quantity, unit="J" if key == "anytime-energy" else "", colours=colour
    )
    return PicturePanel(
        key,
        drawn,
        "Accuracy against cost: dots after each step (small numbers), diamonds for early exits. "
        + (_FRONT if on_front else _NO_FRONT),
    )


def _course(network: NetworkAnytime) -> viz.StepCourse:
    accuracy = [step.accuracy for step in network.curve]
    return viz.StepCourse(
        [one.mean for one in accuracy],
        [one.mean if one.low is None else one.low for one in accuracy],
        [one.mean if one.high is None else one.high for one in accuracy],
        list(zip(*(step.accuracy_per_seed for step in network.curve), strict=True)),
        [(one.steps.mean, one.accuracy.mean) for one in network.early_exit],
    )


def _share(part: AnytimeStep | EarlyExit, last: AnytimeStep) -> str:
    """Additions in percent of those of all steps."""
    return f"{100 * part.synaptic_operations / last.synaptic_operations:.1f}" if last.synaptic_operations else "–"


def _thresholds(early: EarlyExit) -> str:
    """The one threshold, or the lowest and the highest."""
    known = sorted({_threshold(one) for one in early.thresholds if one is not None})
    if not known:
        return "never"
    never = " or never" if None in early.thresholds else ""
    return (known[0] if len(known) == 1 else f"{known[0]} to {known[-1]}") + never


def _threshold(confidence: float) -> str:
    return f"{confidence:.3f}" if confidence < 0.9995 else f"1 − {1 - confidence:.0e}"


def _ends(difference: Estimate) -> str:
    if difference.low is None or difference.high is None:
        return "–"
    return f"{points(difference.low)} to {points(difference.high)}"


def _bare(share: float) -> str:
    return percent(share).removesuffix(" %")

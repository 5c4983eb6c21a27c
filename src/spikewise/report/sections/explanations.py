"""The report's section on explanations."""

from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from spikewise import viz
from spikewise.evaluation import Estimate, Results
from spikewise.evaluation.sections.explanations import Explanations, NetworkExplanations
from spikewise.evaluation.stored import read_arrays
from spikewise.evaluation.wording import called, percent
from spikewise.report.agreement import check_explanations
from spikewise.report.numbers import points
from spikewise.report.pictures import PicturePanel, data_address, image_address
from spikewise.report.sections.view import View

__all__ = ["METHODS", "ExplainedExample", "ExplanationsContent", "ExplanationsRow", "rows", "view"]

METHODS = {"integrated_gradients": "integrated gradients", "occlusion": "occlusion"}


_REMEDY = "Delete it, or give `spikewise explain RUN --again`."


class ExplanationsRow(NamedTuple):
    """One network and method; areas and differences of areas in percent."""

    network: str
    method: str
    top: str
    random: str
    brightest: str
    bottom: str
    gain: str
    gain_ends: str
    over_brightness: str
    over_brightness_ends: str
    alike: str


class Map(NamedTuple):
    """One map of an example."""

    caption: str
    address: str


class ExplainedExample(NamedTuple):
    """One test image with its maps."""

    truth: str
    position: int
    answers: list[tuple[str, str, str, bool]]
    """Network, answer, how sure, whether it is right."""
    image: str
    maps: list[Map]


class ExplanationsContent(NamedTuple):
    """What the template reads."""

    record: Explanations
    rows: list[ExplanationsRow]
    examples: list[ExplainedExample]
    publishable: bool


def view(results: Results, folder: Path | None) -> View | None:
    """Checks, maps and figures; None where the section was not made."""
    section = results.sections.explanations
    if section is None:
        return None
    arrays = _arrays(results, folder)
    classes = results.data.classes
    publishable = results.data.publishable
    examples = _examples(section, arrays, classes) if publishable else []
    content = ExplanationsContent(section, rows(section), examples, publishable)
    panels = [_deletion(one) for one in section.networks]
    panels += [*_courses(section, arrays, classes), *_class_rates(arrays, classes)]
    seconds = results.sections.seconds.get("explanations")
    return View("explanations", "Explanations", content, panels, seconds, _finding(section))


def _finding(section: Explanations) -> str:
    told = []
    for network in section.networks:
        better = [
            METHODS[one.method] for one in network.deletion if _sure(one.gain) and _sure(one.gain_over_brightness)
        ]
        what = " and ".join(better) if better else "no map"
        told.append(f"{what} for {called(network.network)}")
    return f"Maps that find what matters better than chance and than brightness: {'; '.join(told)}." if told else ""


def _sure(gain: Estimate) -> bool:
    return gain.low is not None and gain.low > 0


def rows(section: Explanations) -> list[ExplanationsRow]:
    """One row for each network and method."""
    out = []
    for network in section.networks:
        alike = {one.method: one.correlation for one in network.random_weights}
        for check in sorted(network.deletion, key=lambda one: list(METHODS).index(one.method)):
            out.append(
                ExplanationsRow(
                    network=network.network,
                    method=METHODS[check.method],
                    top=_area(check.top),
                    random=_area(check.random),
                    brightest=_area(check.brightest),
                    bottom=_area(check.bottom),
                    gain=points(check.gain.mean, 1),
                    gain_ends=_ends(check.gain),
                    over_brightness=points(check.gain_over_brightness.mean, 1),
                    over_brightness_ends=_ends(check.gain_over_brightness),
                    alike=f"{round(alike[check.method].mean, 2) + 0.0:.2f}".replace("-", "\u2212"),
                )
            )
    return out


def _area(estimate: Estimate) -> str:
    return f"{100 * estimate.mean:.1f}"


def _ends(estimate: Estimate) -> str:
    return "" if estimate.low is None else f"{points(estimate.low, 1)} to {points(estimate.high, 1)}"


def _arrays(results: Results, folder: Path | None) -> dict[str, NDArray[Any]]:
    path = None if folder is None else folder / "sections" / "explanations.npz"
    if path is None or not path.exists():
        return {}
    arrays = read_arrays(path, _REMEDY)
    check_explanations(path, arrays, results)
    return arrays


def _examples(
    section: Explanations, arrays: dict[str, NDArray[Any]], classes: tuple[str, ...]
) -> list[ExplainedExample]:
    images = arrays.get("images")
    if images is None:
        return []
    out = []
    for at, one in enumerate(section.shown):
        maps = [
            Map(
                f"{network.network}, {METHODS[method]}",
                data_address(viz.png_bytes(viz.attribution_picture(images[at], arrays[key][at])), "png"),
            )
            for network in section.networks
            for method in METHODS
            if (key := f"map.{network.network}.{method}") in arrays
        ]
        answers = [
            (network.network, classes[answer], percent(sure), answer == one.label)
            for network, answer, sure in zip(section.networks, one.answers, one.probabilities, strict=True)
        ]
        out.append(ExplainedExample(classes[one.label], one.index, answers, image_address(images[at]), maps))
    return out


def _deletion(network: NetworkExplanations) -> PicturePanel:
    curves: dict[str, tuple[float, ...]] = {}
    for check in network.deletion:
        curves |= {
            f"{METHODS[check.method]}, top first": check.curve_top,
            f"{METHODS[check.method]}, bottom first": check.curve_bottom,
        }
    first = network.deletion[0]
    curves |= {"random": first.curve_random, "brightest first": first.curve_brightest}
    drawn = viz.deletion_curves(curves, first.shares, title=f"{network.network}: probability of the answer, %")
    caption = f"{network.network}: the faster the answer falls when its top pixels are black, the better the map."
    return PicturePanel(f"deletion-{network.network}", drawn, caption)


def _courses(section: Explanations, arrays: dict[str, NDArray[Any]], classes: tuple[str, ...]) -> list[PicturePanel]:
    out = []
    for position, network in enumerate(section.networks):
        sure, added = arrays.get(f"sure.{network.network}"), arrays.get(f"over_time.{network.network}")
        if sure is None or added is None or not len(sure):
            continue
        names = [
            classes[one.label]
            if one.answers[position] == one.label
            else f"{classes[one.label]}, read as {classes[one.answers[position]]}"
            for one in section.shown
        ]
        caption = (
            f"{network.network}, seed {network.seed}, one test image each. Line: probability of the answer so far, %. "
            "Bars: what the input of each step adds to the answer by integrated gradients, scaled to the largest."
        )
        out.append(PicturePanel(f"certainty-{network.network}", viz.certainty_over_time(names, sure, added), caption))
    return out


def _class_rates(arrays: dict[str, NDArray[Any]], classes: tuple[str, ...]) -> list[PicturePanel]:
    out = []
    for key, rates in arrays.items():
        kind, *names = key.split(".")
        if kind == "rates" and rates.size:
            title = ", ".join(names)
            drawn = viz.class_rates(rates, classes, title=f"{title}: spike rate by class")
            caption = (
                f"{title}: mean spike rate of hidden neurons for the validation images of each class; the full colour "
                f"is {rates.max():.2f} spikes per step."
            )
            out.append(PicturePanel(f"class-rates-{'-'.join(names)}", drawn, caption))
    return out

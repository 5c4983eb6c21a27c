"""The report's section on robustness."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import UInt8

from spikewise import viz
from spikewise.errors import RunError
from spikewise.evaluation import Estimate, Results
from spikewise.evaluation.robustness import CORRUPTIONS, SHOWN_STRENGTH
from spikewise.evaluation.sections.robustness import (
    AccuracyCurve,
    Disturbance,
    Family,
    FamilyScores,
    NetworkScore,
    Robustness,
)
from spikewise.evaluation.stored import read_arrays
from spikewise.evaluation.wording import called, percent
from spikewise.report.numbers import NONE, p_value, points
from spikewise.report.pictures import PicturePanel, colours, image_address
from spikewise.report.sections.view import View

__all__ = ["RobustnessContent", "networks_of", "rows", "stored_examples", "titles", "view"]

_TITLES: Final[dict[Family, str]] = {
    "corruptions": "Corrupted images",
    "spikes": "Disturbed input spikes",
    "weights": "Damaged weights",
    "neurons": "Dead neurons",
    "attacks": "Adversarial images",
}


class ShownDifference(NamedTuple):
    """Score of one network minus another's."""

    mean: str
    ends: str = ""
    """Its interval, or nothing."""
    p: str = ""


class RobustnessRow(NamedTuple):
    """One family, or one disturbance in it."""

    label: str
    is_family: bool
    scores: tuple[str, ...]
    """Of each network."""
    differences: tuple[ShownDifference, ...]
    """For a family; the titles say of which networks."""


class Group(NamedTuple):
    """The figures of one family, with what has to be said of them."""

    title: str
    about: str
    panels: Sequence[PicturePanel]
    left_out: Sequence[str]
    gradients: str


class DisturbedExample(NamedTuple):
    """One image, corrupted."""

    name: str
    image: str


class RobustnessContent(NamedTuple):
    """What the template reads."""

    networks: Sequence[str]
    titles: Sequence[str]
    """Of the differences."""
    rows: Sequence[RobustnessRow]
    groups: Sequence[Group]
    examples: Sequence[DisturbedExample]
    guessing: bool
    """Whether some network has no score although it was disturbed."""


def view(results: Results, folder: Path | None) -> View | None:
    """Scores, curves and example images; None where the section was not made."""
    section = results.sections.robustness
    if section is None:
        return None
    names = [network.name for network in results.networks]
    stored = stored_examples(folder / "sections" / "robustness.npz") if folder is not None else {}
    groups = [_group(section, family, colours(results.networks)) for family in section.families]
    content = RobustnessContent(
        networks=names,
        titles=titles(section),
        rows=rows(section, names),
        groups=groups,
        examples=_examples(stored) if results.data.publishable else [],
        guessing=any(curve.score is None for one in section.disturbances for curve in one.curves),
    )
    panels = [panel for group in groups for panel in group.panels]
    seconds = results.sections.seconds.get("robustness")
    return View("robustness", "Robustness", content, panels, seconds, _finding(section))


def _finding(section: Robustness) -> str:
    """What is left under the first family, and which differences are sure in the others."""
    if not section.families:
        return ""
    first = section.families[0]
    kept = [f"{called(one.network)} {percent(one.score.mean)}" for one in first.scores if one.score is not None]
    text = f"{_TITLES[first.family]} leave of the accuracy above chance: {', '.join(kept)}." if kept else ""
    sure = [
        f"{called(one.a if one.difference.mean < 0 else one.b)} loses more to {_TITLES[family.family].lower()}"
        for family in section.families
        for one in family.differences[:1]
        if one.difference.low is not None
        and one.difference.high is not None
        and not one.difference.low <= 0 <= one.difference.high
    ]
    told = "; ".join(sure)
    return f"{text} {told[:1].upper()}{told[1:]}." if told else text


def titles(section: Robustness) -> list[str]:
    """Which networks the differences are between."""
    return [f"{a} − {b}" for a, b in _pairs(section)]


def rows(section: Robustness, networks: Sequence[str]) -> list[RobustnessRow]:
    """A row for each family, followed by one for each of its disturbances."""
    out = []
    for family in section.families:
        found = {(one.a, one.b): one for one in family.differences}
        differences = tuple(
            _difference(found[pair].difference, found[pair].p) if pair in found else ShownDifference(NONE)
            for pair in _pairs(section)
        )
        out.append(RobustnessRow(_TITLES[family.family], True, _scores(family.scores, networks), differences))
        for one in section.disturbances:
            if one.family == family.family:
                name = _words(one.name) + ("" if one.counted else " (check)")
                out.append(RobustnessRow(name, False, _scores(one.curves, networks), ()))
    return out


def networks_of(section: Robustness) -> list[str]:
    """The networks that were examined."""
    return list(dict.fromkeys(one.network for family in section.families for one in family.clean))


def stored_examples(path: Path) -> dict[str, UInt8[np.ndarray, "C H W"]]:
    """The example images of a run; none where there is no file, or it is damaged: figures do not depend on them."""
    try:
        arrays = read_arrays(path)
    except RunError:
        return {}
    return {name: one for name, one in arrays.items() if one.ndim == 3 and one.dtype == np.uint8}


def _pairs(section: Robustness) -> list[tuple[str, str]]:
    return list(dict.fromkeys((one.a, one.b) for family in section.families for one in family.differences))


def _scores(found: Sequence[NetworkScore] | Sequence[AccuracyCurve], networks: Sequence[str]) -> tuple[str, ...]:
    of = {one.network: one.score for one in found}
    return tuple(NONE if (score := of.get(name)) is None else f"{100 * score.mean:.1f}" for name in networks)


def _difference(difference: Estimate, p: float | None) -> ShownDifference:
    mean = points(difference.mean, 1)
    if difference.low is None or difference.high is None:
        return ShownDifference(mean)
    ends = f"{points(difference.low, 1)} to {points(difference.high, 1)}"
    return ShownDifference(mean, ends, f"p {_equals(p_value(p))}")


def _equals(p: str) -> str:
    return p if p.startswith("<") else f"= {p}"


def _words(name: str) -> str:
    return name.replace("_", " ").replace("jpeg", "JPEG").replace("fgsm", "FGSM").replace("pgd", "PGD")


def _group(section: Robustness, family: FamilyScores, colour: Mapping[str, str]) -> Group:
    own = [one for one in section.disturbances if one.family == family.family]
    panels = [_panel(one, family, colour) for one in own]
    seeds = "one seed" if family.seeds == 1 else f"{family.seeds} seeds"
    about = f"{family.images:,} test images, {seeds}." if own else ""
    zero = [
        f"{one.network} {percent(one.zero_gradients)}" for one in family.gradients if one.zero_gradients is not None
    ]
    gradients = f"Images without any gradient to follow: {', '.join(zero)}." if zero else ""
    return Group(_TITLES[family.family], about, panels, family.left_out, gradients)


def _panel(one: Disturbance, family: FamilyScores, colour: Mapping[str, str]) -> PicturePanel:
    clean = {curve.network: curve for curve in family.clean}
    networks = {curve.network: _points(clean[curve.network]) + _points(curve) for curve in one.curves}
    drawn = viz.robustness_curve(
        networks,
        ["none", *(f"{strength:g}" for strength in one.strengths)],
        words=(_words(one.name), one.parameter),
        chance=family.chance,
        colours=colour,
    )
    caption = f"{_words(one.name)}: accuracy in % by {one.parameter}"
    return PicturePanel(f"robustness-{one.name}", drawn, caption, tuple((name, colour[name]) for name in networks))


def _points(curve: AccuracyCurve) -> list[tuple[float, float | None, float | None]]:
    return list(zip(curve.accuracy, curve.low, curve.high, strict=True))


def _examples(stored: Mapping[str, UInt8[np.ndarray, "C H W"]]) -> list[DisturbedExample]:
    captions = {"original": "as it is"}
    captions |= {c.name: f"{_words(c.name)} {c.strengths[SHOWN_STRENGTH]:g}" for c in CORRUPTIONS}
    captions |= {"attack": "adversarial, eps 32"}
    return [DisturbedExample(words, image_address(stored[key])) for key, words in captions.items() if key in stored]

"""What a conversion found, in rows and sentences: the same on the command line, in Python and on the page."""

from typing import TYPE_CHECKING, Final

from spikewise.evaluation.conversion import Beside, Conversion, ConvertedSteps
from spikewise.evaluation.cost import ENERGY_MODELS
from spikewise.evaluation.record import Estimate
from spikewise.evaluation.units import energy
from spikewise.evaluation.wording import called, count_of, signed
from spikewise.report.numbers import count, p_value, percent, points

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["HEADER", "LAYER_HEADER", "accuracy_figure", "headline", "layer_rows", "rows", "sentences"]

_MODEL: Final = next(model.name for model in ENERGY_MODELS if model.zeros == "skipped")
"""Hardware that computes where something arrives, as spiking hardware does."""
_NOTHING: Final = 1e-5
"""Of an error: sums of floats are not exact."""
HEADER: Final = (
    "",
    "steps",
    "accuracy, %",
    "95 %",
    "points against it",
    "95 %",
    "p",
    "spikes / image",
    "additions / image",
    f"energy ({_MODEL})",
)
LAYER_HEADER: Final = ("layer", "neurons", "off by", "of which clipped")


def rows(found: Conversion) -> list[list[str]]:
    """A row for each network, as `HEADER` says: the original, the directly trained one, then each way to convert."""
    direct = [] if found.direct is None else [_beside(found.direct, f"{found.direct.network}, trained directly")]
    return [_beside(found.original, found.network), *direct, *(_row(one) for one in found.rows)]


def _beside(one: Beside, name: str) -> list[str]:
    return [name, count(one.steps), _share(one.accuracy.mean), _shares(one.accuracy), "", "", "", "",
            count(one.synaptic_operations or None), _energy(one.energy_nanojoule.get(_MODEL))]  # fmt: skip


def _row(one: ConvertedSteps) -> list[str]:
    return [
        f"T = {one.steps}{', waiting' if one.waits else ''}",
        count(one.duration),
        _share(one.accuracy.mean),
        _shares(one.accuracy),
        points(one.difference.mean),
        _ends(one.difference),
        p_value(one.p),
        count(one.spikes),
        count(one.synaptic_operations),
        _energy(one.energy_nanojoule.get(_MODEL)),
    ]


def layer_rows(found: Conversion) -> list[list[str]]:
    """For each layer the mean error of its rates, relative to its activations; of `Conversion.shown`."""
    return [
        [one.layer, one.neurons, percent(one.error), percent(one.clipped)]
        for one in found.shown.layers
    ]  # fmt: skip


def accuracy_figure(found: Conversion) -> "Figure":
    """Accuracy after each number of steps, beside that of the network that was converted and the directly trained."""
    from spikewise import viz  # noqa: PLC0415  # brings matplotlib, which the words do not need

    ways: dict[str, dict[int, tuple[float, float | None, float | None]]] = {}
    for row in found.rows:
        name = f"{found.network} as spikes{', waiting' if row.waits else ''}"
        ways.setdefault(name, {})[row.duration] = (row.accuracy.mean, row.accuracy.low, row.accuracy.high)
    beside = [found.original, *([] if found.direct is None else [found.direct])]
    return viz.accuracy_after_conversion(ways, {one.network: one.accuracy.mean for one in beside})


def headline(found: Conversion) -> str:
    """The shortest way to the original's accuracy, or that there is none."""
    name, chosen = called(found.network), found.chosen
    allowed = f"{signed(100 * found.tolerance, 1)} points"
    if chosen is None:
        best = max(found.rows, key=lambda row: row.validation)
        return (
            f"Converted, {name} loses more than {allowed} on the validation images in every number of steps that was "
            f"tried; least with {_way(best)}. More steps lose less, as does a network that was trained for it "
            "(`compare --with qcfs`)."
        )
    return f"Converted, {name} needs {_way(chosen)} to lose no more than {allowed} on the validation images."


def sentences(found: Conversion) -> list[str]:
    """What else there is to say."""
    best = found.chosen or max(found.rows, key=lambda row: row.validation)
    said = [f"Test accuracy with {_way(best)}: {_against(found, best)}.", _of_the_worst(found.shown)]
    if found.checks:
        said.append(_counts(found))
    if found.direct is not None and found.chosen is not None:
        said.append(_beside_direct(found.direct, found.chosen))
    return said


def _of_the_worst(shown: ConvertedSteps) -> str:
    worst = shown.worst
    if worst.error < _NOTHING:
        return f"No layer loses anything: with {_way(shown)} the rates are the activations, on validation images."
    return (
        f"{worst.neurons} loses most: with {_way(shown)} its rates are {percent(worst.error)} off the activations of "
        f"{worst.layer} (mean difference over mean activation, validation images); activations above the threshold "
        f"account for {percent(worst.clipped)}."
    )


def _against(found: Conversion, row: ConvertedSteps) -> str:
    p = p_value(row.p)
    told = "significant" if row.significant else "not significant"
    ends = _ends(row.difference)
    return (
        f"{percent(row.accuracy.mean)} against {percent(found.original.accuracy.mean)} (difference "
        f"{points(row.difference.mean)} points{f', {100 * row.difference.level:g} % interval {ends}' if ends else ''}; "
        f"p {p if p.startswith('<') else f'= {p}'}, {told})"
    )


def _counts(found: Conversion) -> str:
    equal, whole, single = (
        sum(getattr(one, key) for one in found.checks) for key in ("equal", "counts", "equal_float32")
    )
    verdict = "all are equal" if equal == whole else f"only {equal:,} are equal"
    return (
        f"The {whole:,} spike counts of {count_of(len(found.checks), 'waiting layer')} in {found.levels} steps were "
        f"compared with the levels of the activations: {verdict}; {whole - single:,} change where sums are float32."
    )


def _beside_direct(direct: Beside, chosen: ConvertedSteps) -> str:
    theirs, ours = (one.energy_nanojoule.get(_MODEL) for one in (direct, chosen))
    said = f"The network that was trained with spikes reaches {percent(direct.accuracy.mean)} in {direct.steps} steps"
    if not theirs or not ours:
        return f"{said}."
    return f"{said}; the converted one needs {ours / theirs:.2g} times its energy ({_MODEL})."


def _way(row: ConvertedSteps) -> str:
    return f"T = {row.steps}{f', waiting ({row.duration} steps in all)' if row.waits else ''}"


def _energy(nanojoule: float | None) -> str:
    return "–" if nanojoule is None else energy(nanojoule)


def _ends(one: Estimate) -> str:
    if one.low is None or one.high is None:
        return ""
    return f"{points(one.low)} to {points(one.high)}"


def _share(value: float) -> str:
    return percent(value).removesuffix(" %")


def _shares(one: Estimate) -> str:
    if one.low is None or one.high is None:
        return ""
    return f"{percent(one.low)} to {percent(one.high)}".replace(" %", "")

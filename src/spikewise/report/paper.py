"""The figures of one or several runs as a table for a paper: LaTeX, CSV or Markdown, one row a network."""

import csv
import io
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from spikewise.errors import unknown_choice
from spikewise.evaluation import Estimate, NetworkResult, PairComparison, Results
from spikewise.evaluation.units import energy_unit, latency_unit
from spikewise.evaluation.wording import aligned
from spikewise.report.front import energy_model, skipping_energy
from spikewise.report.numbers import NONE, interval, p_value, percent, points

__all__ = ["FORMATS", "PaperRow", "bibtex", "paper_numbers", "paper_rows", "paper_table"]

Number = str | int | float | bool | None


class PaperRow(NamedTuple):
    """One network of one run."""

    results: Results
    network: NetworkResult
    accuracy: Estimate | None
    difference: Estimate | None
    """Accuracy minus the spiking network's, on the same images; None for itself and where nobody compared."""
    p: float | None
    """Corrected, with the interval what `significant` goes by."""
    significant: bool | None
    """None: it was not compared, or one seed cannot tell."""
    energy: float | None
    """Nanojoules an image, by `model`."""
    skipping: float | None
    """The same where multiplications by zero are skipped."""
    model: str
    train_seconds: float | None
    """Of one seed."""
    images: str
    """Name of the image set, and of the run where another has the same images."""
    run: str
    """Name of the run; empty where it is not known."""


def paper_rows(runs: Sequence[Results], names: Sequence[str] = ()) -> list[PaperRow]:
    """Every network of every run, in their order; `names` of the runs tell apart those on the same images."""
    shown = Counter(results.data.name for results in runs)
    labels = [results.data.name for results in runs]
    if names:
        labels = [f"{label} ({name})" if shown[label] > 1 else label for label, name in zip(labels, names, strict=True)]
    return [
        _row(results, network)._replace(images=label, run=name)
        for results, label, name in zip(runs, labels, names or [""] * len(runs), strict=True)
        for network in results.networks
    ]


def paper_table(runs: Sequence[Results], format: str = "md", names: Sequence[str] = ()) -> str:
    """A table of runs: mean accuracy, interval, difference to the spiking network with its mark, and costs.

    Args:
        format: "latex" (needs the package booktabs), "csv" (plain numbers, all digits) or "md".
        names: Of the runs, as far as they are known; tables for people name runs on the same images by them, "csv" all.
    Raises:
        ConfigError: no such format.
    """
    if format not in FORMATS:
        raise unknown_choice("format", format, list(FORMATS))
    return FORMATS[format](paper_rows(runs, names))


def bibtex(results: Results) -> str:
    """How to cite the program that made a run."""
    return (
        "@software{spikewise,\n"
        "  author  = {{The Spikewise developers}},\n"
        "  title   = {Spikewise: is a spiking neural network worth it on these images?},\n"
        f"  version = {{{results.spikewise_version}}},\n"
        f"  year    = {{{results.created[:4]}}},\n"
        "  license = {MIT}\n"
        "}\n"
    )


def _row(results: Results, network: NetworkResult) -> PaperRow:
    model = energy_model(results) or ""
    pair, sign = _against_spiking(results, network)
    return PaperRow(
        results,
        network,
        network.metrics.get("accuracy"),
        None if pair is None else _turned(pair.difference, sign),
        None if pair is None else pair.deciding_p,
        None if pair is None else pair.significant,
        network.cost.energy_nanojoule.get(model),
        skipping_energy(network, model),
        model,
        network.train_seconds,
        results.data.name,
        "",
    )


def _against_spiking(results: Results, network: NetworkResult) -> tuple[PairComparison | None, int]:
    spiking = next((one.name for one in results.networks if one.role == "spiking"), None)
    for pair in results.comparisons:
        if spiking is not None and {pair.a, pair.b} == {spiking, network.name}:
            return pair, 1 if pair.a == network.name else -1
    return None, 1


def _turned(difference: Estimate, sign: int) -> Estimate:
    """a - b as b - a."""
    if sign > 0 or difference.low is None or difference.high is None:
        return difference.model_copy(update={"mean": sign * difference.mean})
    return difference.model_copy(update={"mean": -difference.mean, "low": -difference.high, "high": -difference.low})


_HEADER: Final = ("Images", "Network", "Seeds", "Accuracy, %", "Interval", "Difference", "p", "Energy", "Latency",
                  "Training, s")  # fmt: skip


def _cells(rows: Sequence[PaperRow]) -> list[tuple[str, ...]]:
    """All rows as text under `_HEADER`, energies and times in one unit."""
    joules = energy_unit([price for row in rows for price in (row.energy, row.skipping)])
    seconds = latency_unit([row.network.cost.latency_ms for row in rows])
    out: list[tuple[str, ...]] = []
    for row in rows:
        mark = "*" if row.significant else ""
        zeros = "" if row.skipping is None else f" ({joules.text(row.skipping)})"
        out.append(
            (
                row.images,
                row.network.name,
                f"{len(row.network.runs)}",
                percent(row.accuracy.mean if row.accuracy else None).removesuffix(" %"),
                (interval("accuracy", row.accuracy) if row.accuracy else "") or NONE,
                points(row.difference.mean) + mark if row.difference else NONE,
                p_value(row.p) if row.difference else NONE,
                joules.text(row.energy) + zeros,
                seconds.text(row.network.cost.latency_ms),
                NONE if row.train_seconds is None else aligned(row.train_seconds),
            )
        )
    return out


def _note(rows: Sequence[PaperRow]) -> str:
    levels = sorted({100 * row.accuracy.level for row in rows if row.accuracy})
    models = list(dict.fromkeys(row.model for row in rows if row.energy is not None))
    told = [f"Accuracy on the test images, mean over seeds, with {' and '.join(f'{x:g}' for x in levels)} % intervals."]
    told.append("Difference: to the spiking network of the same run, in percentage points; * significant.")
    if models:
        told.append(
            f"Energy of one image, computed by {', '.join(models)} (in brackets: multiplications by zero skipped)."
        )
    return " ".join(told)


def _markdown(rows: Sequence[PaperRow]) -> str:
    lines = [f"| {' | '.join(_HEADER)} |", "|---|---|" + "---:|" * (len(_HEADER) - 2)]
    lines += [f"| {' | '.join(_bars(cell) for cell in cells)} |" for cells in _cells(rows)]
    return "\n".join(lines) + f"\n\n{_note(rows)}\n"


def _bars(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("*", "\\*")


_LATEX: Final = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\u2212": "$-$", "\u00b5": r"$\mu$", "–": "--",
    "<": r"$<$", ">": r"$>$", "*": r"$^{*}$",
}  # fmt: skip


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in " ".join(text.split()))


def _latex(rows: Sequence[PaperRow]) -> str:
    lines = [
        "% \\usepackage{booktabs}",
        "\\begin{tabular}{ll" + "r" * (len(_HEADER) - 2) + "}",
        "\\toprule",
        " & ".join(_escaped(one) for one in _HEADER) + r" \\",
    ]
    for row, cells in zip(rows, _cells(rows), strict=True):
        begins = row.network is row.results.networks[0]
        lines += ["\\midrule"] if begins else []
        first = _escaped(cells[0]) if begins else ""
        lines.append(" & ".join([first, *map(_escaped, cells[1:])]) + r" \\")
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", f"% {' '.join(_note(rows).split())}"]) + "\n"


def _csv(rows: Sequence[PaperRow]) -> str:
    file = io.StringIO()
    table = [{key: _plain(value) for key, value in {"run": row.run, **paper_numbers(row)}.items()} for row in rows]
    writer = csv.DictWriter(file, list(table[0]) if table else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return file.getvalue()


def paper_numbers(row: PaperRow) -> dict[str, Number]:
    """A row as plain numbers in the units that the keys name; None where there is none."""
    accuracy, difference, cost = row.accuracy, row.difference, row.network.cost
    return {
        "images": row.results.data.name,
        "network": row.network.name,
        "role": row.network.role,
        "seeds": len(row.network.runs),
        "test_images": row.results.data.test.images,
        "accuracy_percent": _percent(accuracy, "mean"),
        "accuracy_low": _percent(accuracy, "low"),
        "accuracy_high": _percent(accuracy, "high"),
        "level": None if accuracy is None else accuracy.level,
        "difference_points": _percent(difference, "mean"),
        "difference_low": _percent(difference, "low"),
        "difference_high": _percent(difference, "high"),
        "p": row.p,
        "significant": row.significant,
        "energy_nj": row.energy,
        "energy_nj_zeros_skipped": row.skipping,
        "energy_model": row.model,
        "latency_ms": cost.latency_ms,
        "train_seconds": row.train_seconds,
        "parameters": row.network.parameters,
        "time_steps": row.network.steps,
        "created": row.results.created,
        "spikewise": row.results.spikewise_version,
    }


def _percent(estimate: Estimate | None, end: str) -> float | None:
    value = None if estimate is None else getattr(estimate, end)
    return None if value is None else 100 * value


def _plain(value: Number) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


FORMATS: Final[dict[str, Callable[[Sequence[PaperRow]], str]]] = {"latex": _latex, "csv": _csv, "md": _markdown}
"""What writes each format."""

"""The report: one HTML file that needs nothing else, made from a run's results and artifacts."""

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from os import PathLike
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from spikewise.evaluation import Results, units
from spikewise.files import must_take_files, write_text
from spikewise.report import front, numbers, paired, samples, tables
from spikewise.report.agreement import check_artifacts
from spikewise.report.artifacts import Artifacts
from spikewise.report.figures import write_figures
from spikewise.report.findings import findings, grounds, grounds_finding
from spikewise.report.glossary import GLOSSARY
from spikewise.report.notices import notices
from spikewise.report.paper_part import experiment_of, paper_part
from spikewise.report.shown import Shown, drawn
from spikewise.report.terms import explained, key_of
from spikewise.report.tuning import tuning_table
from spikewise.shell import named, word
from spikewise.viz import LIGHT, theme_css

__all__ = ["Report", "draw_figures", "page", "render", "write_report"]


def render(
    results: Results, artifacts: Artifacts | None = None, *, command: str | None = None, folder: Path | None = None
) -> str:
    """The report of one run as one HTML page that loads nothing.

    Args:
        artifacts: Images and traces; without them the page says that there are none.
        command: What to type to get the same run.
        folder: The run folder, for the arrays of its sections.
    """
    if artifacts is not None and not results.data.publishable:
        artifacts = artifacts.without_images()
    return _page(results, artifacts, drawn(results, artifacts, folder), command, folder)


def _page(results: Results, artifacts: Artifacts | None, shown: Shown, command: str | None, folder: Path | None) -> str:
    told = notices(results)
    traces = artifacts.traces if artifacts else None
    pairs = artifacts.disagreements if artifacts else None
    classes, run = results.data.classes, "RUN" if folder is None else named(folder)
    return page(
        "report.html.j2",
        r=results,
        artifacts=artifacts,
        command=command,
        urgent=[notice for notice in told if notice.level == "bad"],
        careful=[notice for notice in told if notice.level == "care"],
        table=front.front_table(results),
        picture=shown.picture,
        live=_live_page(folder),
        steps=front.next_steps(results, command, run, _source(folder)),
        findings=findings(results, artifacts),
        grounds=grounds(results, told),
        grounds_finding=grounds_finding(results),
        paper=paper_part(results, folder),
        run_name=run,
        metrics=tables.metric_table(results),
        costs=tables.cost_rows(results),
        forest=tables.forest(results.comparisons),
        paired=paired.details(results.comparisons, results.data.positive),
        alone=paired.runs_alone(results),
        thresholds=paired.thresholds(results),
        curves=shown.curves,
        confusions=shown.confusions,
        rates=shown.rates,
        cost_panel=shown.costs,
        grid=samples.grid_rows(artifacts, classes) if artifacts else [],
        traces=traces,
        samples=shown.samples,
        pairs=pairs,
        disputes=[] if pairs is None else samples.disputes(pairs, classes),
        views=shown.views,
        section_titles=[(one.key, one.title) for one in shown.views],
        glossary=GLOSSARY,
        tuning=tuning_table(results),
        engines=tables.engines,
    )


def _live_page(folder: Path | None) -> str | None:
    """The page on which a network of the run runs, as a relative address; of several the newest."""
    if folder is None:
        return None
    found = [path for path in folder.glob("exports/*-html/*.html") if path.name != "check.html"]
    newest = max(found, key=lambda path: path.stat().st_mtime, default=None)
    return None if newest is None else newest.relative_to(folder).as_posix()


def write_report(folder: str | PathLike[str], *, command: str | None = None) -> Path:
    """Write `report.html` and `figures/` of a run folder from its `results.json` and, if it is there, `artifacts.npz`.

    Args:
        command: What to type to get the same run; by default, to run the folder's `experiment.toml`.
    Raises:
        RunError: the results are missing, or one of the files is damaged.
        StorageError: the folder cannot be written, which is said before anything is drawn.
    """
    if Path(folder).is_dir():
        must_take_files(Path(folder))
    return Report(Path(folder)).write(command=command)


class Report:
    """The report of a run folder that is written now and then while sections are made: what stays is drawn once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._drawn: tuple[Results, bytes, Shown] | None = None

    def write(self, *, command: str | None = None) -> Path:
        """As `write_report` does."""
        folder = self._folder
        results, artifacts = _read(folder)
        shown = drawn(results, artifacts, folder, before=self._kept(results))
        self._drawn = results, _digest(folder / "artifacts.npz"), shown
        write_figures(folder / "figures", shown, results, artifacts)
        return _write_page(folder, results, artifacts, shown, command)

    def _kept(self, results: Results) -> Shown | None:
        """What was drawn last, if the networks, the images and what is shown of them are still the same."""
        if self._drawn is None:
            return None
        before, digest, shown = self._drawn
        alike = (before.networks, before.data) == (results.networks, results.data)
        return shown if alike and digest == _digest(self._folder / "artifacts.npz") else None


def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest() if path.exists() else b""


def draw_figures(
    folder: Path, formats: Sequence[str], *, width_mm: float | None = None, out: Path | None = None
) -> list[Path]:
    """Draw every figure of a run folder's report as files; return their paths.

    Args:
        formats: of "svg", "pdf", "png".
        width_mm: of every figure in millimetres; None is as drawn.
        out: where; None is `figures/` of the run folder, and then `report.html` is renewed to link to them.
    Raises:
        RunError: the results are missing, or one of the files is damaged.
    """
    where = folder / "figures" if out is None else out
    must_take_files(where if out is not None else folder)
    results, artifacts = _read(folder)
    shown = drawn(results, artifacts, folder)
    written = write_figures(where, shown, results, artifacts, formats=formats, width_mm=width_mm)
    if out is None:
        _write_page(folder, results, artifacts, shown, None)
    return written


def _read(folder: Path) -> tuple[Results, Artifacts | None]:
    """Results, and artifacts without images where these must not be shown."""
    results, stored = Results.load(folder / "results.json"), folder / "artifacts.npz"
    artifacts = Artifacts.load(stored) if stored.exists() else None
    if artifacts is not None:
        check_artifacts(stored, artifacts, results)
    if artifacts is not None and not results.data.publishable:
        artifacts = artifacts.without_images()
    return results, artifacts


def _write_page(folder: Path, results: Results, artifacts: Artifacts | None, shown: Shown, command: str | None) -> Path:
    if command is None and results.kind != "judge" and (folder / "experiment.toml").exists():
        command = f"spikewise {results.kind} --config {word(f'{named(folder)}/experiment.toml')}"
    write_text(folder / "report.html", _page(results, artifacts, shown, command, folder))
    return folder / "report.html"


def _source(folder: Path | None) -> str | None:
    """The images of a run, as a command names them."""
    experiment = None if folder is None else experiment_of(folder)
    source = (experiment or {}).get("data", {}).get("source")
    return source if isinstance(source, str) else None


def _asset(name: str) -> str:
    return resources.files("spikewise.report").joinpath("assets", name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FunctionLoader(_asset), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    for name in ("brief", "count", "duration", "interval", "metric_value", "p_value", "percent", "points"):
        made.filters[name] = getattr(numbers, name)
    made.filters |= {"energy": units.energy, "latency": units.latency, "bytes_of": units.bytes_of}
    made.filters |= {"with_code": _with_code, "explained": explained, "key_of": key_of, "word": word}
    made.filters["address"] = lambda link: quote(link, safe="/")  # a colon would allow other schemes
    return made


def _with_code(text: str) -> Markup:
    """What stands between backticks becomes code."""
    parts = [
        Markup("<code>{}</code>").format(part) if at % 2 else escape(part) for at, part in enumerate(text.split("`"))
    ]
    return Markup("").join(parts)


def page(template: str, **content: object) -> str:
    """A template of `assets/`, filled in, with the style and the script it may use."""
    script = _asset("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    style = "\n".join((theme_css(), _asset("report.css")))
    return (
        _environment()
        .get_template(template)
        .render(
            style=Markup(style),  # our own
            script=Markup(script),  # our own
            script_digest=digest,
            networks_known=len(LIGHT.series),
            **content,
        )
    )

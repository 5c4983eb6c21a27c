"""`data`: what image sets there are, what is in them, and getting them."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spikewise.cli import options as o
from spikewise.cli.console import print_json, print_rows

if TYPE_CHECKING:
    from spikewise.data import ImageSet
    from spikewise.experiments import Experiment

__all__ = ["register"]

commands = typer.Typer(no_args_is_help=True, help="List, describe, fetch, verify and show image sets.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="A known set.", show_default=False)]
Source = Annotated[str, typer.Argument(metavar="NAME|PATH", help="A known set, or a path.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(commands, name="data", rich_help_panel="Images")


@commands.command("list")
def list_sets(as_json: o.Json = False) -> None:
    """List the sets that can be asked for by name."""
    from spikewise.data.catalog import CATALOG

    if as_json:
        print_json([{"name": one.name, "title": one.title, "shape": one.shape, "images": list(one.counts),
                     "classes": len(one.classes), "licence": one.licence} for one in CATALOG.values()])  # fmt: skip
        return
    rows = [
        [
            one.name,
            one.shape,
            " + ".join(f"{n:,}" for n in one.counts if n),
            str(len(one.classes) or "by target"),
            one.licence,
        ]
        for one in CATALOG.values()
    ]
    print_rows(["name", "shape", "images", "classes", "licence"], rows, right=[3], whole=[0, 2, 3])


@commands.command()
def info(
    source: Source,
    settings: o.Settings = None,
    data_dir: o.DataDir = None,
    skip_bad: o.SkipBad = False,
    as_json: o.Json = False,
) -> None:
    """Describe a set: where it comes from, what is in it, and how it would be split."""
    from spikewise.data.catalog import CATALOG
    from spikewise.errors import MissingDataError

    known = CATALOG.get(source)
    rows: list[list[str]] = []
    if known is not None:
        rows += [["set", known.title], ["licence", known.licence], ["citation", known.citation]]
        rows += [["published", f"{known.shape}, images {' + '.join(f'{n:,}' for n in known.counts if n)}"]]
    # a known set that is not here can still be described; a path cannot
    with contextlib.suppress(MissingDataError) if known is not None else contextlib.nullcontext():
        rows += _content(source, settings, data_dir, skip_bad)
    if as_json:
        keys = dict.fromkeys(key for key, _ in rows)
        print_json({key: [value for name, value in rows if name == key] for key in keys})
    else:
        print_rows(["", ""], rows)


@commands.command()
def download(name: Name, data_dir: o.DataDir = None, quiet: o.Quiet = False) -> None:
    """Fetch a set, and check that it is what was published; an interrupted download goes on where it stopped."""
    from spikewise.data.downloads import download as fetch
    from spikewise.training.progress import display

    with display() as shown:
        folder = fetch(name, data_dir, None if quiet else shown.work)
    print(folder)


@commands.command()
def verify(name: Name, data_dir: o.DataDir = None, as_json: o.Json = False) -> None:
    """Compare the files of a set with the published checksums; exit code 1 if one is missing or wrong."""
    from spikewise.data.downloads import FileState
    from spikewise.data.downloads import verify as compare_files

    found = compare_files(name, data_dir)
    rows = [[one.name, str(one.verdict), str(one.path or "")] for one in found]
    if as_json:
        print_json([dict(zip(("file", "verdict", "path"), row, strict=True)) for row in rows])
    elif rows:
        print_rows(["file", "verdict", "path"], rows)
    else:
        print(f"{name} comes with the package; there are no files to verify.")
    if any(one.verdict in (FileState.MISSING, FileState.WRONG) for one in found):
        raise typer.Exit(1)


@commands.command()
def show(
    source: Source,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="PNG, SVG or PDF to write.")] = Path(
        "grid.png"
    ),
    settings: o.Settings = None,
    data_dir: o.DataDir = None,
    skip_bad: o.SkipBad = False,
) -> None:
    """Draw a few images of each class."""
    from spikewise.data.batching import sample_positions
    from spikewise.errors import DataError, unknown_choice
    from spikewise.viz import sample_grid, save_figure

    kinds = (".pdf", ".png", ".svg")
    if out.suffix.lower() not in kinds:
        raise unknown_choice("kind of figure", out.suffix or out.name, kinds)
    images, _ = _load(source, settings, data_dir, skip_bad)
    if not images.publishable:
        raise DataError(f"The images of {images.name} identify people and must not be shown; none was drawn.")
    chosen = sample_positions(images.labels, 8)
    save_figure(sample_grid(images.images[chosen], images.labels[chosen], images.classes), out)
    print(out)


def _load(
    source: str, settings: list[str] | None, data_dir: Path | None, skip_bad: bool
) -> tuple["ImageSet", "Experiment"]:
    from spikewise.cli.run import asked_experiment
    from spikewise.data import load_data
    from spikewise.training.progress import display

    experiment = asked_experiment(o.Request(source, None, None, settings, None, None, None, skip_bad))
    with display() as shown:
        return load_data(experiment.data, data_dir=data_dir, progress=shown.work), experiment


def _content(source: str, settings: list[str] | None, data_dir: Path | None, skip_bad: bool) -> list[list[str]]:
    """What stands in the files."""
    from spikewise.data import part_overlap, split

    images, experiment = _load(source, settings, data_dir, skip_bad)
    parts = split(images, experiment.split)
    leaks = part_overlap(images, parts)
    rows = [
        ["images", f"{len(images):,} of {'x'.join(map(str, images.image_shape))} (channels, height, width)"],
        ["subjects", _subjects(images)],
        *_positive(images),
        ["split", ", ".join(f"{name} {len(part):,}" for name, part in parts._asdict().items())],
        ["leaks", leaks.describe()],
        *(["pixels", caution] for caution in images.cautions),
        *(["names", caution] for caution in images.from_names),
        *(["note", note] for note in images.notes if note not in (*images.cautions, *images.from_names)),
    ]
    for label, name in enumerate(images.classes):
        counts = [f"{part} {int((images.labels[index] == label).sum()):,}" for part, index in parts._asdict().items()]
        rows.append([f"class {name}", ", ".join(counts)])
    return rows


def _subjects(images: "ImageSet") -> str:
    """How many there are, and how they were told."""
    if images.groups is None:
        return "not known"
    rule = images.subjects_rule
    count = f"{len(set(images.groups.tolist())):,}"
    return count if rule is None else f"{count}, told by {rule.words} ({rule.trust})"


def _positive(images: "ImageSet") -> list[list[str]]:
    """The class that sensitivity is about, where there are two."""
    if len(images.classes) != 2:
        return []
    return [["positive", f"{images.classes[images.positive]} ({images.positive_why})"]]

"""`predict`: images classified by a network of a run, as a table, CSV or JSON."""

import csv
import io
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from spikewise.cli import options as o
from spikewise.cli.console import print_json, print_rows, say

if TYPE_CHECKING:
    from spikewise.api import IncomingImage, Trained

__all__ = ["register"]

_FORMATS: Final = ("table", "csv", "jsonl")
_FEW: Final = 20
"""Images up to which a table is read; more are rather counted."""
_AT_ONCE: Final = 256
"""Images that are held in memory together."""
Record = dict[str, Any]  # JSON
Named = Sequence[tuple[str, "Path | bytes"]]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="Use a run")(predict)


def predict(  # noqa: PLR0913  # one parameter for each option
    run: o.RunPath,
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE...", help="Image files, folders of them, or - for one on standard input.", show_default=False
        ),
    ],
    *,
    network: o.NetworkName = "snn",
    seed: o.Seed = None,
    top: Annotated[int, typer.Option("--top", "-k", min=1, help="How many classes to name, the likeliest first.")] = 1,
    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            "-f",
            metavar="table|csv|jsonl",
            help="How the answers are written; a file named .jsonl is jsonl.",
            show_default="table, or csv for many or with --out",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Write the answers there.", show_default="standard output"),
    ] = None,
    evidence: Annotated[
        bool, typer.Option("--evidence", help="With jsonl: how the evidence grew, and the spikes that were sent.")
    ] = False,
    white: Annotated[
        float | None,
        typer.Option(
            "--white",
            metavar="NUMBER",
            help="The number that is white in these images, such as 4095 for 12 bits.",
            show_default="as in the run's images",
        ),
    ] = None,
    skip_bad: o.SkipBad = False,
    device: o.Device = None,
    threads: o.Threads = None,
    as_json: o.Json = False,
) -> None:
    """Classify images with a network of a run; they are resized, greyed and scaled as the run's images were.

    Images unlike those that the network learned from are named: far brighter, darker or flatter, of other colours, or
    far from every training image.
    """
    from spikewise.api import load
    from spikewise.cli.images import named_sources
    from spikewise.cli.machine import use_threads
    from spikewise.files import must_take_file

    use_threads(threads)
    if out is not None:
        must_take_file(out)
    model = load(run, network or "snn", seed, device=device or "auto")
    found = named_sources(images, sys.stdin.buffer)
    kind = _format("jsonl" if as_json and format is None else format, out, len(found), evidence or as_json)
    told = _Told()
    records = list(_records(model, found, skip_bad, white, told, evidence=evidence or as_json))
    _say_unlike(records)
    _say_learned(told.learned, len(records))
    if not as_json:
        _say_network(run, model)
    if as_json and out is None:
        print_json(records)
        return
    _show(records, kind, min(top, len(model.classes)), out)


def _format(asked: str | None, out: Path | None, images: int, evidence: bool) -> str:
    """What was asked for; else what the file's name says, or what can be read."""
    from spikewise.errors import ConfigError, unknown_choice

    if asked is not None and asked not in _FORMATS:
        raise unknown_choice("format", asked, list(_FORMATS))
    named = "jsonl" if out is not None and out.suffix.lower() in (".jsonl", ".ndjson") else "csv"
    default = "jsonl" if evidence else ("table" if out is None and images <= _FEW else named)
    kind = asked or default
    if evidence and kind != "jsonl":
        raise ConfigError(f"Evidence is a list for each class, and has no place in a {kind}: give --format jsonl.")
    return kind


@dataclass
class _Told:
    """What is to be said of all images together."""

    learned: int = 0
    """Images that the network learned from."""


def _records(  # the last two say what else is wanted
    model: "Trained", found: Named, skip_bad: bool, white: float | None, told: _Told, *, evidence: bool
) -> Iterator[Record]:
    """One for each image that can be decoded; what cannot is an error, or left out and listed."""
    import numpy as np

    from spikewise.api import answer_records
    from spikewise.errors import DataError

    answered = 0
    for at in range(0, len(found), _AT_ONCE):
        images = _decoded(model, found[at : at + _AT_ONCE], skip_bad, white)
        answered += len(images)
        if images:
            told.learned += sum(model.learned_from(np.stack([image.pixels for image in images])))
        yield from answer_records(model, images, evidence=evidence)
    if found and not answered:
        raise DataError(f"None of the {len(found)} images can be decoded.")


def _decoded(model: "Trained", found: Named, skip_bad: bool, white: float | None) -> "list[IncomingImage]":
    from spikewise.api import incoming
    from spikewise.errors import DataError, MissingDataError

    images = []
    for name, source in found:
        try:
            images.append(incoming(model, name, source, white))
        except DataError as error:
            if not skip_bad and isinstance(error, MissingDataError):
                raise MissingDataError(f"{error} Check the path.") from None
            if not skip_bad:
                raise DataError(f"{error} Repair or remove it, or leave such files out with --skip-bad.") from None
            say(f"left out: {error}")
    return images


def _say_unlike(records: list[Record]) -> None:
    """On standard error: answers about images of another kind are worth little."""
    odd = [record for record in records if record["unlike"] is not None]
    for record in odd[:3]:
        say(f"{record['image']} {record['unlike']}.")
    if odd:
        verb = "is" if len(odd) == 1 else "are"
        which = "It is" if len(records) == 1 else f"{len(odd):,} of {len(records):,} images {verb}"
        say(f"{which} unlike what the network learned from: do not trust the answer, whatever the probability.")


def _say_learned(learned: int, images: int) -> None:
    """On standard error: answers about images that the network knows say nothing of others."""
    if learned:
        some = "image is one" if learned == 1 else "images are ones"
        which = "It is one" if images == 1 else f"{learned:,} of {images:,} {some}"
        say(f"{which} that this run learned from, pixel for pixel: what is answered there says nothing of others.")


def _say_network(run: Path, model: "Trained") -> None:
    """On standard error: which network answered, and which others could."""
    from spikewise.api import networks_of

    others = [name for name in networks_of(run) if name != model.name]
    which = f"; --network {' or '.join(others)} asks another" if others else ""
    say(f"Answered by {model.name}, seed {model.seed}{which}.")


def _show(records: list[Record], kind: str, top: int, out: Path | None) -> None:
    from spikewise.files import write_text

    if kind == "table" and out is None:
        header = ["image", *(word for at in range(top) for word in _columns(at))]
        rows = [
            [one["image"], *(word for label, p in _best(one, top) for word in (label, f"{100 * p:.1f} %"))]
            for one in records
        ]
        print_rows(header, rows, right=range(2, len(header), 2))
        return
    text = _jsonl(records) if kind == "jsonl" else _csv(records, top)
    if out is None:
        sys.stdout.write(text)
        return
    write_text(out, text)
    print(out)


def _best(record: Record, top: int) -> list[tuple[str, float]]:
    """The likeliest classes; equals in the order of the classes, the answer first."""
    ranked = sorted(record["probabilities"].items(), key=lambda one: (-one[1], one[0] != record["label"]))
    return ranked[:top]


def _columns(at: int) -> tuple[str, str]:
    return ("label", "probability") if at == 0 else (f"label_{at + 1}", f"probability_{at + 1}")


def _csv(records: list[Record], top: int) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["image", *(word for at in range(top) for word in _columns(at)), "unlike"])
    for one in records:
        answers = [word for label, p in _best(one, top) for word in (label, f"{p:.6g}")]
        writer.writerow([one["image"], *answers, one["unlike"] or ""])
    return file.getvalue()


def _jsonl(records: list[Record]) -> str:
    return "".join(json.dumps(record, allow_nan=False) + "\n" for record in records)

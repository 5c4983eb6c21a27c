"""`audit`: what would flatter a result on a set, before anything is trained."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spikewise.cli import options as o
from spikewise.cli.console import print_json, print_places, print_rows, print_text

if TYPE_CHECKING:
    from spikewise.data.audit import Audit, AuditFinding
    from spikewise.data.split_file import SplitFile

__all__ = ["register"]

_STYLES = {"red": "bold red", "amber": "bold yellow", "info": "bold"}


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="Images")(audit)


def audit(  # noqa: PLR0913  # one parameter for each option
    data: o.Data = None,
    *,
    preset: o.Preset = None,
    config: o.Config = None,
    settings: o.Settings = None,
    data_dir: o.DataDir = None,
    fix: Annotated[
        Path | None,
        typer.Option(
            "--fix",
            metavar="FILE",
            help="Write a split without the leaks; --set split.file=FILE uses it.",
            show_default=False,
            rich_help_panel="Output",
        ),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(
            "--html", metavar="FILE", help="Write the audit as a page.", show_default=False, rich_help_panel="Output"
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="End with exit code 1 if a finding is grave.", rich_help_panel="Output")
    ] = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Look for leaks, shortcuts and damage in a set and its split, and say what to do about them.

    Nothing is trained. Files that cannot be decoded are left out and listed. The second audit of the same images is
    read from the cache.
    """
    from spikewise.api.auditing import open_audit
    from spikewise.cli.run import asked_experiment
    from spikewise.training.progress import display

    experiment = asked_experiment(o.Request(data, preset, config, settings, None, None, None, False))
    with contextlib.nullcontext() if quiet else display() as shown:
        tell = None if shown is None else shown.work
        opened = open_audit(experiment, data_dir=data_dir, progress=tell)
        found = opened.audit(tell)
        mended = None if fix is None else opened.clean_split()
    if fix is not None and mended is not None:
        mended.save(fix)
    if page is not None:
        from spikewise.report.audit_page import write_audit_page

        write_audit_page(found, page)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        _print(found, fix, mended, page)
    if check and found.count("red"):
        raise typer.Exit(1)


def _print(found: "Audit", fix: Path | None, mended: "SplitFile | None", page: Path | None) -> None:
    from spikewise.data.audit import HEADINGS, SEVERITIES, advice

    print_text(found.verdict, style="bold red" if found.count("red") else "bold")
    for severity in SEVERITIES:
        findings = [one for one in found.findings if one.severity == severity]
        if findings:
            print()
            print_text(HEADINGS[severity], style=_STYLES[severity])
        for one in findings:
            _print_finding(one)
    remedies = advice(found)
    if remedies:
        print()
        print_text("What to do", style="bold")
    for number, remedy in enumerate(remedies, 1):
        print_text(f"{number}. {remedy}", indent=2)
    print()
    parts = "" if found.parts is None else ", ".join(f"{name} {count:,}" for name, count in found.parts.items())
    rows = [["set", f"{found.name}, {found.images:,} images"], ["split", parts]]
    rows.append(["subjects", "not known" if found.subjects is None else f"{found.subjects:,}"])
    if mended is not None:
        rows.append(["clean split", f"{fix}: {mended.describe()}"])
    print_rows(["", ""], rows)
    if page is not None:
        print_places([("page", page)])


def _print_finding(finding: "AuditFinding") -> None:
    from spikewise.data.audit import examples

    print_text(finding.title, indent=2)
    if finding.severity == "info":
        return
    print_text(finding.effect, style="dim", indent=6)
    for line in examples(finding):
        print_text(line, style="dim", indent=6)

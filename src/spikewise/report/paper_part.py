"""What the page offers to who writes a paper: tables to take along, methods, BibTeX, and where the figures lie."""

import base64
from pathlib import Path
from typing import Final, NamedTuple

from spikewise.evaluation import Results
from spikewise.reading import read_json
from spikewise.report.methods import Table, methods
from spikewise.report.paper import FORMATS, bibtex, paper_table

__all__ = ["PaperPart", "experiment_of", "paper_part"]

_SUFFIXES: Final = {"latex": "tex", "csv": "csv", "md": "md"}
_FIGURES: Final = (".pdf", ".png", ".svg", ".gif")


class PaperPart(NamedTuple):
    """What the template reads."""

    tables: tuple[tuple[str, str], ...]
    """Names of files and their content as `data:` addresses."""
    latex: str
    methods: str
    bibtex: str
    figures: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    """Names of figures, and of each the kinds of file with their addresses relative to the page."""


def paper_part(results: Results, folder: Path | None) -> PaperPart:
    """Of one run; without its folder there are no figures to link to, and the methods know less."""
    written = {name: paper_table([results], name) for name in FORMATS}
    tables = tuple((f"table.{_SUFFIXES[name]}", _address(text)) for name, text in written.items())
    told = methods(results, None if folder is None else experiment_of(folder))
    return PaperPart(tables, written["latex"], told, bibtex(results), () if folder is None else _figures(folder))


def experiment_of(folder: Path) -> Table | None:
    """The resolved experiment that a run folder holds; None where it holds none.

    Raises:
        RunError: the file is damaged.
    """
    if not (folder / "run.json").exists():
        return None
    content = read_json(folder / "run.json")
    found = content.get("experiment") if isinstance(content, dict) else None
    return found if isinstance(found, dict) else None


def _figures(folder: Path) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    files: dict[str, list[tuple[str, str]]] = {}
    where = folder / "figures"
    for path in sorted(where.iterdir()) if where.is_dir() else ():
        if path.suffix in _FIGURES:
            files.setdefault(path.stem, []).append((path.suffix.removeprefix(".").upper(), f"figures/{path.name}"))
    return tuple((name, tuple(found)) for name, found in files.items())


def _address(text: str) -> str:
    return f"data:text/plain;charset=utf-8;base64,{base64.b64encode(text.encode()).decode('ascii')}"

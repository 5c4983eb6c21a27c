"""What is said below the figures of a section: what it was made with less of, and what it changes in the answer."""

from pathlib import Path
from typing import TYPE_CHECKING

from spikewise.cli.console import print_text

if TYPE_CHECKING:
    from spikewise.evaluation.sections import SectionName

__all__ = ["answer_of", "print_less"]


def answer_of(run: Path) -> str:
    """The answer of a run as it stands; empty where there is none yet."""
    from spikewise.api.sections import answer_of as found

    return found(run)


def print_less(run: Path, name: "SectionName", before: str | None = None) -> None:
    """Say both; nothing where the figures are of all seeds, networks and images and the answer is what it was.

    Args:
        before: the answer before the section was made; None where no section changes it.
    """
    from spikewise.api.sections import less_than_usual

    told = less_than_usual(run, name)
    if told:
        print()
        print_text(told)
    now = answer_of(run)
    if before and now != before:
        print()
        print_text(f"With these figures the answer of the run is: {now}", style="bold")
        print_text(f"It was: {before}")

"""What a section that is shown was made with less of, where time was short."""

from pathlib import Path
from typing import TYPE_CHECKING

from spikewise.cli.console import print_text

if TYPE_CHECKING:
    from spikewise.evaluation.sections import SectionName

__all__ = ["print_less"]


def print_less(run: Path, name: "SectionName") -> None:
    """Say it below the section's figures; nothing where they are of all seeds, networks and images."""
    from spikewise.api.sections import less_than_usual

    told = less_than_usual(run, name)
    if told:
        print()
        print_text(told)

"""`Sweep`: a file that names a base experiment and the factors to vary, and what is claimed about them."""

from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from spikewise.config import Config, parse
from spikewise.errors import ConfigError, unknown_choice
from spikewise.executors import executor_from
from spikewise.experiments.request import preset_names
from spikewise.experiments.settings import read_table
from spikewise.report.numbers import METRICS

__all__ = ["Claim", "Sweep", "load_sweep", "parse_sweep", "sweep_names"]

_FOLDER = "sweeps"


class Claim(Config):
    """A published statement about a factor, to be answered by the measured difference."""

    statement: str
    """What was published, in its own words."""
    factor: str
    """The factor it is about, or "network"."""
    levels: tuple[str, str]
    """What is claimed about, and what it is compared with: measured is the first minus the second."""
    by: str | None = "as_published"
    """Answer also within each level of this factor, where the grid has it."""


class Sweep(Config):
    """A grid of experiments: a base, settings that hold for all, and factors whose levels are combined."""

    title: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Part of the folder's name: letters, digits, dots, dashes."""
    about: str = ""
    preset: str | None = None
    """The preset that the cells start from."""
    base: dict[str, Any] = Field(default_factory=dict)
    """Or the table of an experiment, written out."""
    kind: Literal["train", "compare"] = "train"
    """"train" the network alone, or "compare" all the candidates of the experiment."""
    metric: str = "accuracy"
    """The metric of choice, figures and effects."""
    against: Literal["level", "parameters"] = "level"
    """What the curves of numeric factors are drawn against."""
    as_published: bool = False
    """All cells with the defects of the published code; as a factor: `as_published = [true, false]` in the grid."""
    set: dict[str, Any] = Field(default_factory=dict)
    """Settings of all cells."""
    grid: dict[str, Any]
    """Factors: a setting's key, or a name whose levels are tables of settings, with the list of levels."""
    claims: tuple[Claim, ...] = ()
    executor: dict[str, Any] = Field(default_factory=dict)
    """What runs the cells, and what each needs there: kind = "local", "ray" or "slurm". Changes nothing about them."""

    def model_post_init(self, context: object) -> None:
        """Check what does not need the grid to be read."""
        del context
        if bool(self.preset) == bool(self.base):
            raise ConfigError("A sweep starts from a preset or from a [base] table; give one of the two.")
        if self.preset and self.preset not in preset_names():
            raise unknown_choice("preset", self.preset, preset_names())
        if self.executor:
            executor_from(self.executor)
        if self.metric not in METRICS:
            raise unknown_choice("metric", self.metric, METRICS)
        if not self.grid:
            raise ConfigError(
                "The grid is empty: give [grid] at least one factor, such as model.recurrent = [true, false]."
            )


def sweep_names() -> tuple[str, ...]:
    """Names of the sweeps that come with the package."""
    folder = resources.files("spikewise.experiments") / _FOLDER
    return tuple(sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml")))


def load_sweep(name: str) -> Sweep:
    """A sweep of the package by its name, or a file by its path.

    Raises:
        ConfigError: there is no such sweep, or the file is wrong; the message says what and where.
    """
    if name.endswith(".toml") or "/" in name:
        return _of_file(Path(name))
    if name not in sweep_names():
        raise unknown_choice("sweep", name, sweep_names())
    with resources.as_file(resources.files("spikewise.experiments") / _FOLDER / f"{name}.toml") as path:
        return _of_file(path)


def parse_sweep(table: dict[str, Any]) -> Sweep:
    """The sweep that a table describes; raises ConfigError naming what is wrong."""
    return parse(Sweep, table)


def _of_file(path: Path) -> Sweep:
    table = read_table(path)
    try:
        return parse_sweep({"title": path.stem, **table})
    except ConfigError as error:
        raise ConfigError(f"The sweep {path} is wrong. {error}") from None

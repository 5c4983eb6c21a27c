"""`cost`: what the networks of a finished run cost, by every energy model, with constants and sources."""

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Final

from spikewise.api.runs import Run
from spikewise.errors import RunError, unknown_choice
from spikewise.evaluation import Cost, Results
from spikewise.evaluation.cost import ENERGY_MODELS, EnergyModel
from spikewise.experiments import RunFolder
from spikewise.report.numbers import NONE
from spikewise.report.tables import cost_rows

__all__ = ["Costs", "cost"]

_SHORT: Final = len("share of all")
"""A remark of so many letters stands behind the name of its figure, a longer one below the table."""


@dataclass(frozen=True, repr=False)
class Costs:
    """What each network of a run costs; printed, it is a table."""

    results: Results
    models: tuple[EnergyModel, ...]
    """The energy models shown."""

    @property
    def networks(self) -> Mapping[str, Cost]:
        """The cost of each network, by its name."""
        return {network.name: network.cost for network in self.results.networks}

    def rows(self) -> list[list[str]]:
        """A header and a row for each figure, one column for each network; [1] behind a figure's name is a remark."""
        marks = {remark: f" [{at}]" for at, remark in enumerate(self.remarks(), 1)}
        rows = [["", *self.networks]]
        for row in cost_rows(self.results, models=[model.name for model in self.models]):
            told = marks.get(row.hint) or (f", {row.hint}" if row.hint else "")
            rows.append([row.label + told, *(cell.value for cell in row.cells)])
            for name in dict.fromkeys(name for cell in row.cells for name, _ in cell.further):
                rows.append([f"  {name}", *(dict(cell.further).get(name, NONE) for cell in row.cells)])
        return rows

    def remarks(self) -> list[str]:
        """What holds of figures and is too long for their names, in the order of the marks: [1], [2]."""
        rows = cost_rows(self.results, models=[model.name for model in self.models])
        return list(dict.fromkeys(row.hint for row in rows if len(row.hint) > _SHORT))

    def notes(self) -> list[list[str]]:
        """For each energy model: its name, constants, source and assumptions."""
        return [
            [
                model.name,
                ", ".join(f"{name} {value:g} pJ" for name, value in model.constants.items()),
                model.source,
                model.assumptions,
            ]
            for model in self.models
        ]

    def table(self) -> dict[str, Any]:  # JSON
        """All of it as plain data."""
        models = {model.name: {**model._asdict(), "constants": dict(model.constants)} for model in self.models}
        for model in models.values():
            del model["name"], model["price"]
        return {
            "networks": {name: cost.model_dump(mode="json") for name, cost in self.networks.items()},
            "models": models,
        }

    def __repr__(self) -> str:
        rows = self.rows()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        lines += ["", *(f"[{at}] {remark}" for at, remark in enumerate(self.remarks(), 1))]
        for name, constants, source, assumptions in self.notes():
            lines += ["", name, f"  constants  {constants}", f"  source     {source}", f"  assumes    {assumptions}"]
        return "\n".join(lines)


def cost(run: str | PathLike[str], model: str | None = None) -> Costs:
    """What the networks of a finished run cost per image: counted, computed and measured.

    Args:
        run: A run, or its folder.
        model: Name of one energy model; None is all.
    Raises:
        RunError: no finished run, or one from before the model was there.
        ConfigError: no such model.
    """
    results = run.results if isinstance(run, Run) else Results.load(RunFolder.open(Path(run)).results)
    named = {known.name.casefold(): known for known in ENERGY_MODELS}
    if model is None:
        return Costs(results, ENERGY_MODELS)
    chosen = named.get(model.casefold())
    if chosen is None:
        raise unknown_choice("energy model", model, [known.name for known in ENERGY_MODELS])
    if not any(chosen.name in network.cost.energy_nanojoule for network in results.networks):
        raise RunError(
            f"No network of this run has a figure by the model '{chosen.name}': {chosen.assumptions}. "
            "Leave out --model to see the figures it has."
        )
    return Costs(results, (chosen,))

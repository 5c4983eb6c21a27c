"""The page of several runs: the answer of each, one picture, one table; the rest folded."""

from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from spikewise import viz
from spikewise.evaluation import Estimate, NetworkResult, Results
from spikewise.evaluation.answer import ANSWER_WORDS
from spikewise.evaluation.wording import count_of
from spikewise.report.front import FrontTable, energy_model, front_table
from spikewise.report.glossary import GLOSSARY
from spikewise.report.names import title
from spikewise.report.numbers import NONE, count
from spikewise.report.paper import paper_rows, paper_table
from spikewise.report.pictures import PicturePanel
from spikewise.report.rendering import page
from spikewise.shell import word

__all__ = ["Linked", "render_many"]


_NAMED: Final = 3
"""Runs that the headline names one by one, at most."""


class Linked(NamedTuple):
    """A run in a table of several: its results, and where its own report is, if it has one."""

    results: Results
    name: str
    link: str | None = None
    """Relative address of its report."""


class _Block(NamedTuple):
    """A run on the page."""

    run: Linked
    title: str
    """Its image set, and its own name where another run is of the same set."""
    badge: str
    table: FrontTable


class _Setting(NamedTuple):
    """One thing that runs had in common, or had not."""

    name: str
    values: tuple[str, ...]
    """One for all, or one for each run."""


def render_many(runs: Sequence[Results | Linked]) -> str:
    """A page with the answer of each run and a row for each of its networks, ordered by image set."""
    linked = [run if isinstance(run, Linked) else Linked(run, run.data.name) for run in runs]
    linked.sort(key=lambda run: run.results.data.name)
    rows = [(run, network) for run in linked for network in run.results.networks]
    rows.sort(key=lambda row: (row[0].results.data.name, -_accuracy(row[1]), row[1].name))
    blocks = [_block(run, linked) for run in linked]
    settings = _settings(linked)
    results = [run.results for run in linked]
    return page(
        "many.html.j2",
        blocks=blocks,
        headline=_headline(blocks),
        sets=len({run.results.data.name for run in linked}),
        picture=_picture(blocks),
        rows=rows,
        alike=[one for one in settings if len(one.values) == 1],
        unlike=[one for one in settings if len(one.values) > 1],
        latex=paper_table(results, "latex", [run.name.rpartition("/")[2] for run in linked]),
        command=f"spikewise table {' '.join(word(run.name) for run in linked)} --format latex",
        glossary=GLOSSARY,
    )


def _accuracy(network: NetworkResult) -> float:
    return network.metrics["accuracy"].mean if "accuracy" in network.metrics else -1.0


def _block(run: Linked, among: Sequence[Linked]) -> _Block:
    same = sum(other.results.data.name == run.results.data.name for other in among)
    name = run.results.data.name if same == 1 else f"{run.results.data.name}, {run.name}"
    answer = run.results.verdict.answer
    return _Block(run, name, ANSWER_WORDS[answer] if answer else "", front_table(run.results))


def _headline(blocks: Sequence[_Block]) -> str:
    """The answer of each run where they are few, else how many runs answered what, the most frequent first."""
    found = Counter(block.badge for block in blocks if block.badge)
    runs = f"{count(len(blocks))} run{'s' * (len(blocks) != 1)}"
    if not found:
        return f"{runs}, side by side"
    if len(found) == 1 and len(blocks) > 1:
        return f"Worth it? In {'both runs' if len(blocks) == 2 else f'all {runs}'}: {next(iter(found))}."
    if len(blocks) <= _NAMED:
        return "Worth it? " + "; ".join(f"{block.title}: {block.badge or 'not said'}" for block in blocks) + "."
    told = ", ".join(f"{answer} in {times}" for answer, times in found.most_common())
    return f"Worth it? Of {runs}: {told}."


def _picture(blocks: Sequence[_Block]) -> PicturePanel | None:
    """What spikes gain against what they cost; None where no run has a price for both sides."""
    gains: list[viz.Gain] = []
    models: dict[str, None] = {}
    for block in blocks:
        results = block.run.results
        spiking = next((one for one in results.networks if one.role == "spiking"), None)
        model = energy_model(results)
        own = None if spiking is None or model is None else spiking.cost.energy_nanojoule.get(model)
        for row in paper_rows([results]):
            if own and row.energy and row.difference is not None and row.network is not spiking:
                models.setdefault(row.model)
                gains.append(_gain(block.title, row.network, own / row.energy, row.difference))
    if not gains:
        return None
    told = (
        f"Energy by {', '.join(models)}. Bars: intervals of the difference. Above the dashed line spikes answer more "
    )
    return PicturePanel(
        "several", viz.gain_against_cost(gains), told + "images right, left of the upright one they cost less."
    )


def _gain(run: str, network: NetworkResult, ratio: float, difference: Estimate) -> viz.Gain:
    """`difference` is the opponent's accuracy minus the spiking network's."""
    low, high = (None if end is None else -100 * end for end in (difference.high, difference.low))
    name = title(network)
    return viz.Gain(run, name[:1].lower() + name[1:], ratio, -100 * difference.mean, low, high)


def _settings(runs: Sequence[Linked]) -> list[_Setting]:
    """Of protocol and machine, what a comparison between runs must know."""
    told = {
        "Date": [run.results.created[:10] for run in runs],
        "Spikewise": [run.results.spikewise_version for run in runs],
        "Machine": [
            f"{count_of(run.results.environment.cores, 'core')} of {run.results.environment.cpu}" for run in runs
        ],
        "Seeds": [count(len(run.results.protocol.seeds)) for run in runs],
        "Epochs, at most": [count(run.results.protocol.epochs) for run in runs],
        "Batch": [count(run.results.protocol.batch_size) for run in runs],
        "Training images": [count(run.results.data.train.images) for run in runs],
        "Test images": [count(run.results.data.test.images) for run in runs],
        "Images": [" x ".join(map(str, run.results.data.image_shape)) for run in runs],
        "Energy model": [energy_model(run.results) or NONE for run in runs],
    }
    return [_Setting(name, tuple(values[:1] if len(set(values)) == 1 else values)) for name, values in told.items()]

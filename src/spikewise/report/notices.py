"""What a reader must know before believing the figures."""

from typing import Literal, NamedTuple

from spikewise.evaluation import DataFacts, Results
from spikewise.evaluation.reservations import (
    chance_sentences,
    collapse_sentences,
    serious_findings,
    subjects_told,
    tie_sentences,
)
from spikewise.evaluation.wording import count_of

__all__ = ["Notice", "notices"]


class Notice(NamedTuple):
    """A warning; `bad` ones make the figures wrong, `care` ones make them less certain."""

    level: Literal["bad", "care"]
    title: str
    text: str


def notices(results: Results) -> list[Notice]:
    """Every reservation that the results themselves give reason for, the worst first."""
    found = [*_learned_nothing(results), *_leaks(results), *_protocol(results), *_training(results)]
    return sorted(found, key=lambda notice: notice.level != "bad")


def _learned_nothing(results: Results) -> list[Notice]:
    """Networks at chance, trainings that collapsed, what the diagnosis calls serious, silent outputs."""
    networks, data = results.networks, results.data
    groups = (
        ("bad", "Not better than guessing", chance_sentences(networks, data)),
        ("bad", "Trainings that learned nothing", collapse_sentences(networks, data, results.without_collapsed)),
        ("bad", "A serious fault", serious_findings(results.sections)),
        ("care", "Silent outputs", tie_sentences(networks)[1]),
    )
    return [Notice(level, title, text) for level, title, texts in groups for text in texts]  # type: ignore[arg-type]  # of a literal


def _leaks(results: Results) -> list[Notice]:
    data, leaks = results.data, results.data.overlap
    out = []
    effect = (
        "which can flatter every accuracy" if leaks.reaches_test else "none in the test part, so only choices suffer"
    )
    for number, one, many in (
        (leaks.duplicates, "group of identical images lies", "groups of identical images lie"),
        (leaks.near_duplicates, "group of nearly identical images lies", "groups of nearly identical images lie"),
    ):
        if number:
            text = f"{number:,} {one if number == 1 else many} in more than one part; {effect}."
            out.append(Notice("bad", "The split leaks", text))
    return [*out, *_subjects(data, effect)]


def _subjects(data: DataFacts, effect: str) -> list[Notice]:
    """Subjects in more than one part; where these are doubtful, so is the leak."""
    number, doubtful, told = data.overlap.subjects, data.subjects_trust == "doubtful", subjects_told(data)
    if number:
        text = f"{number:,} {'subject occurs' if number == 1 else 'subjects occur'} in more than one part; {effect}"
        if doubtful:
            return [Notice("care", "The split may leak", f"{text} if they are subjects.{told}")]
        return [Notice("bad", "The split leaks", f"{text}.{told}")]
    if data.subjects is not None and not data.grouped:
        known = "Subjects were read from file names" if doubtful else "Subjects are known"
        text = f"{known}, but the split was not asked to keep their images together.{told}"
        return [Notice("care", "Subjects were not kept apart", text)]
    return []


def _protocol(results: Results) -> list[Notice]:
    out = []
    runs = sum(len(network.runs) for network in results.networks)
    opened = results.protocol.test_opened
    if opened > runs:
        text = (
            f"{opened} times for {runs} runs. What is chosen on test images no longer tells how new images will fare."
        )
        out.append(Notice("bad", "The test set was opened more than once a run", text))
    if results.protocol.opened_elsewhere:
        text = (
            f"{count_of(results.protocol.opened_elsewhere, 'time')}, in the run folders beside this one, first looks "
            "included. Settings that were chosen by what was seen there flatter these figures; running again does not."
        )
        out.append(Notice("care", "Test images of this set were opened in other runs, too", text))
    told = [f"{name}: {words}" for part in (results.sections.less, results.sections.skipped)
            for name, words in part.items()]  # fmt: skip
    if told:
        text = (
            f"Sections take at most a quarter of the training's time; --thorough makes them whole. {'. '.join(told)}."
        )
        out.append(Notice("care", "Sections that are shorter, or missing", text))
    if results.protocol.quick:
        text = "One seed, few epochs: the command without --quick gives the answer, which may be another."
        out.append(Notice("care", "A first look", text))
    if len(results.protocol.seeds) < 2:
        text = "A second seed could give other figures; with one seed nobody can tell the difference from luck."
        out.append(Notice("care", "One seed", text))
    return out


def _training(results: Results) -> list[Notice]:
    where: dict[str, list[str]] = {}
    for network in results.networks:
        for run in network.runs:
            for warning in run.warnings:
                where.setdefault(warning, []).append(f"{network.name}, seed {run.seed}")
    return [
        Notice("care", "Warning from training", f"{warning} ({'; '.join(runs)})") for warning, runs in where.items()
    ]

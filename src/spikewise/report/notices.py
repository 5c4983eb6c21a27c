"""What a reader must know before believing the figures."""

from typing import Final

from spikewise.evaluation import Results
from spikewise.evaluation.caveats import Reservation, caveats, doubts
from spikewise.evaluation.reservations import chance_sentences, collapse_sentences, serious_findings, tie_sentences

__all__ = ["SHORTENED", "notices"]

SHORTENED: Final = "Sections that are shorter, or missing"
"""Title of the reservation about what time was too short for."""


def notices(results: Results) -> list[Reservation]:
    """Every reservation that the results themselves give reason for, the worst first."""
    networks, data, protocol = results.networks, results.data, results.protocol
    found = [
        *_learned_nothing(results),
        *doubts(networks, data, protocol, results.sections),
        *caveats(networks, results.comparisons, data, protocol),
        *_shortened(results),
        *_training(results),
    ]
    return sorted(found, key=lambda notice: notice.level != "bad")


def _learned_nothing(results: Results) -> list[Reservation]:
    """Networks at chance, trainings that collapsed, what the diagnosis calls serious, silent outputs."""
    networks, data = results.networks, results.data
    groups = (
        ("bad", "Not better than guessing", chance_sentences(networks, data)),
        ("bad", "Trainings that learned nothing", collapse_sentences(networks, data, results.without_collapsed)),
        ("bad", "A serious fault", serious_findings(results.sections)),
        ("care", "Silent outputs", tie_sentences(networks)[1]),
    )
    return [Reservation(level, title, text) for level, title, texts in groups for text in texts]  # type: ignore[arg-type]  # of a literal


def _shortened(results: Results) -> list[Reservation]:
    told = [f"{name}: {words}" for part in (results.sections.less, results.sections.skipped)
            for name, words in part.items()]  # fmt: skip
    if not told:
        return []
    text = f"Sections take at most a quarter of the training's time; --thorough makes them whole. {'. '.join(told)}."
    return [Reservation("care", SHORTENED, text)]


def _training(results: Results) -> list[Reservation]:
    where: dict[str, list[str]] = {}
    for network in results.networks:
        for run in network.runs:
            for warning in run.warnings:
                where.setdefault(warning, []).append(f"{network.name}, seed {run.seed}")
    return [
        Reservation("care", "Warning from training", f"{warning} ({'; '.join(runs)})")
        for warning, runs in where.items()
    ]

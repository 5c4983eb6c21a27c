"""Every kind of answer as a person reads it: cases and headlines stand in `answers.txt`.

`python tests/evaluation/test_answer_table.py` writes the file anew; whoever changes a headline reads all of them.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path

from judged import DENSE, SKIPPED, data, early, network, run, yardsticks

from spikewise.evaluation.data_facts import Overlap
from spikewise.evaluation.results import Protocol, Verdict
from spikewise.evaluation.sections import Sections

GOLDEN = Path(__file__).with_name("answers.txt")
MEMORY = "45 nm with memory"
ACCURACY = {"better than": 0.85, "level with": 0.9, "worse than": 0.95}
"""How the spiking network, which is right on 90 %, stands to an opponent of this accuracy."""
PRICES = {
    "cheaper": {DENSE: 400.0, SKIPPED: 200.0, MEMORY: 300.0},
    "dearer": {DENSE: 50.0, SKIPPED: 25.0, MEMORY: 20.0},
    "the same": {DENSE: 100.0, SKIPPED: 101.0, MEMORY: 99.0},
    "by zeros": {DENSE: 200.0, SKIPPED: 50.0, MEMORY: 150.0},
    "by model": {DENSE: 300.0, SKIPPED: 150.0, MEMORY: 5.0},
    "no model": {"Loihi": 1.0},
}
"""An opponent's energy where the spiking network needs 100 by each model, named by what the spiking network is."""
EXITS = {"cheaper": 15.0, "by model": {DENSE: 40.0, SKIPPED: 40.0, MEMORY: 70.0}, "dearer": 95.0}
ALL = (DENSE, SKIPPED, MEMORY)


def spiking(**rest):
    return network("snn", 0.9, dict.fromkeys(ALL, 100.0), tuned=True, **rest)


def other(name, how, price, **rest):
    return network(name, ACCURACY[how], PRICES[price], tuned=True, **rest)


def against_one() -> Iterator[tuple[str, Verdict]]:
    for how, price in itertools.product(ACCURACY, PRICES):
        yield f"{how} the twin, {price}", run(spiking(), other("twin", how, price))


def against_two() -> Iterator[tuple[str, Verdict]]:
    prices = ("cheaper", "dearer", "by model")
    stands = list(itertools.product(ACCURACY, prices))
    for (twin, of_twin), (cnn, of_cnn) in itertools.product(stands, stands):
        if (twin, of_twin) != (cnn, of_cnn):
            case = f"{twin} the twin, {of_twin}; {cnn} the CNN, {of_cnn}"
            yield case, run(spiking(), other("twin", twin, of_twin), other("cnn", cnn, of_cnn))


def with_early_exit() -> Iterator[tuple[str, Verdict]]:
    for how, price, (exit_, energy) in itertools.product(ACCURACY, ("dearer", "the same", "by model"), EXITS.items()):
        spent = energy if isinstance(energy, dict) else dict.fromkeys(ALL, energy)
        sections = Sections(anytime=early(spent, lost=0.012 if exit_ == "by model" else 0.0))
        yield (
            f"{how} the twin, {price}; early exit {exit_}",
            run(spiking(), other("twin", how, price), sections=sections),
        )


def uncertain() -> Iterator[tuple[str, Verdict]]:
    sides = spiking(seeds=1), other("twin", "worse than", "by model", seeds=1)
    yield "one seed", run(*sides, significant=None)
    yield (
        "one seed, a first look",
        run(*sides, significant=None, protocol=Protocol(seeds=(0,), epochs=3, test_opened=2, quick=True)),
    )
    yield (
        "one seed, no model",
        run(spiking(seeds=1), other("twin", "level with", "no model", seeds=1), significant=None),
    )
    yield (
        "two seeds, few images",
        run(spiking(seeds=2), other("twin", "level with", "dearer", seeds=2), significant=None),
    )
    for half, price in itertools.product((0.03, 0.2), ("cheaper", "dearer", "the same", "by model")):
        yield (
            f"level within {100 * half:g} points, {price}",
            run(spiking(), other("twin", "level with", price), half=half),
        )
    yield "alone", run(spiking())
    for accuracy, how in ((0.85, "level with"), (0.85, "better than"), (0.9, "level with"), (0.9, "better than")):
        sections = Sections(yardsticks=yardsticks(accuracy, 0.9))
        case = f"{how} the twin, cheaper; an SVM at {100 * accuracy:g} %"
        yield case, run(spiking(), other("twin", how, "cheaper"), sections=sections)
    leaks = data(overlap=Overlap(duplicates=3))
    yield (
        "level with the twin, by model; the split leaks",
        run(spiking(), other("twin", "level with", "by model"), data=leaks),
    )


PARTS = {
    "Against one network": against_one,
    "Against two": against_two,
    "With early exit": with_early_exit,
    "Little is certain": uncertain,
}


def table() -> str:
    """All cases with answer and headline; those with the same headline stand together."""
    lines = ["The spiking network is ... : answer, and the headline"]
    for title, cases in PARTS.items():
        lines += ["", title, "=" * len(title)]
        told: dict[tuple[str, str], list[str]] = {}
        for case, verdict in cases():
            told.setdefault((verdict.answer, verdict.headline), []).append(case)
        for (answer, headline), same in told.items():
            lines += ["", *same, f"    {answer}", f"    {headline}"]
    return "\n".join(lines) + "\n"


def test_every_headline_is_one_that_somebody_has_read():
    assert table() == GOLDEN.read_text(encoding="utf-8")


def test_headlines_are_short_and_say_what_they_depend_on():
    for case, verdict in itertools.chain(*(cases() for cases in PARTS.values())):
        assert len(verdict.headline) <= 300, case
        assert verdict.headline.startswith("It depends on ") == (verdict.answer == "depends"), case


if __name__ == "__main__":
    GOLDEN.write_text(table(), encoding="utf-8")

"""What a terminal shows of a finished run: one screen that begins with the answer, nothing twice."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "report"))
import fake

from spikewise.api import Run
from spikewise.cli.run import print_run


@pytest.fixture
def shown(capsys):
    def show(results):
        print_run(Run(results, Path("runs/compare-toy-1")))
        return capsys.readouterr().out.splitlines()

    return show


def test_the_answer_comes_first_once_and_all_fits_a_screen(shown):
    results = fake.results()
    printed = shown(results)
    headline = results.verdict.headline
    assert printed[:2] == ["", headline]
    assert sum(headline in line for line in printed) == 1
    others = [line for line in printed if line != headline]
    assert max(map(len, others)) <= 90
    assert len(printed) <= 36
    assert [line for line in printed if line.startswith(("RUN ", "report "))]


def test_what_is_left_out_of_the_screen_has_a_command(shown):
    results = fake.results()
    skipped = {"robustness": "it takes about 12 s, and 0 s are left; `spikewise robustness RUN` makes it"}
    sections = results.sections.model_copy(update={"skipped": skipped})
    text = "\n".join(shown(results.model_copy(update={"sections": sections})))
    models = {name for one in results.networks for name in one.cost.energy_nanojoule}
    assert f"{len(models) - 1} more models" in text
    assert "spikewise cost RUN" in text
    assert [line.split("  ")[-1].strip() for line in text.splitlines() if line.startswith("Left out: robustness")] == [
        "spikewise robustness RUN"
    ]


def test_a_reservation_is_one_line(shown):
    results = fake.results(seeds=(0,))
    assert "Reservation: One seed" in [line.rstrip() for line in shown(results)]


def test_training_times_of_a_row_have_three_figures_each(shown):
    results = fake.results()
    times = [0.25, 0.353, 3.0, 120.0]

    def with_time(network, seconds):
        epoch = network.cost.train_seconds_per_epoch.model_copy(update={"mean": seconds})
        return network.model_copy(update={"cost": network.cost.model_copy(update={"train_seconds_per_epoch": epoch})})

    networks = tuple(with_time(one, seconds) for one, seconds in zip(results.networks, times, strict=False))
    (row,) = [line for line in shown(results.model_copy(update={"networks": networks})) if "training / epoch" in line]
    assert row.split("epoch")[1].split() == [
        word for text in ["0.250", "0.353", "3.00", "120"][: len(networks)] for word in (text, "s")
    ]

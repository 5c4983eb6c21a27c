"""Progress displays tell the truth about what is done and how long the rest takes."""

import io
import re

import pytest
from rich.console import Console

from spikewise.evaluation import EpochRecord
from spikewise.training.progress import LineProgress, Plan, RichProgress, clock_time

PLAN = Plan(("snn", "twin"), (0, 1))


class Clock:
    """Time that passes when told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def record(epoch: int, seconds: float) -> EpochRecord:
    return EpochRecord(
        epoch=epoch,
        train_loss=0.5,
        validation_loss=0.4,
        validation_accuracy=0.875,
        learning_rate=1e-3,
        seconds=seconds,
        images_per_second=1234.5,
    )


def last_line(stream: io.StringIO) -> str:
    return stream.getvalue().splitlines()[-1]


def test_lines_name_side_seed_epoch_and_figures():
    stream = io.StringIO()
    shown = LineProgress(stream, PLAN)
    shown.started("snn", 1, epochs=4, done=0)
    shown.batch(images=10, total=20, loss=1.0)
    assert stream.getvalue() == ""
    shown.epoch(record(1, 2.0))
    line = last_line(stream)
    assert line.startswith("snn seed 1: epoch 1/4  loss 0.5000  validation 87.50 %  1,234 images/s")


def test_time_left_counts_every_training_and_is_an_upper_bound_until_each_side_was_timed():
    stream = io.StringIO()
    shown = LineProgress(stream, PLAN)
    shown.started("snn", 0, epochs=4, done=0)
    shown.epoch(record(1, 10.0))
    assert last_line(stream).endswith("at most 2:30 left")  # 15 epochs of 10 s
    shown.finished()  # patience ended it
    shown.started("twin", 0, epochs=4, done=0)
    shown.epoch(record(1, 1.0))
    assert last_line(stream).endswith("about 0:07 left")  # 3 + 4 epochs of 1 s


def test_epochs_of_an_earlier_process_count_as_done():
    stream = io.StringIO()
    shown = LineProgress(stream, PLAN)
    shown.started("twin", 1, epochs=4, done=2)  # snn 0, snn 1 and twin 0 were finished earlier
    assert "goes on after epoch 2 of 4" in last_line(stream)
    shown.epoch(record(3, 5.0))
    assert last_line(stream).endswith("about 0:05 left")


def begin_both(shown) -> None:
    """Both seeds of the first side, each after one epoch of 6 s that it shared with the other."""
    shown.started("snn", 0, epochs=4, done=0)
    shown.epoch(record(1, 6.0))
    shown.started("snn", 1, epochs=4, done=0)
    shown.turned("snn", 0, devices=1)
    shown.epoch(record(2, 6.0))
    shown.turned("snn", 1, devices=1)
    shown.epoch(record(1, 6.0))


def test_trainings_that_run_at_once_are_told_apart_and_all_counted():
    stream = io.StringIO()
    shown = LineProgress(stream, PLAN)
    begin_both(shown)
    lines = stream.getvalue().splitlines()
    assert [line.partition("  ")[0] for line in lines] == [
        "snn seed 0: epoch 1/4",
        "snn seed 0: epoch 2/4",
        "snn seed 1: epoch 1/4",
    ]
    assert lines[-1].endswith("at most 1:18 left")  # 2 + 3 + 8 epochs of 6 s
    shown.turned("snn", 0, devices=2)
    shown.epoch(record(3, 6.0))
    assert last_line(stream).endswith("at most 0:36 left")  # 1 + 3 + 8 epochs, two at a time


def test_the_live_table_shows_trainings_that_run_at_once():
    shown = RichProgress(Console(file=io.StringIO()), PLAN)
    begin_both(shown)
    assert re.search(r"snn +2 at once .* 1/4 ", picture(shown))
    shown.turned("snn", 0, devices=1)
    shown.epoch(record(4, 6.0))
    shown.finished()
    assert re.search(r"snn +2 of 2 .* 1/4 ", picture(shown))
    shown.turned("snn", 1, devices=1)
    shown.epoch(record(4, 6.0))
    shown.finished()
    assert "writing the report" not in picture(shown)
    assert re.search(r"twin +waiting", picture(shown))
    shown.started("twin", 0, epochs=4, done=0)
    assert re.search(r"snn +2 of 2 .* 4/4 ", picture(shown))


def picture(shown: RichProgress) -> str:
    screen = io.StringIO()
    Console(file=screen, width=100).print(shown.render())
    return screen.getvalue()


def test_the_live_table_has_a_row_for_each_side():
    clock = Clock()
    shown = RichProgress(Console(file=io.StringIO()), PLAN, title="compare on digits", clock=clock)
    assert "Starting" in picture(shown)
    shown.started("snn", 1, epochs=4, done=0)
    clock.now = 2.0
    shown.batch(images=100, total=200, loss=1.25)
    text = picture(shown)
    assert re.search(r"snn +2 of 2 .* 0/4 +1\.2500 +50 *$", text, re.MULTILINE)
    assert re.search(r"twin +waiting", text)
    shown.epoch(record(1, 4.0))
    assert "87.50 %" in picture(shown)
    assert "at most 0:44 left" in picture(shown)  # 3 + 8 epochs of 4 s


def test_the_live_table_says_when_training_is_over_and_what_was_done_earlier():
    shown = RichProgress(Console(file=io.StringIO()), PLAN)
    shown.started("twin", 1, epochs=1, done=0)
    assert re.search(r"snn +done earlier", picture(shown))
    shown.epoch(record(1, 1.0))
    shown.finished()
    assert "writing the report" in picture(shown)


def test_other_work_has_its_own_line():
    shown = RichProgress(Console(file=io.StringIO()))
    shown.work("decoding", 50, 200)
    assert re.search(r"decoding .* 50 of 200", picture(shown))
    stream = io.StringIO()
    lines = LineProgress(stream)
    for done in (1, 2, 3):
        lines.work("decoding", done, 3)
    assert stream.getvalue() == "decoding (3)\n"


def test_a_log_hears_of_work_that_goes_on_every_half_minute():
    stream, clock = io.StringIO(), Clock()
    lines = LineProgress(stream, clock=clock)
    for done in range(10, 20):
        lines.work("trying learning rates", done, 20)
        clock.now += 12.0
    lines.work("decoding", 0, 0)
    assert stream.getvalue().splitlines() == [
        "trying learning rates (20)",
        "trying learning rates: 13 of 20, about 1:24 left",
        "trying learning rates: 16 of 20, about 0:48 left",
        "trying learning rates: 19 of 20, about 0:12 left",
        "decoding",
    ]


def test_the_time_left_of_work_that_comes_twice_is_that_of_its_second_time():
    stream, clock = io.StringIO(), Clock()
    lines = LineProgress(stream, clock=clock)
    for done in (0, 3, 0, 1, 2):
        lines.work("decoding", done, 3)
        clock.now += 3600.0 if done == 3 else 20.0
    assert stream.getvalue().splitlines() == ["decoding (3)", "decoding: 2 of 3, about 0:20 left"]


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0:00"), (59.6, "1:00"), (3725, "1:02:05"), (-1, "0:00")])
def test_durations(seconds, text):
    assert clock_time(seconds) == text


def test_the_time_left_covers_what_follows_the_last_training():
    stream, clock = io.StringIO(), Clock()
    lines = LineProgress(stream, Plan(("snn",), (0, 1), tests=True, after=0.25), clock=clock)
    for seed in (0, 1):
        lines.started("snn", seed, epochs=4, done=0)
        for epoch in range(1, 5):
            lines.epoch(record(epoch, 100.0))
        lines.finished()
    minutes, seconds = map(int, re.search(r"about (\d+):(\d+) left", last_line(stream)).groups())
    assert 60 * minutes + seconds > 0.25 * 800  # what may follow eight epochs of 100 seconds, beside the test


def test_a_stage_says_how_long_it_has_taken_and_how_long_it_will():
    clock = Clock()
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    shown = RichProgress(console, Plan(("snn",), (0,)), clock=clock)
    shown.stage("robustness", 30.0, after=60.0)
    clock.now = 12.0
    with console.capture() as captured:
        console.print(shown.render())
    assert "0:12 of about 0:30; about 1:18 left in all" in captured.get()
    stream = io.StringIO()
    lines = LineProgress(stream, clock=clock)
    clock.now = 75.0
    lines.stage("robustness", 30.0)
    assert last_line(stream) == "robustness: 1:03 passed, takes about 0:30"
